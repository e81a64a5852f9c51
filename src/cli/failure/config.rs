use super::{Exit, Failure};
use crate::config::ConfigError;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match &error {
            ConfigError::NoProject { .. } => failure(Exit::Usage)
                .hint("name the project directory with --project, or create a project with `mailimg init DOMAIN`"),
            ConfigError::Read { .. } => failure(Exit::System),
            ConfigError::Unset { key: "name", .. } => failure(Exit::Usage).hint(
                "choose one, such as name = \"example-org\". If the site already runs, give it the name it has, or it \
                 starts with empty volumes: `docker compose ls` prints it, usually the directory's",
            ),
            ConfigError::Unset { key, .. } => failure(Exit::Usage).hint(format!("set `{key}` there")),
            ConfigError::Role { found, .. } if found.is_empty() => {
                failure(Exit::Usage).hint("add that line to the recipe of the image that has this role")
            }
            ConfigError::Role { .. } => failure(Exit::Usage).hint("keep that line in only one of their recipes"),
            ConfigError::Wrong(wrong) => match &wrong.advice {
                Some(advice) => failure(Exit::Usage).hint(advice),
                None => failure(Exit::Usage),
            },
            ConfigError::NotBakeable { .. }
            | ConfigError::UnknownImage { .. }
            | ConfigError::UnknownChannel { .. }
            | ConfigError::UnknownArch { .. }
            | ConfigError::ForeignChannel { .. } => failure(Exit::Usage),
        }
    }
}
