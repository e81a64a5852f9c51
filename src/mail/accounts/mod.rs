//! Users and aliases in the running database, and their mailboxes.
//!
//! Statements are passed on standard input to the database's own client inside its container, which needs no database
//! password and shows nothing in process lists. Every text in a statement is a hexadecimal literal, so that nothing in
//! it can end the literal.

mod alias;
mod folder;
mod mailbox;
mod quota;
mod routes;
mod user;

use std::collections::BTreeMap;
use std::time::Duration;

pub use alias::{Added, Alias, AliasSource, Destination};
pub use folder::Folder;
pub use quota::Quota;
pub use routes::Routes;
pub use user::{Change, Usage, User};

use crate::config::{Address, ConfigError, DomainName, Project, Role};
use crate::engine::{EngineError, Exec, Stack};

/// How long a statement may take on a busy machine.
const STATEMENT: Duration = Duration::from_mins(1);

/// Why users or aliases could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The database could not be reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No recipe says which service it is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The domain is not one of the server's.
    #[error("{domain} is not one of this server's domains")]
    ForeignDomain { domain: DomainName },
    /// The user already exists.
    #[error("the user {address} already exists; nothing was changed")]
    UserExists { address: Address },
    /// There is no user of this name.
    #[error("there is no user {address}")]
    NoUser { address: Address },
    /// There is no user of this name who can log in.
    #[error("there is no active user {address}")]
    NoActiveUser { address: Address },
    /// A mailbox has no folder of this name.
    #[error("the mailbox of {address} has no folder {folder:?}")]
    NoFolder { address: Address, folder: String, known: Vec<String> },
    /// An alias whose mail would come back to it.
    #[error("mail would go in circles: {}", .path.join(" → "))]
    Circle { path: Vec<String> },
    /// The database lacks a column that this version needs.
    #[error("the database is older than this version of mailimg: {said}")]
    OldDatabase { said: String },
    /// The database returned an unexpected answer.
    #[error("unexpected answer from the {role} service: {answer:?}")]
    Answer { role: Role, answer: String },
}

/// The users and aliases of a running stack.
#[derive(Debug)]
pub struct Accounts {
    stack: Stack,
    project: Project,
}

impl Accounts {
    /// The accounts of `stack`, which runs `project`.
    #[must_use]
    pub fn new(stack: Stack, project: Project) -> Self {
        Self { stack, project }
    }

    /// How many users each domain has, of those that the database knows.
    pub fn users_by_domain(&self) -> Result<BTreeMap<String, u64>, AccountsError> {
        let query = "SELECT JSON_ARRAY(name, (SELECT COUNT(*) FROM virtual_users WHERE domain_id = virtual_domains.id)) \
                     FROM virtual_domains";
        self.rows(query)?.iter().map(|row| parse(row)).collect()
    }

    /// Runs a statement and returns how many rows it changed.
    fn change(&self, statement: &str) -> Result<u64, AccountsError> {
        let rows = self.rows(&format!("{statement};\nSELECT ROW_COUNT()"))?;
        rows.first().map_or_else(|| Err(answer("")), |row| row.parse().map_err(|_| answer(row)))
    }

    fn rows(&self, statement: &str) -> Result<Vec<String>, AccountsError> {
        let client = [
            "mariadb",
            "--defaults-file=/etc/mailimg/my.cnf",
            "--default-character-set=utf8mb4",
            "--batch",
            "--raw",
            "--skip-column-names",
            "mailserver",
        ];
        let output = self.stack.exec(&Exec {
            service: &self.project.image_with(Role::Accounts)?.name,
            user: None,
            program: &client,
            input: format!("{statement};\n").as_bytes(),
            time: STATEMENT,
        });
        let output = output.map_err(|error| match error {
            EngineError::Failed { said, .. } if is_unknown(&said) => AccountsError::OldDatabase { said },
            error => error.into(),
        })?;
        let output = String::from_utf8(output).map_err(|error| answer(&error.to_string()))?;
        Ok(output.lines().map(str::to_owned).collect())
    }
}

/// Any text as an SQL literal.
fn text(text: &str) -> String {
    format!("_utf8mb4 X'{}'", hex::encode(text))
}

/// `ER_DUP_ENTRY`.
fn is_duplicate(said: &str) -> bool {
    said.contains("ERROR 1062 ")
}

/// `ER_BAD_FIELD_ERROR`.
fn is_unknown(said: &str) -> bool {
    said.contains("ERROR 1054 ")
}

fn parse<T: serde::de::DeserializeOwned>(row: &str) -> Result<T, AccountsError> {
    serde_json::from_str(row).map_err(|_| answer(row))
}

fn answer(answer: &str) -> AccountsError {
    unexpected(Role::Accounts, answer)
}

fn unexpected(role: Role, answer: &str) -> AccountsError {
    AccountsError::Answer { role, answer: answer.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_statements_are_hexadecimal() {
        assert_eq!(text("a'b\\"), "_utf8mb4 X'6127625c'");
    }
}
