use crate::config::Project;
use crate::mail::secrets;

use super::{Context, Failure};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let secrets = secrets::init(&project)?;
    for secret in secrets.iter().filter(|secret| secret.made) {
        context.ui().status(format!("created {}", project.secrets_dir().join(&secret.path)));
    }
    if !secrets.iter().any(|secret| secret.made) {
        context.ui().status("nothing to do: all secrets exist");
    }
    Ok(())
}
