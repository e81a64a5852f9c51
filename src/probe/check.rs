use std::fmt;
use std::time::{Duration, Instant};

use crate::progress::Step;

/// The longest that one check may take. A mail server has up to this long for an answer.
const LONGEST: Duration = Duration::from_mins(1);

/// A check's name: the port as images know it, and what is checked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub(super) port: Option<u16>,
    pub(super) what: &'static str,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{port}-{}", self.what),
            None => f.write_str(self.what),
        }
    }
}

pub(super) fn id(port: u16, what: &'static str) -> Id {
    Id { port: Some(port), what }
}

/// Always done: whatever was sent must go.
pub(super) const CLEANUP: Id = Id { port: None, what: "cleanup" };

const LOGIN: [&str; 4] = ["certificate", "tls", "login", "wrong-password"];
const SUBMISSION: [&str; 4] = ["message", "arrival", "dkim", "virus"];
const OUTSIDE: [&str; 11] = [
    "greeting",
    "offers",
    "certificate",
    "tls",
    "auth",
    "relay",
    "unknown-user",
    "message",
    "arrival",
    "results",
    "virus",
];

/// The checks that may be left out.
#[must_use]
pub fn ids() -> Vec<String> {
    let starttls: &[_] = &["greeting", "offers"];
    let table: [(u16, &[&[&'static str]]); 5] = [
        (25, &[&OUTSIDE]),
        (587, &[starttls, &LOGIN, &SUBMISSION]),
        (465, &[&LOGIN, &SUBMISSION]),
        (993, &[&LOGIN]),
        (143, &[starttls, &LOGIN]),
    ];
    let names = |(port, lists): (u16, &[&[&'static str]])| {
        lists.concat().into_iter().map(|what| id(port, what).to_string()).collect::<Vec<_>>()
    };
    table.into_iter().flat_map(names).collect()
}

/// What was found out about one aspect of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub id: Id,
    pub outcome: Outcome,
    /// How long it took.
    pub time: Duration,
}

/// What came out of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Passed { detail: String },
    /// It isn't.
    Failed(Wrong),
    /// It was not checked, for this reason.
    Skipped { reason: String },
}

/// What is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub detail: String,
    pub hint: String,
}

/// What is right, or wrong.
pub(super) type Verdict = Result<String, Wrong>;

/// Something is wrong, and this can be done about it.
pub(super) fn wrong(detail: impl Into<String>, hint: impl Into<String>) -> Verdict {
    Err(Wrong { detail: detail.into(), hint: hint.into() })
}

/// Does one check after the other, and keeps what comes out.
pub(super) struct Recorder<'a> {
    /// What the user doesn't want to be checked.
    pub(super) skip: &'a [String],
    pub(super) until: Instant,
    pub(super) step: Box<dyn Step>,
    pub(super) told: &'a mut dyn FnMut(&Check),
    pub(super) checks: Vec<Check>,
}

impl Recorder<'_> {
    /// Does a check, if those that it needs have passed and there is time. Returns whether it passed.
    pub(super) async fn check(&mut self, id: Id, needs: &[Id], work: impl Future<Output = Verdict>) -> bool {
        if let Some(reason) = self.obstacle(id, needs) {
            self.skipped(id, reason);
            return false;
        }
        let limit = LONGEST.min(self.until.saturating_duration_since(Instant::now()));
        self.within(limit, id, work).await
    }

    /// Does a check, whatever has happened.
    pub(super) async fn last(&mut self, id: Id, work: impl Future<Output = Verdict>) -> bool {
        self.within(LONGEST, id, work).await
    }

    pub(super) fn skipped(&mut self, id: Id, reason: impl Into<String>) {
        self.record(Check { id, outcome: Outcome::Skipped { reason: reason.into() }, time: Duration::ZERO });
    }

    pub(super) fn passed(&self, id: Id) -> bool {
        self.checks.iter().any(|check| check.id == id && matches!(check.outcome, Outcome::Passed { .. }))
    }

    fn obstacle(&self, id: Id, needs: &[Id]) -> Option<String> {
        if self.skip.contains(&id.to_string()) {
            return Some("left out with --skip".to_owned());
        }
        let missing = needs.iter().find(|need| !self.passed(**need))?;
        let has_failed = self.checks.iter().any(|it| it.id == *missing && matches!(it.outcome, Outcome::Failed(_)));
        Some(format!("needs {missing}, which {}", if has_failed { "failed" } else { "was skipped" }))
    }

    async fn within(&mut self, limit: Duration, id: Id, work: impl Future<Output = Verdict>) -> bool {
        self.step.item(&id.to_string());
        let start = Instant::now();
        let verdict = if limit.is_zero() {
            wrong("not checked: the time for all checks has run out", "allow more with --timeout")
        } else {
            tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                let detail = format!("not finished after {} s", limit.as_secs_f32().round());
                wrong(detail, "see what the server is busy with: `mailimg status`, `mailimg logs`")
            })
        };
        let outcome = match verdict {
            Ok(detail) => Outcome::Passed { detail },
            Err(wrong) => Outcome::Failed(wrong),
        };
        self.record(Check { id, outcome, time: start.elapsed() });
        self.passed(id)
    }

    fn record(&mut self, check: Check) {
        debug_assert!(check.id == CLEANUP || ids().contains(&check.id.to_string()), "{} is not listed", check.id);
        (self.told)(&check);
        self.checks.push(check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Progress as _, Silent, Total};

    async fn outcomes(skip: &[String], until: Instant) -> Vec<Outcome> {
        let mut told = 0;
        let mut tell = |_: &Check| told += 1;
        let step = Silent.start("", Total::Unknown);
        let mut recorder = Recorder { skip, until, step, told: &mut tell, checks: Vec::new() };
        recorder.check(id(25, "greeting"), &[], async { Ok("hello".to_owned()) }).await;
        recorder.check(id(25, "offers"), &[id(25, "greeting")], async { wrong("nothing", "offer more") }).await;
        recorder.check(id(25, "tls"), &[id(25, "greeting"), id(25, "offers")], async { Ok(String::new()) }).await;
        recorder.check(id(25, "relay"), &[], std::future::pending()).await;
        recorder.last(CLEANUP, async { Ok("clean".to_owned()) }).await;
        let outcomes: Vec<_> = recorder.checks.into_iter().map(|check| check.outcome).collect();
        assert_eq!(told, outcomes.len());
        outcomes
    }

    fn failed(detail: &str, hint: &str) -> Outcome {
        Outcome::Failed(Wrong { detail: detail.to_owned(), hint: hint.to_owned() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_needs_what_comes_before_it_and_ends_in_time() {
        let skipped = |reason: &str| Outcome::Skipped { reason: reason.to_owned() };
        let later = Instant::now() + Duration::from_hours(1);
        let seen = outcomes(&[], later).await;
        assert_eq!(seen[0], Outcome::Passed { detail: "hello".to_owned() });
        assert_eq!(seen[1], failed("nothing", "offer more"));
        assert_eq!(seen[2], skipped("needs 25-offers, which failed"));
        assert!(matches!(&seen[3], Outcome::Failed(wrong) if wrong.detail == "not finished after 60 s"), "{seen:?}");
        assert_eq!(seen[4], Outcome::Passed { detail: "clean".to_owned() });

        let seen = outcomes(&["25-greeting".to_owned()], later).await;
        assert_eq!(seen[0], skipped("left out with --skip"));
        assert_eq!(seen[1], skipped("needs 25-greeting, which was skipped"));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_cleanup_is_done_when_the_time_is_over() {
        let seen = outcomes(&[], Instant::now()).await;
        let over = failed("not checked: the time for all checks has run out", "allow more with --timeout");
        assert_eq!((&seen[0], &seen[3]), (&over, &over));
        assert_eq!(seen[4], Outcome::Passed { detail: "clean".to_owned() });
    }

    #[test]
    fn every_id_is_listed_once() {
        let mut ids = ids();
        assert!(ids.len() > 30 && ids.contains(&"993-wrong-password".to_owned()), "{ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), super::ids().len());
    }
}
