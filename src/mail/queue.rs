//! Mail that Postfix holds, because it is being delivered, waits for another attempt, or was put on hold.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, Project, Role};
use crate::engine::{EngineError, Exec, Stack};
use crate::timestamp::Timestamp;

/// How long Postfix may take: it reads a file for each mail.
const PATIENCE: Duration = Duration::from_mins(10);

/// Why the queue could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Postfix could not be reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No recipe says which service it is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Mail that is not there, or no longer.
    #[error("not in the queue: {}", .ids.iter().map(QueueId::to_string).collect::<Vec<_>>().join(", "))]
    NoMail { ids: Vec<QueueId> },
    /// Postfix returned an unexpected answer.
    #[error("unexpected answer from postqueue: {answer:?}")]
    Answer { answer: String },
}

/// Postfix's name for a mail in its queue, such as `3F1A2DA1CE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId(String);

impl FromStr for QueueId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Postfix takes the word ALL for all mail.
        if (5..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected the id of a mail, such as 3F1A2DA1CE, as `mailimg queue list` prints it".to_owned())
        }
    }
}

impl TryFrom<String> for QueueId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<QueueId> for String {
    fn from(id: QueueId) -> Self {
        id.0
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mail in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    pub id: QueueId,
    /// Postfix's name for its state: `incoming`, `active`, `deferred`, `hold` or `maildrop`.
    pub queue: String,
    /// When it came, RFC 3339 in UTC.
    pub arrived: String,
    /// Bytes.
    pub size: u64,
    /// Empty for a mail that must not be answered, such as a bounce.
    pub sender: String,
    pub recipients: Vec<Recipient>,
}

/// A recipient to whom a mail has yet to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    pub address: String,
    /// Why the last attempt failed.
    #[serde(rename(deserialize = "delay_reason"))]
    pub reason: Option<String>,
}

/// A line of `postqueue -j`.
#[derive(Debug, Deserialize)]
struct Line {
    queue_name: String,
    queue_id: QueueId,
    arrival_time: u64,
    message_size: u64,
    sender: String,
    recipients: Vec<Recipient>,
}

/// What to do with mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Don't try to deliver it until it is released.
    Hold,
    Release,
    Delete,
}

impl Action {
    /// The option of `postsuper`.
    fn option(self) -> &'static str {
        match self {
            Self::Hold => "-h",
            Self::Release => "-H",
            Self::Delete => "-d",
        }
    }

    /// Whether it changes mail in this queue.
    fn concerns(self, queue: &str) -> bool {
        match self {
            Self::Hold => queue != "hold",
            Self::Release => queue == "hold",
            Self::Delete => true,
        }
    }
}

/// The queue of a running stack.
#[derive(Debug)]
pub struct Queue {
    stack: Stack,
    project: Project,
}

impl Queue {
    /// The queue of `stack`, which runs `project`.
    #[must_use]
    pub fn new(stack: Stack, project: Project) -> Self {
        Self { stack, project }
    }

    /// All mail in the queue, oldest first.
    pub fn list(&self) -> Result<Vec<Mail>, QueueError> {
        let output = self.run(&["postqueue", "-j"], "")?;
        parse(&String::from_utf8_lossy(&output))
    }

    /// Tries to deliver deferred mail now: these, or all.
    pub fn flush(&self, ids: &[QueueId]) -> Result<(), QueueError> {
        if ids.is_empty() {
            return self.run(&["postqueue", "-f"], "").map(|_| ());
        }
        self.require(ids)?;
        for id in ids {
            self.run(&["postqueue", "-i", &id.0], "")?;
        }
        Ok(())
    }

    /// Does something with these mails.
    pub fn change(&self, action: Action, ids: &[QueueId]) -> Result<(), QueueError> {
        self.require(ids)?;
        let ids: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
        self.run(&["postsuper", action.option(), "-"], &format!("{}\n", ids.join("\n")))?;
        Ok(())
    }

    /// Does something with all mail. Returns how many there were.
    pub fn change_all(&self, action: Action) -> Result<usize, QueueError> {
        let count = self.list()?.iter().filter(|mail| action.concerns(&mail.queue)).count();
        self.run(&["postsuper", action.option(), "ALL"], "")?;
        Ok(count)
    }

    fn require(&self, ids: &[QueueId]) -> Result<(), QueueError> {
        let there: BTreeSet<QueueId> = self.list()?.into_iter().map(|mail| mail.id).collect();
        let gone: Vec<QueueId> = ids.iter().filter(|id| !there.contains(id)).cloned().collect();
        if gone.is_empty() { Ok(()) } else { Err(QueueError::NoMail { ids: gone }) }
    }

    fn run(&self, program: &[&str], input: &str) -> Result<Vec<u8>, QueueError> {
        let service = &self.project.image_with(Role::Queue)?.name;
        Ok(self.stack.exec(&Exec { service, user: None, program, input: input.as_bytes(), time: PATIENCE })?)
    }
}

fn parse(text: &str) -> Result<Vec<Mail>, QueueError> {
    let mut lines = text.lines().map(parse_line).collect::<Result<Vec<_>, _>>()?;
    lines.sort_by(|a, b| (a.arrival_time, &a.queue_id).cmp(&(b.arrival_time, &b.queue_id)));
    let mail = |line: Line| Mail {
        id: line.queue_id,
        queue: line.queue_name,
        arrived: Timestamp::from_unix(line.arrival_time).to_string(),
        size: line.message_size,
        sender: line.sender,
        recipients: line.recipients,
    };
    Ok(lines.into_iter().map(mail).collect())
}

fn parse_line(line: &str) -> Result<Line, QueueError> {
    serde_json::from_str(line).map_err(|_| QueueError::Answer { answer: line.chars().take(200).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_read_from_postqueues_lines() {
        let text = r#"{"queue_name": "deferred", "queue_id": "3F1A2DA1CE", "arrival_time": 1795690135, "message_size": 512, "forced_expire": false, "sender": "", "recipients": [{"address": "a@b.c", "delay_reason": "refused"}]}
{"queue_name": "hold", "queue_id": "AAAAADA1CE", "arrival_time": 1795690134, "message_size": 9, "sender": "x@y.z", "recipients": [{"address": "d@b.c"}]}
"#;
        let mails = parse(text).unwrap();
        assert_eq!((mails[0].queue.as_str(), mails[0].recipients[0].reason.as_deref()), ("hold", None));
        assert_eq!(mails[1].arrived, "2026-11-26T10:48:55Z");
        assert_eq!(mails[1].recipients[0].reason.as_deref(), Some("refused"));
        assert!(matches!(parse("Mail queue is empty\n"), Err(QueueError::Answer { .. })));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn ids_are_not_the_word_for_all() {
        for right in ["3F1A2DA1CE", "4gTvWX1Yk2zPq8"] {
            assert!(right.parse::<QueueId>().is_ok(), "{right}");
        }
        for wrong in ["ALL", "", "-d", "3F1A2 DA1CE", "../../x"] {
            assert!(wrong.parse::<QueueId>().is_err(), "{wrong:?}");
        }
    }
}
