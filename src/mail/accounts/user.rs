use serde::Serialize;

use super::{Accounts, AccountsError, Alias, Quota, is_duplicate, parse, text};
use crate::config::Address;
use crate::engine::EngineError;

/// A user in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The address, which is also the login name.
    pub address: String,
    /// Its own quota in bytes: 0 for unlimited, none for the site's default.
    pub quota: Option<u64>,
    /// Whether it may log in and receive mail, as long as its domain is one of the site's.
    pub active: bool,
    /// Whether its domain has been taken out of the site's, so that the user rests.
    pub resting: bool,
    /// What its mailbox holds, where that was asked.
    #[serde(flatten)]
    pub usage: Option<Usage>,
}

impl User {
    /// The quota in the notation of the command line.
    #[must_use]
    pub fn quota(&self) -> Quota {
        Quota::from_column(self.quota)
    }
}

/// What a mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Bytes, in steps of 1024.
    pub used: u64,
    pub messages: u64,
}

/// What to change about a user.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    pub quota: Option<Quota>,
    pub active: Option<bool>,
}

impl Accounts {
    /// Adds a user with a hashed password.
    pub fn add_user(&self, address: &Address, hash: &str, quota: Quota) -> Result<(), AccountsError> {
        let statement = format!(
            "INSERT INTO virtual_users (domain_id, email, password, quota_bytes) \
             SELECT id, {}, {}, {} FROM virtual_domains WHERE name = {} AND active = 1",
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

    /// All users, by address, without their usage.
    pub fn users(&self) -> Result<Vec<User>, AccountsError> {
        // The client prints plain text; JSON keeps types apart.
        let query = "SELECT JSON_ARRAY(email, quota_bytes, virtual_users.active, virtual_domains.active) \
                     FROM virtual_users JOIN virtual_domains ON virtual_domains.id = domain_id ORDER BY email";
        self.rows(query)?
            .iter()
            .map(|row| {
                let (address, quota, active, domain_active): (String, Option<u64>, u8, u8) = parse(row)?;
                Ok(User { address, quota, active: active != 0, resting: domain_active == 0, usage: None })
            })
            .collect()
    }

    /// Whether there is such a user, active or not.
    pub fn has_user(&self, address: &Address) -> Result<bool, AccountsError> {
        let rows = self.rows(&format!("SELECT 1 FROM virtual_users WHERE email = {}", text(&address.to_string())))?;
        Ok(!rows.is_empty())
    }

    /// Changes a user's password, and ends the sessions that the old one opened.
    pub fn set_password(&self, address: &Address, hash: &str) -> Result<(), AccountsError> {
        let address_sql = text(&address.to_string());
        let statement = format!("UPDATE virtual_users SET password = {} WHERE email = {address_sql}", text(hash));
        match self.change(&statement)? {
            0 => Err(AccountsError::NoUser { address: address.clone() }),
            _ => self.end_sessions(address),
        }
    }

    /// Changes a user's settings.
    pub fn set_user(&self, address: &Address, change: Change) -> Result<(), AccountsError> {
        // An update doesn't count rows that already have these values.
        if !self.has_user(address)? {
            return Err(AccountsError::NoUser { address: address.clone() });
        }
        let quota = change.quota.map(|quota| format!("quota_bytes = {}", quota.to_sql()));
        let active = change.active.map(|active| format!("active = {}", u8::from(active)));
        let columns: Vec<String> = quota.into_iter().chain(active).collect();
        if columns.is_empty() {
            return Ok(());
        }
        let address_sql = text(&address.to_string());
        self.change(&format!("UPDATE virtual_users SET {} WHERE email = {address_sql}", columns.join(", ")))?;
        if change.active == Some(false) { self.end_sessions(address) } else { Ok(()) }
    }

    /// Deletes a user but not its mail, and ends its sessions. Returns whether there was such a user, and the aliases
    /// that still point to it.
    pub fn delete_user(&self, address: &Address) -> Result<(bool, Vec<Alias>), AccountsError> {
        let address_sql = text(&address.to_string());
        let deleted = self.change(&format!("DELETE FROM virtual_users WHERE email = {address_sql}"))? > 0;
        if deleted {
            self.end_sessions(address)?;
        }
        Ok((deleted, self.aliases_where(&format!("WHERE destination = {address_sql}"))?))
    }
}
