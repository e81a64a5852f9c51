//! Users and aliases in the running database.
//!
//! Statements are passed on standard input to the database's own client inside its container, which needs no database
//! password and shows nothing in process lists. Every text in a statement is a hexadecimal literal, so that nothing in
//! it can end the literal.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Address, ConfigError, DomainName, Project, Role, ValueError};
use crate::engine::{EngineError, Exec, Stack};

/// Owner of all mail in the image that stores it, and where that is.
const MAIL_OWNER: &str = "vmail";
const MAIL: &str = "/srv/mail";

/// How long a statement may take on a busy machine.
const STATEMENT: Duration = Duration::from_mins(1);
/// How long it may take to remove a mailbox of millions of files.
const PURGE: Duration = Duration::from_hours(1);

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
    #[error("the user {address} already exists")]
    UserExists { address: Address },
    /// There is no user of this name.
    #[error("there is no user {address}")]
    NoUser { address: Address },
    /// There is no such alias.
    #[error("there is no alias {alias}{}", .destination.as_ref().map(|to| format!(" to {to}")).unwrap_or_default())]
    NoAlias { alias: AliasSource, destination: Option<Destination> },
    /// The database returned an unexpected answer.
    #[error("unexpected answer from the database: {answer:?}")]
    Answer { answer: String },
}

/// The quota of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The site's `limits.quota`.
    Default,
    Unlimited,
    /// This many bytes.
    Bytes(u64),
}

impl Quota {
    fn from_column(bytes: Option<u64>) -> Self {
        match bytes {
            None => Self::Default,
            Some(0) => Self::Unlimited,
            Some(bytes) => Self::Bytes(bytes),
        }
    }

    fn to_sql(self) -> String {
        match self {
            Self::Default => "NULL".to_owned(),
            Self::Unlimited => "0".to_owned(),
            Self::Bytes(bytes) => bytes.to_string(),
        }
    }
}

/// `default`, `unlimited` or a size such as `500M`.
impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => return Ok(Self::Default),
            "unlimited" => return Ok(Self::Unlimited),
            _ => {}
        }
        let (digits, shift) = match text.char_indices().last() {
            Some((end, 'K')) => (text.get(..end), 10),
            Some((end, 'M')) => (text.get(..end), 20),
            Some((end, 'G')) => (text.get(..end), 30),
            Some((end, 'T')) => (text.get(..end), 40),
            _ => (Some(text), 0),
        };
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u64>().ok())
            .and_then(|number| number.checked_mul(1 << shift))
            // Reject more than SQL and Dovecot can represent.
            .filter(|bytes| (1..=i64::MAX.cast_unsigned()).contains(bytes))
            .map(Self::Bytes)
            .ok_or_else(|| "expected bytes, a size such as 500M or 2G, \"default\" or \"unlimited\"".to_owned())
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Unlimited => f.write_str("unlimited"),
            Self::Bytes(bytes) => {
                let unit = [(40, "T"), (30, "G"), (20, "M"), (10, "K")]
                    .into_iter()
                    .find(|(shift, _)| bytes.trailing_zeros() >= *shift && *bytes != 0);
                match unit {
                    Some((shift, unit)) => write!(f, "{}{unit}", bytes >> shift),
                    None => write!(f, "{bytes}"),
                }
            }
        }
    }
}

/// A user in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The address, which is also the login name.
    pub address: String,
    /// Its own quota in bytes: 0 for unlimited, none for the site's default.
    pub quota: Option<u64>,
    /// Whether it may log in and receive mail.
    pub active: bool,
}

impl User {
    /// The quota in the notation of the command line.
    #[must_use]
    pub fn quota(&self) -> Quota {
        Quota::from_column(self.quota)
    }
}

/// An alias, which forwards mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// An address, or `@domain` for all other addresses of a domain.
    pub source: String,
    /// An address, here or elsewhere.
    pub destination: String,
}

/// An address or `@domain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasSource {
    Address(Address),
    /// All other addresses of a domain.
    CatchAll(DomainName),
}

impl AliasSource {
    fn domain(&self) -> &DomainName {
        match self {
            Self::Address(address) => address.domain(),
            Self::CatchAll(domain) => domain,
        }
    }
}

impl FromStr for AliasSource {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.strip_prefix('@') {
            Some(domain) => domain.to_ascii_lowercase().parse().map(Self::CatchAll),
            None => text.parse().map(Self::Address),
        }
    }
}

impl fmt::Display for AliasSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::CatchAll(domain) => write!(f, "@{domain}"),
        }
    }
}

/// The destination of an alias: any address, possibly with a tag (`name+tag@example.org`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(String);

