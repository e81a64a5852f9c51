use std::collections::BTreeMap;
use std::time::Duration;

use super::{Accounts, AccountsError, Usage, unexpected};
use crate::config::{Address, Role};
use crate::engine::{EngineError, Exec};

/// Owner of all mail in the image that stores it, and where that is.
const MAIL_OWNER: &str = "vmail";
const MAIL: &str = "/srv/mail";

/// Prints one mail or script of the home in `$0`, if there is one.
const FIND_ONE: &str = "find \"$0\" -path '*/cur/*' -o -path '*/new/*' -o -name .dovecot.sieve 2>/dev/null | head -n 1";

/// How long Dovecot may take for one user.
const QUESTION: Duration = Duration::from_mins(1);
/// How long it may take to read the quota of thousands of mailboxes, or to remove one of millions of files.
pub(super) const MANY: Duration = Duration::from_hours(1);

impl Accounts {
    /// What each active user's mailbox holds.
    pub fn usage(&self) -> Result<BTreeMap<String, Usage>, AccountsError> {
        let output = self.in_mailboxes(None, &["doveadm", "-f", "tab", "quota", "get", "-A"], MANY)?;
        parse_quotas(&String::from_utf8_lossy(&output))
    }

    /// Whether an earlier user of this name left mail, or a Sieve script. Dovecot also creates empty mailboxes.
    pub fn has_mail(&self, address: &Address) -> Result<bool, AccountsError> {
        let found = self.in_mailboxes(Some(MAIL_OWNER), &["sh", "-c", FIND_ONE, &home(address)], QUESTION)?;
        Ok(!found.is_empty())
    }

    /// Deletes a mailbox and its content.
    pub fn purge(&self, address: &Address) -> Result<(), AccountsError> {
        self.in_mailboxes(Some(MAIL_OWNER), &["rm", "-rf", "--", &home(address)], MANY)?;
        Ok(())
    }

    /// Disconnects a user's mail programs. Without a server, there are none.
    pub(super) fn end_sessions(&self, address: &Address) -> Result<(), AccountsError> {
        match self.in_mailboxes(None, &["doveadm", "kick", &address.to_string()], QUESTION) {
            Err(AccountsError::Engine(EngineError::NotRunning { .. })) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    pub(super) fn in_mailboxes(
        &self,
        user: Option<&str>,
        program: &[&str],
        time: Duration,
    ) -> Result<Vec<u8>, AccountsError> {
        let service = &self.project.image_with(Role::Mailboxes)?.name;
        Ok(self.stack.exec(&Exec { service, user, program, input: &[], time })?)
    }
}

fn home(address: &Address) -> String {
    format!("{MAIL}/{}/{}", address.domain(), address.local())
}

/// Reads Dovecot's table: a line with the names of the columns, then two for each user.
fn parse_quotas(table: &str) -> Result<BTreeMap<String, Usage>, AccountsError> {
    let mut usages: BTreeMap<String, Usage> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[user, _, kind, value, ..] = columns.as_slice() else { return Err(unexpected(Role::Mailboxes, line)) };
        let value: u64 = value.parse().map_err(|_| unexpected(Role::Mailboxes, line))?;
        let usage = usages.entry(user.to_owned()).or_insert(Usage { used: 0, messages: 0 });
        match kind {
            "STORAGE" => usage.used = value.saturating_mul(1024),
            "MESSAGE" => usage.messages = value,
            _ => {}
        }
    }
    Ok(usages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_dovecots_table() {
        let table = "Username\tQuota name\tType\tValue\tLimit\t%\n\
                     a@b.c\tuser\tSTORAGE\t3\t1048576\t0\na@b.c\tuser\tMESSAGE\t2\t-\t0\n";
        let usages = parse_quotas(table).unwrap();
        assert_eq!(usages["a@b.c"], Usage { used: 3072, messages: 2 });
        assert!(parse_quotas("").unwrap().is_empty());
        assert!(parse_quotas("header\na@b.c\tuser\tSTORAGE\thuh\n").is_err());
        assert!(parse_quotas("header\nhuh\n").is_err());
    }
}
