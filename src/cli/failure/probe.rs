use super::{Exit, Failure};
use crate::probe::ProbeError;

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Config(error) => error.into(),
            ProbeError::ForeignUser { ref domains, .. } => Self::new(Exit::Usage, &error).hint(format!(
                "name a user in one of the site's domains ({}): see `mailimg user list`",
                domains.join(", ")
            )),
            ProbeError::NoPorts | ProbeError::NoMailbox => {
                Self::new(Exit::Usage, &error).hint("see service.publish in the recipes")
            }
            ProbeError::Interrupted => Self::new(Exit::No, &error),
            ProbeError::Certificate { .. } | ProbeError::Tls { .. } => Self::new(Exit::System, &error),
        }
    }
}
