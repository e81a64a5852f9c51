use std::collections::BTreeMap;
use std::fmt;

use camino::Utf8Path;
use serde::Deserialize;

use crate::timestamp::Timestamp;

/// The label with which compose says whose container it is.
const SERVICE: &str = "com.docker.compose.service";

/// The label with which compose says which directory a container was started from.
const DIRECTORY: &str = "com.docker.compose.project.working_dir";

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 300;

/// After so many restarts, a container is not going to run.
const MANY_RESTARTS: u32 = 3;

/// A container of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub service: String,
    /// The name of its image.
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub health: Health,
    /// Why it isn't healthy: what its health check said last, or how it ended.
    pub reason: Option<String>,
    /// When it was last started.
    pub started: Option<Timestamp>,
    /// Whether the site has been moved since it was created. Then its secrets are no longer where it mounts them from, and
    /// the engine can't start it again.
    pub has_moved: bool,
}

impl Container {
    /// The directory that it was started from.
    pub(super) fn directory(&self) -> Option<&Utf8Path> {
        self.labels.get(DIRECTORY).map(Utf8Path::new)
    }
}

/// How a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It runs, and its health check, if it has one, succeeds.
    Healthy,
    /// It is too early to say.
    Starting,
    /// Its health check keeps failing.
    Unhealthy,
    /// It doesn't run.
    Stopped,
}

impl Health {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Unhealthy => "unhealthy",
            Self::Stopped => "stopped",
        }
    }
}

/// Its service with its health, and the reason.
impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.service, self.health.name())?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// Reads what `inspect` prints about containers.
pub(super) fn read(json: &[u8]) -> Result<Vec<Container>, serde_json::Error> {
    let inspected: Vec<Inspected> = serde_json::from_slice(json)?;
    let mut containers: Vec<Container> = inspected.into_iter().map(Container::from).collect();
    containers.sort_by(|a, b| a.service.cmp(&b.service));
    Ok(containers)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    config: Config,
    state: State,
    #[serde(default)]
    restart_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    started_at: String,
    health: Option<Checked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Checked {
    status: String,
    log: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    exit_code: i64,
    output: String,
}

impl From<Inspected> for Container {
    fn from(Inspected { id, config, state, restart_count }: Inspected) -> Self {
        let health = state.health(restart_count);
        let labels = config.labels.unwrap_or_default();
        Self {
            id,
            service: labels.get(SERVICE).cloned().unwrap_or_default(),
            image: config.image,
            labels,
            health,
            reason: if health == Health::Healthy { None } else { state.reason() },
            started: state.started(),
            has_moved: false,
        }
    }
}

impl State {
    fn health(&self, restarts: u32) -> Health {
        match (self.status.as_str(), self.health.as_ref().map(|health| health.status.as_str())) {
            ("running", None | Some("healthy" | "none" | "")) => Health::Healthy,
            ("running" | "restarting", _) if restarts >= MANY_RESTARTS => Health::Stopped,
            ("running", Some("unhealthy")) => Health::Unhealthy,
            ("running" | "restarting", _) => Health::Starting,
            _ => Health::Stopped,
        }
    }

    fn reason(&self) -> Option<String> {
        match self.status.as_str() {
            "running" => self.health.as_ref()?.last_words(),
            "created" => Some("it was not started".to_owned()),
            "exited" | "restarting" => Some(format!("it ended with exit code {}", self.exit_code)),
            status => Some(format!("it is {status}")),
        }
    }

    /// The engine counts nanoseconds, and has a date for what never started.
    fn started(&self) -> Option<Timestamp> {
        format!("{}Z", self.started_at.get(..19)?).parse().ok()
    }
}

impl Checked {
    /// The last line of the last check, if that failed.
    fn last_words(&self) -> Option<String> {
        let last = self.log.as_ref()?.last().filter(|check| check.exit_code != 0)?;
        let line = last.output.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(line.chars().take(LONGEST_REASON).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(state: &Value, restarts: u32) -> Container {
        let labels = json!({ SERVICE: "smtp" });
        let inspected = json!([{
            "Id": "1", "Config": { "Image": "mailimg/smtp:1", "Labels": labels }, "State": state, "RestartCount": restarts,
        }]);
        read(inspected.to_string().as_bytes()).unwrap().remove(0)
    }

    fn running(health: &str, exit_code: i64) -> Value {
        let check = json!({ "ExitCode": exit_code, "Output": "Traceback:\n  why\nno signatures yet\n\n" });
        let health = json!({ "Status": health, "Log": [{ "ExitCode": 1, "Output": "older" }, check] });
        json!({ "Status": "running", "StartedAt": "2026-06-03T10:11:12.123456789Z", "Health": health })
    }

    #[test]
    fn a_failed_check_is_the_reason() {
        let unhealthy = container(&running("unhealthy", 1), 0);
        assert_eq!((unhealthy.service.as_str(), unhealthy.health), ("smtp", Health::Unhealthy));
        assert_eq!(unhealthy.reason.as_deref(), Some("no signatures yet"));
        assert_eq!(unhealthy.started.unwrap().to_string(), "2026-06-03T10:11:12Z");
        let starting = container(&running("starting", 1), 0);
        assert_eq!((starting.health, starting.reason.as_deref()), (Health::Starting, Some("no signatures yet")));
        assert_eq!(container(&running("starting", 0), 0).reason, None);
        let healthy = container(&running("healthy", 0), 9);
        assert_eq!((healthy.health, healthy.reason), (Health::Healthy, None));
    }

    #[test]
    fn what_does_not_run_is_stopped() {
        let exited = container(&json!({ "Status": "exited", "ExitCode": 78 }), 0);
        assert_eq!((exited.health, exited.reason.as_deref()), (Health::Stopped, Some("it ended with exit code 78")));
        let created = container(&json!({ "Status": "created", "StartedAt": "0001-01-01T00:00:00Z" }), 0);
        assert_eq!((created.health, created.reason.as_deref()), (Health::Stopped, Some("it was not started")));
        assert_eq!(created.started, None);
        assert_eq!(container(&json!({ "Status": "restarting", "ExitCode": 1 }), 1).health, Health::Starting);
        assert_eq!(container(&json!({ "Status": "restarting", "ExitCode": 1 }), 3).health, Health::Stopped);
    }

    #[test]
    fn without_a_check_it_is_enough_to_run() {
        assert_eq!(container(&json!({ "Status": "running" }), 0).health, Health::Healthy);
    }
}
