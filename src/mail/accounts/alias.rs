use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Accounts, AccountsError, is_duplicate, parse, text};
use crate::config::{Address, DomainName, ValueError};
use crate::engine::EngineError;

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
    pub(super) fn domain(&self) -> &DomainName {
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

/// The destination of an alias: any address. Unlike users' own, its local part may contain `+`, `'` and `=`, as tags,
/// names and the addresses of mailing lists do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(String);

impl Destination {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Destination {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let lower = text.to_ascii_lowercase();
        let parts = lower.split_once('@').and_then(|(local, domain)| Some((local, domain.parse::<DomainName>().ok()?)));
        match parts {
            Some((local, domain)) if is_destination(local) => Ok(Self(format!("{local}@{domain}"))),
            _ => Err(ValueError {
                found: text.to_owned(),
                wanted: "a mail address, such as \"name+tag@example.org\" (before the @: letters, digits, \"-\", \"_\", \
                         \"+\", \"'\", \"=\" and single dots, at most 64)",
            }),
        }
    }
}

/// A dot-atom (RFC 5322) without the characters that Postfix gives a meaning: `|`, `/`, `%`, `!` and their like.
fn is_destination(local: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'+' | b'\'' | b'=');
    (1..=64).contains(&local.len())
        && local.bytes().all(allowed)
        && !local.starts_with(['.', '-', '+'])
        && !local.ends_with('.')
        && !local.contains("..")
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of an alias's new destinations.
#[derive(Debug)]
pub struct Added {
    /// Each, and whether it is new.
    pub destinations: Vec<(Destination, bool)>,
    /// Those at which nobody receives mail.
    pub dead_ends: Vec<Destination>,
    /// Whether there is a user of the same name, who no longer gets the mail.
    pub hides_user: bool,
}

impl Accounts {
    /// Adds destinations to an alias, unless mail would then go in circles.
    pub fn add_alias(&self, source: &AliasSource, destinations: &[Destination]) -> Result<Added, AccountsError> {
        let routes = self.routes()?.with(source, destinations);
        if let Some(path) = routes.circle(source) {
            return Err(AccountsError::Circle { path });
        }
        let destinations = destinations
            .iter()
            .map(|destination| Ok((destination.clone(), self.insert_alias(source, destination)?)))
            .collect::<Result<Vec<_>, AccountsError>>()?;
        let dead = |(destination, _): &(Destination, bool)| {
            (!routes.is_answered(destination.as_str())).then(|| destination.clone())
        };
        let dead_ends = destinations.iter().filter_map(dead).collect();
        Ok(Added { dead_ends, hides_user: routes.hides_user(&source.to_string()), destinations })
    }

    /// Returns whether it is new.
    fn insert_alias(&self, source: &AliasSource, destination: &Destination) -> Result<bool, AccountsError> {
        let statement = format!(
            "INSERT INTO virtual_aliases (domain_id, source, destination) \
             SELECT id, {}, {} FROM virtual_domains WHERE name = {} AND active = 1",
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

    /// Deletes one destination of an alias, or all of them. Returns whether there was one.
    pub fn delete_alias(&self, source: &AliasSource, destination: Option<&Destination>) -> Result<bool, AccountsError> {
        let only = destination.map_or_else(String::new, |to| format!(" AND destination = {}", text(&to.to_string())));
        let statement = format!("DELETE FROM virtual_aliases WHERE source = {}{only}", text(&source.to_string()));
        Ok(self.change(&statement)? > 0)
    }

    pub(super) fn aliases_where(&self, condition: &str) -> Result<Vec<Alias>, AccountsError> {
        let query = format!(
            "SELECT JSON_OBJECT('source', source, 'destination', destination) FROM virtual_aliases {condition} \
             ORDER BY source, destination"
        );
        self.rows(&query)?.iter().map(|row| parse(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_have_plain_ends() {
        assert_eq!("@Example.org".parse::<AliasSource>().unwrap().to_string(), "@example.org");
        assert_eq!("Info@example.org".parse::<AliasSource>().unwrap().to_string(), "info@example.org");
        for (text, shown) in [
            ("a@example.org", "a@example.org"),
            ("a+B@Example.org", "a+b@example.org"),
            ("a+b+c@example.org", "a+b+c@example.org"),
            ("o'brien@example.org", "o'brien@example.org"),
            ("list-bounces+me=example.org@lists.example", "list-bounces+me=example.org@lists.example"),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), shown);
        }
        for wrong in ["|cmd@example.org", "/file", "a,b@example.org", "a@b.c d@e.f", "+@b.c", "a%b@c.d", "a!b@c.d", ""]
        {
            assert!(wrong.parse::<Destination>().is_err(), "{wrong:?}");
        }
    }
}
