use serde::Serialize;

use super::mailbox::MANY;
use super::{Accounts, AccountsError, unexpected};
use crate::config::{Address, Role};
use crate::engine::EngineError;
use crate::timestamp::Timestamp;

/// Dovecot takes a number with fewer digits for something other than a time.
const FIRST_TIME: u64 = 1_000_000_000;

/// A folder of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// With slashes between the names of nested folders.
    pub name: String,
    pub messages: usize,
    /// Bytes, as the quota counts them.
    pub size: u64,
}

impl Accounts {
    /// The folders of a user who can log in, by name.
    pub fn folders(&self, address: &Address) -> Result<Vec<Folder>, AccountsError> {
        let status = ["-f", "tab", "mailbox", "status", "-u", &address.to_string(), "messages vsize", "*"];
        let table = self.doveadm(address, &status)?;
        let mut folders = table.lines().skip(1).map(parse).collect::<Result<Vec<_>, _>>()?;
        folders.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(folders)
    }

    /// How many mails have been in a folder since before this time.
    pub fn count_old(&self, address: &Address, folder: &str, before: Timestamp) -> Result<usize, AccountsError> {
        let user = address.to_string();
        let names = self.doveadm(address, &["mailbox", "list", "-u", &user])?;
        // In a query, a name may also be a pattern: that of a folder that is there isn't.
        if !names.lines().any(|name| name == folder) {
            let known = names.lines().map(str::to_owned).collect();
            return Err(AccountsError::NoFolder { address: address.clone(), folder: folder.to_owned(), known });
        }
        if before.unix() < FIRST_TIME {
            return Ok(0);
        }
        let before = before.unix().to_string();
        let found = self.doveadm(address, &["search", "-u", &user, "mailbox", folder, "savedbefore", &before])?;
        Ok(found.lines().count())
    }

    /// Deletes the mails that [`Accounts::count_old`] counts.
    pub fn delete_old(&self, address: &Address, folder: &str, before: Timestamp) -> Result<(), AccountsError> {
        let before = before.unix().to_string();
        self.doveadm(address, &["expunge", "-u", &address.to_string(), "mailbox", folder, "savedbefore", &before])?;
        Ok(())
    }

    /// Rebuilds Dovecot's indexes of a mailbox, and counts anew what is in it.
    pub fn repair(&self, address: &Address) -> Result<(), AccountsError> {
        let user = address.to_string();
        self.doveadm(address, &["force-resync", "-u", &user, "*"])?;
        self.doveadm(address, &["quota", "recalc", "-u", &user])?;
        // Counting succeeds even where it can't.
        self.folders(address).map(|_| ())
    }

    fn doveadm(&self, address: &Address, arguments: &[&str]) -> Result<String, AccountsError> {
        let output = self.in_mailboxes(None, &[&["doveadm"], arguments].concat(), MANY).map_err(|error| match error {
            AccountsError::Engine(EngineError::Failed { said, .. }) if said.contains("User doesn't exist") => {
                AccountsError::NoActiveUser { address: address.clone() }
            }
            error => error,
        });
        Ok(String::from_utf8_lossy(&output?).into_owned())
    }
}

/// Reads a line of Dovecot's table: name, mails, bytes.
fn parse(line: &str) -> Result<Folder, AccountsError> {
    let wrong = || unexpected(Role::Mailboxes, line);
    let columns: Vec<&str> = line.split('\t').collect();
    let &[name, messages, size] = columns.as_slice() else { return Err(wrong()) };
    let (messages, size) = messages.parse().ok().zip(size.parse().ok()).ok_or_else(wrong)?;
    Ok(Folder { name: name.to_owned(), messages, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_from_dovecots_table() {
        let folder = parse("Projects/a b\t3\t4096").unwrap();
        assert_eq!(folder, Folder { name: "Projects/a b".to_owned(), messages: 3, size: 4096 });
        for wrong in ["", "INBOX\t3", "INBOX\tmany\t1", "INBOX\t1\t2\t3"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
