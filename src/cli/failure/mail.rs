use super::{Exit, Failure};
use crate::config::ValueError;
use crate::mail::accounts::AccountsError;
use crate::mail::dkim::DkimError;
use crate::mail::domains::DomainsError;
use crate::mail::init::InitError;
use crate::mail::password::PasswordError;
use crate::mail::queue::QueueError;
use crate::mail::secrets::SecretsError;
use crate::similar::similar;

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        Self::new(Exit::Usage, &error)
    }
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        match &error {
            InitError::Exists { .. } => {
                Self::new(Exit::Usage, &error).hint("nothing was changed; choose another directory with --project")
            }
            InitError::Write { .. } | InitError::Template { .. } => Self::new(Exit::System, &error),
        }
    }
}

impl From<SecretsError> for Failure {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Write(error) => error.into(),
            SecretsError::Config(error) => error.into(),
            SecretsError::NoAuthority { ref image, .. } => Self::new(Exit::Usage, &error).hint(format!(
                "add a secret of kind \"authority\" to service.secrets in recipes/{image}.toml, and in those of the \
                 images that connect to it"
            )),
            SecretsError::Unknown { ref known, .. } => {
                let known = known.join(", ");
                Self::new(Exit::Usage, &error).hint(if known.is_empty() {
                    "no recipe has secrets".to_owned()
                } else {
                    format!(
                        "the recipes have {known}. The site's own certificate and DKIM keys are not among them: to \
                         replace one, remove its file and run `mailimg secrets init`"
                    )
                })
            }
            SecretsError::Given { ref name } => {
                Self::new(Exit::Usage, &error).hint(format!("store it with `mailimg secrets set {name}`"))
            }
            SecretsError::Made { ref name } => {
                Self::new(Exit::Usage, &error).hint(format!("replace it with `mailimg secrets rotate {name}`"))
            }
            SecretsError::Foreign { .. } => Self::new(Exit::Usage, &error)
                .hint("secrets are regular files of the user who runs mailimg: put a copy there, or move it away"),
            SecretsError::Unusable => Self::new(Exit::Usage, &error),
            SecretsError::Io { .. } | SecretsError::Generate { .. } => Self::new(Exit::System, &error),
        }
    }
}

impl From<DkimError> for Failure {
    fn from(error: DkimError) -> Self {
        match error {
            DkimError::Config(error) => error.into(),
            DkimError::ForeignDomain { .. } => {
                Self::new(Exit::Usage, &error).hint("add it to `domains` in mailimg.toml first")
            }
            DkimError::Read { .. } => Self::new(Exit::System, &error),
            DkimError::Key { .. } => Self::new(Exit::Usage, &error)
                .hint("restore the right key, or remove the file and run `mailimg dkim` to create a new one"),
        }
    }
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Self {
        let exit = if matches!(error, PasswordError::Hash { .. }) { Exit::System } else { Exit::Usage };
        Self::new(exit, &error)
    }
}

impl From<AccountsError> for Failure {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Config(error) => error.into(),
            AccountsError::Engine(error) => error.into(),
            AccountsError::ForeignDomain { .. } => Self::new(Exit::Usage, &error)
                .hint("add it with `mailimg domain add`; if it is in mailimg.toml, run `mailimg up`"),
            AccountsError::UserExists { .. } => {
                Self::new(Exit::No, &error).hint("change it with `mailimg user set` or `mailimg user passwd`")
            }
            AccountsError::NoUser { .. } => {
                Self::new(Exit::Usage, &error).hint("list the users with `mailimg user list`")
            }
            AccountsError::NoActiveUser { .. } => {
                Self::new(Exit::Usage, &error).hint("`mailimg user list` lists the users, and says who is inactive")
            }
            AccountsError::NoFolder { ref folder, ref known, .. } => {
                let known = similar(folder, known.iter().map(String::as_str))
                    .first()
                    .map_or_else(|| format!("there are {}", known.join(", ")), |name| format!("did you mean {name}?"));
                Self::new(Exit::Usage, &error).hint(format!("nothing was deleted; {known}"))
            }
            AccountsError::Circle { .. } => Self::new(Exit::Usage, &error).hint(
                "nothing was changed. To keep a copy for a user and forward the rest, name the user's own address as a \
                 destination, too",
            ),
            AccountsError::OldDatabase { .. } => {
                Self::new(Exit::Missing, &error).hint("update the running server with `mailimg up`")
            }
            AccountsError::Answer { .. } => Self::new(Exit::Refused, &error),
        }
    }
}

impl From<DomainsError> for Failure {
    fn from(error: DomainsError) -> Self {
        match error {
            DomainsError::Config(error) => error.into(),
            DomainsError::Write(error) => error.into(),
            DomainsError::Read(error) => error.into(),
            DomainsError::NotEditable { .. } => {
                Self::new(Exit::Usage, &error).hint("write it as `domains = [\"example.org\"]`")
            }
            DomainsError::Primary { .. } => Self::new(Exit::Usage, &error)
                .hint("the server's own mail is from the primary domain: move another to the front of the list first"),
            DomainsError::Postmaster { .. } => {
                Self::new(Exit::Usage, &error).hint("set `postmaster` in mailimg.toml to another address first")
            }
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Config(error) => error.into(),
            QueueError::Engine(error) => error.into(),
            QueueError::NoMail { .. } => Self::new(Exit::Usage, &error)
                .hint("it may have been delivered or returned in the meantime: see `mailimg queue list`"),
            QueueError::Answer { .. } => Self::new(Exit::Refused, &error),
        }
    }
}
