use super::Failure;
use crate::deploy::DeployError;

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Config(error) => error.into(),
            DeployError::Secrets(error) => error.into(),
            DeployError::Build(error) => error.into(),
            DeployError::Layout(error) => error.into(),
            DeployError::Image(error) => error.into(),
            DeployError::Images(error) => error.into(),
            DeployError::Compose(error) => error.into(),
            DeployError::Write(error) => error.into(),
            DeployError::Engine(error) => error.into(),
            DeployError::Accounts(error) => error.into(),
        }
    }
}
