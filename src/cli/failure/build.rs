use super::{Exit, Failure};
use crate::build::BuildError;
use crate::layer::LayerError;
use crate::oci::LayoutError;

pub(super) const DAMAGED: &str = "something other than mailimg has changed the store; run `mailimg store verify`";

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Config(error) => error.into(),
            BuildError::Lock(error) => error.into(),
            BuildError::Wanted(error) => error.into(),
            BuildError::OutOfDate { .. } => {
                Self::new(Exit::Usage, &error).hint("run `mailimg lock` and review the changes")
            }
            BuildError::Rootfs(error) => error.into(),
            BuildError::Store(error) => error.into(),
            BuildError::Packages(error) | BuildError::Layer(LayerError::Packages(error)) => error.into(),
            BuildError::Layer(LayerError::Io { .. } | LayerError::Store { .. }) => Self::new(Exit::System, &error),
            BuildError::Layer(_) => Self::new(Exit::Refused, &error).hint(DAMAGED),
            BuildError::Image(error) => error.into(),
            BuildError::Json(_) => Self::new(Exit::Usage, &error),
        }
    }
}

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Foreign { .. } => {
                Self::new(Exit::Usage, &error).hint("name an empty directory, or an OCI layout, with --output")
            }
            LayoutError::Malformed { .. } => {
                Self::new(Exit::Refused, &error).hint("delete the layout; it can be built again from the store")
            }
            LayoutError::Index(error) => error.into(),
            LayoutError::Io { .. } | LayoutError::Blob { .. } => Self::new(Exit::System, &error),
        }
    }
}
