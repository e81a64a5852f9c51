use super::{Exit, Failure};
use crate::rootfs::RootfsError;

impl From<RootfsError> for Failure {
    fn from(error: RootfsError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match &error {
            RootfsError::Conflict { .. } => failure(Exit::Refused).hint(
                "leave one of the two out of the recipe's world, or take a version whose `replaces` names the other",
            ),
            RootfsError::KindClash { .. } | RootfsError::DanglingLink { .. } => {
                failure(Exit::Refused).hint("the two packages don't fit together; leave one of them out")
            }
            RootfsError::Name { .. }
            | RootfsError::Kind { .. }
            | RootfsError::Duplicate { .. }
            | RootfsError::ThroughLink { .. }
            | RootfsError::NoDirectory { .. }
            | RootfsError::HardlinkTarget { .. }
            | RootfsError::TooLarge { .. } => {
                failure(Exit::Refused).hint("no proper package is like that: don't trust where it came from")
            }
            RootfsError::Account { .. } => {
                failure(Exit::Usage).hint("give the account the packages' number in the recipe, or another name")
            }
            RootfsError::UnknownOwner { .. } => {
                failure(Exit::Usage).hint("declare it in the recipe with [[user]] or [[group]]")
            }
            RootfsError::RuleWithoutFile { .. } => failure(Exit::Usage)
                .hint("correct the path, or move the rule to the channel whose packages have the file"),
            RootfsError::NoProgram { .. } => failure(Exit::Usage)
                .hint("correct the path, or add the package that brings the program to the recipe's world"),
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
