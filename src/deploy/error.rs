use crate::build::BuildError;
use crate::compose::ComposeError;
use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::mail::accounts::AccountsError;
use crate::mail::secrets::SecretsError;
use crate::oci::{ImageError, ImagesError, LayoutError};
use crate::store::WriteError;

/// Why a site could not be brought up or examined. Each is the error of another stage.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[expect(missing_docs, reason = "each is named like its stage")]
pub enum DeployError {
    Config(#[from] ConfigError),
    Secrets(#[from] SecretsError),
    Build(#[from] BuildError),
    Layout(#[from] LayoutError),
    Image(#[from] ImageError),
    Images(#[from] ImagesError),
    Compose(#[from] ComposeError),
    Write(#[from] WriteError),
    Engine(#[from] EngineError),
    Accounts(#[from] AccountsError),
}
