use std::error::Error;
use std::fmt;

use super::check::Wrong;
use crate::printable;

/// The longest text of a server that is shown, in characters.
const LONGEST_SHOWN: usize = 200;

/// What to do when a server doesn't work as it should.
pub(super) const SERVICES: &str = "`mailimg status` says whether all services are healthy, and `mailimg logs` why not";

/// What to do when it asks to try again later. Postfix answers so to all commands while a filter doesn't answer.
pub(super) const LATER: &str = "a service that Postfix needs doesn't answer, such as ClamAV while it has no \
                                signatures: `mailimg status` says which";

/// An SMTP server's reply: the code, and the text of all lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// The server asks to try again later.
    pub(super) fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    pub(super) fn is_final(&self) -> bool {
        self.code / 100 == 5
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, shown(&self.text))
    }
}

/// Why there is no answer to judge, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) detail: String,
    pub(super) hint: &'static str,
}

impl Problem {
    pub(super) fn told(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), hint: SERVICES }
    }

    /// An error with its causes.
    pub(super) fn new(what: &str, error: &dyn Error) -> Self {
        let mut text = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let said = error.to_string();
            // Some errors repeat their cause.
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        Self::told(shown(&text))
    }

    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        Self { detail: problem.detail, hint: problem.hint.to_owned() }
    }
}

/// A text of a server as it can be shown: one line, escaped, not too long.
pub(super) fn shown(text: &str) -> String {
    printable::line(text, LONGEST_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_shown_on_one_short_line() {
        let reply = Reply { code: 550, text: "5.1.1 no\r\n5.1.1 \u{1b}[2Jsuch user".to_owned() };
        assert_eq!(reply.to_string(), "550 5.1.1 no 5.1.1 \\u{1b}[2Jsuch user");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), LONGEST_SHOWN + 1);
    }

    #[test]
    fn causes_are_told_once() {
        let error = std::io::Error::other(std::io::Error::other("reset"));
        assert_eq!(Problem::new("can't read", &error), Problem::told("can't read: reset"));
    }
}
