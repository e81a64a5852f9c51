use super::{Exit, Failure};
use crate::rootfs::RootfsError;

impl From<RootfsError> for Failure {
    fn from(error: RootfsError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match &error {
            RootfsError::Conflict { .. } => failure(Exit::Refused)
                .hint("remove one of them from the recipe's world, or use a version that `replaces` the other"),
            RootfsError::KindClash { .. } | RootfsError::DanglingLink { .. } => {
                failure(Exit::Refused).hint("the two packages are incompatible; leave one of them out")
            }
            RootfsError::Name { .. }
            | RootfsError::Kind { .. }
            | RootfsError::Duplicate { .. }
            | RootfsError::ThroughLink { .. }
            | RootfsError::NoDirectory { .. }
            | RootfsError::HardlinkTarget { .. }
            | RootfsError::TooLarge { .. } => {
                failure(Exit::Refused).hint("no legitimate package looks like this: don't trust its source")
            }
            RootfsError::Account { .. } => failure(Exit::Usage)
                .hint("in the recipe, give the account the same id as the packages do, or another name"),
            RootfsError::UnknownOwner { .. } => {
                failure(Exit::Usage).hint("declare it in the recipe with [[user]] or [[group]]")
            }
            RootfsError::RuleWithoutFile { .. } => failure(Exit::Usage).hint(
                "correct the path, or move the rule to the section of the channel whose packages contain the file",
            ),
            RootfsError::NoProgram { .. } => failure(Exit::Usage)
                .hint("correct the path, or add the package that contains the program to the recipe's world"),
            RootfsError::NoAccount { .. } => {
                failure(Exit::Usage).hint("declare it in the recipe with [[user]] or [[group]], or give its number")
            }
            RootfsError::NoChecksum { .. } => failure(Exit::System),
            RootfsError::RecipePath { .. } | RootfsError::AccountText { .. } | RootfsError::RecipeClash { .. } => {
                failure(Exit::Usage)
            }
        }
    }
}