impl FromStr for Destination {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let address = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        let tagged = text.split_once('@').and_then(|(local, domain)| Some((local.split_once('+')?, domain)));
        match tagged {
            None => address(text).map(Self),
            Some(((local, tag), domain)) => {
                // Tags follow the rules for local parts.
                address(&format!("{tag}@{domain}"))?;
                let base: Address = format!("{local}@{domain}").parse()?;
                Ok(Self(format!("{}+{}@{}", base.local(), tag.to_ascii_lowercase(), base.domain())))
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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

    /// Adds a user with a hashed password.
    pub fn add_user(&self, address: &Address, hash: &str, quota: Quota) -> Result<(), AccountsError> {
        let statement = format!(
            "INSERT INTO virtual_users (domain_id, email, password, quota_bytes) \
             SELECT id, {}, {}, {} FROM virtual_domains WHERE name = {}",
            text(&address.to_string()),
            text(hash),
            quota.to_sql(),
            text(address.domain().as_str())
        );
        match self.change(&statement) {
            Ok(0) => Err(AccountsError::ForeignDomain { domain: address.domain().clone() }),
            Ok(_) => Ok(()),
            Err(AccountsError::Engine(EngineError::Failed { said, .. })) if is_duplicate(&said) => {
                Err(AccountsError::UserExists { address: address.clone() })
            }
            Err(error) => Err(error),
        }
    }

    /// All users, by address.
    pub fn users(&self) -> Result<Vec<User>, AccountsError> {
        // The client prints plain text; JSON keeps types apart.
        let query = "SELECT JSON_ARRAY(email, quota_bytes, active) FROM virtual_users ORDER BY email";
        self.rows(query)?
            .iter()
            .map(|row| {
                let (address, quota, active): (String, Option<u64>, u8) = parse(row)?;
                Ok(User { address, quota, active: active != 0 })
            })
            .collect()
    }

    /// Changes a user's password.
    pub fn set_password(&self, address: &Address, hash: &str) -> Result<(), AccountsError> {
        let address_sql = text(&address.to_string());
        let statement = format!("UPDATE virtual_users SET password = {} WHERE email = {address_sql}", text(hash));
        match self.change(&statement)? {
            0 => Err(AccountsError::NoUser { address: address.clone() }),
            _ => Ok(()),
        }
    }

    /// Deletes a user but not its mail. Returns the aliases that still point to it.
    pub fn delete_user(&self, address: &Address) -> Result<Vec<Alias>, AccountsError> {
        let address_sql = text(&address.to_string());
        match self.change(&format!("DELETE FROM virtual_users WHERE email = {address_sql}"))? {
            0 => Err(AccountsError::NoUser { address: address.clone() }),
            _ => self.aliases_where(&format!("WHERE destination = {address_sql}")),
        }
    }

    /// Deletes a mailbox and its content.
    pub fn purge(&self, address: &Address) -> Result<(), AccountsError> {
        let home = format!("{MAIL}/{}/{}", address.domain(), address.local());
        self.stack.exec(&Exec {
            service: &self.project.image_with(Role::Mailboxes)?.name,
            user: Some(MAIL_OWNER),
            program: &["rm", "-rf", "--", &home],
            input: &[],
            time: PURGE,
        })?;
        Ok(())
    }

    /// Adds an alias. Returns whether it is new.
    pub fn add_alias(&self, source: &AliasSource, destination: &Destination) -> Result<bool, AccountsError> {
        let statement = format!(
            "INSERT INTO virtual_aliases (domain_id, source, destination) \
             SELECT id, {}, {} FROM virtual_domains WHERE name = {}",
            text(&source.to_string()),
            text(&destination.to_string()),
            text(source.domain().as_str())
        );
        match self.change(&statement) {
            Ok(0) => Err(AccountsError::ForeignDomain { domain: source.domain().clone() }),
            Ok(_) => Ok(true),
            Err(AccountsError::Engine(EngineError::Failed { said, .. })) if is_duplicate(&said) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All aliases, by source.
    pub fn aliases(&self) -> Result<Vec<Alias>, AccountsError> {
        self.aliases_where("")
    }

    /// Deletes one destination of an alias, or all of them.
    pub fn delete_alias(&self, source: &AliasSource, destination: Option<&Destination>) -> Result<(), AccountsError> {
        let only = destination.map_or_else(String::new, |to| format!(" AND destination = {}", text(&to.to_string())));
        let statement = format!("DELETE FROM virtual_aliases WHERE source = {}{only}", text(&source.to_string()));
        match self.change(&statement)? {
            0 => Err(AccountsError::NoAlias { alias: source.clone(), destination: destination.cloned() }),
            _ => Ok(()),
        }
    }

    fn aliases_where(&self, condition: &str) -> Result<Vec<Alias>, AccountsError> {
        let query = format!(
            "SELECT JSON_OBJECT('source', source, 'destination', destination) FROM virtual_aliases {condition} \
             ORDER BY source, destination"
        );
        self.rows(&query)?.iter().map(|row| parse(row)).collect()
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

fn parse<T: serde::de::DeserializeOwned>(row: &str) -> Result<T, AccountsError> {
    serde_json::from_str(row).map_err(|_| answer(row))
}

fn answer(answer: &str) -> AccountsError {
    AccountsError::Answer { answer: answer.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_statements_are_hexadecimal() {
        assert_eq!(text("a'b\\"), "_utf8mb4 X'6127625c'");
    }

    #[test]
    fn quotas_are_sizes() {
        for (text, quota, shown) in [
            ("default", Quota::Default, "default"),
            ("unlimited", Quota::Unlimited, "unlimited"),
            ("1000", Quota::Bytes(1000), "1000"),
            ("512M", Quota::Bytes(512 << 20), "512M"),
            ("2048M", Quota::Bytes(2 << 30), "2G"),
        ] {
            assert_eq!(text.parse::<Quota>().unwrap(), quota);
            assert_eq!(quota.to_string(), shown);
        }
        for wrong in ["", "0", "-1", "+1", "1m", "M", "1.5G", "99999999999999999999", "9999999T", "1 G"] {
            assert!(wrong.parse::<Quota>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn aliases_have_plain_ends() {
        assert_eq!("@Example.org".parse::<AliasSource>().unwrap().to_string(), "@example.org");
        assert_eq!("Info@example.org".parse::<AliasSource>().unwrap().to_string(), "info@example.org");
        assert_eq!("a+B@Example.org".parse::<Destination>().unwrap().to_string(), "a+b@example.org");
        assert_eq!("a@example.org".parse::<Destination>().unwrap().to_string(), "a@example.org");
        for wrong in ["|cmd@example.org", "/file", "a,b@example.org", "a@b.c d@e.f", "+@b.c", "a+@b.c", "a+b+c@d.e", ""]
        {
            assert!(wrong.parse::<Destination>().is_err(), "{wrong:?}");
        }
    }
}
