use super::{Exit, Failure};
use crate::compose::ComposeError;
use crate::oci::{ImageError, ImagesError};

const BUILD: &str = "build the images with `mailimg build`";

impl From<ImagesError> for Failure {
    fn from(error: ImagesError) -> Self {
        match &error {
            ImagesError::Nothing { .. } => {
                Self::new(Exit::Missing, &error).hint(format!("{BUILD}, or name their layout with --layout"))
            }
            ImagesError::Read { .. } => Self::new(Exit::System, &error),
            ImagesError::Malformed { .. } => Self::new(Exit::Refused, &error),
            ImagesError::NoImage { name, .. } => {
                Self::new(Exit::Missing, &error).hint(format!("build it first with `mailimg build {name}`"))
            }
            ImagesError::NoArchitecture { name, arch, .. } => {
                Self::new(Exit::Missing, &error).hint(format!("build it first: mailimg build --arch {arch} {name}"))
            }
            ImagesError::Ambiguous { .. } => Self::new(Exit::Usage, &error).hint("choose one with --arch"),
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::new(Exit::Usage, &error)
    }
}

impl From<ComposeError> for Failure {
    fn from(error: ComposeError) -> Self {
        match error {
            ComposeError::Config(error) => error.into(),
            ComposeError::Read(error) => error.into(),
            ComposeError::NotBuilt { .. } => Self::new(Exit::Missing, &error).hint(BUILD),
            ComposeError::Malformed { .. } => {
                Self::new(Exit::Usage, &error).hint("move it elsewhere; `mailimg up` writes it again")
            }
            ComposeError::Yaml { .. } => Self::new(Exit::System, &error),
        }
    }
}
