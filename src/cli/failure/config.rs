use super::{Exit, Failure};
use crate::config::{ConfigError, ReadError};

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let error = match error {
            ConfigError::Read(error) => return error.into(),
            other => other,
        };
        let failure = |exit| Self::new(exit, &error);
        match &error {
            ConfigError::NoProject { .. } => failure(Exit::Usage)
                .hint("name the project directory with --project, or create a project with `mailimg init DOMAIN`"),
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
            ConfigError::Read(_)
            | ConfigError::NotBakeable { .. }
            | ConfigError::UnknownImage { .. }
            | ConfigError::UnknownChannel { .. }
            | ConfigError::UnknownArch { .. }
            | ConfigError::ForeignChannel { .. } => failure(Exit::Usage),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let hint = match &error {
            ReadError::Io { .. } => return Self::new(Exit::System, &error),
            ReadError::Outside { .. } => "replace the link by a copy of what it should lead to",
            ReadError::NotAFile { .. } => "replace it by a file",
            ReadError::TooLarge { .. } | ReadError::TooMany { .. } => {
                "a project contains only what people write; what is larger belongs in a package"
            }
        };
        Self::new(Exit::Usage, &error).hint(hint)
    }
}
