use std::collections::BTreeMap;
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::DeployError;
use crate::engine::{Container, EngineError, Health, RunError, Stack};
use crate::progress::{Progress, Step, Total};

/// How often to look.
const PAUSE: Duration = Duration::from_secs(1);

/// How long nothing may change before what is unhealthy is believed to stay so. A service that depends on another one
/// notices only at its next check that the other has become healthy.
const SETTLED: Duration = Duration::from_secs(30);

/// Creates and starts the containers. Returns whether all were started: some aren't if one that they depend on is
/// unhealthy.
pub(super) fn start(stack: &Stack, running: &[Container], progress: &dyn Progress) -> Result<bool, DeployError> {
    let mut watch = Watch::new(progress);
    // Compose waits for the services that others depend on, so watch them meanwhile.
    let started = std::thread::scope(|scope| {
        let starting = Builder::new().spawn_scoped(scope, || stack.up(running));
        let failed = |source| EngineError::Run { program: "compose".to_owned(), source: RunError::Start(source) };
        let starting = starting.map_err(failed)?;
        while !starting.is_finished() {
            std::thread::sleep(PAUSE / 5);
            if watch.looked.elapsed() >= PAUSE
                && let Ok(containers) = stack.containers()
            {
                watch.see(&containers);
            }
        }
        starting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    match started {
        Ok(()) => Ok(true),
        // Then the health check of that service knows more.
        Err(EngineError::Compose { said, .. }) if said.contains("dependency failed to start") => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// Waits until all containers are healthy, until no more change is to be expected, or until the time is over. Returns how
/// they are then.
pub(super) fn wait(stack: &Stack, until: Instant, progress: &dyn Progress) -> Result<Vec<Container>, DeployError> {
    let mut watch = Watch::new(progress);
    loop {
        let containers = stack.containers()?;
        watch.see(&containers);
        watch.tell(&containers);
        if watch.is_over(&containers) || Instant::now() >= until {
            return Ok(containers);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What was seen of the containers so far, and told.
struct Watch<'a> {
    progress: &'a dyn Progress,
    step: Box<dyn Step>,
    seen: BTreeMap<String, Health>,
    changed: Instant,
    looked: Instant,
    told: BTreeMap<String, String>,
}

impl<'a> Watch<'a> {
    fn new(progress: &'a dyn Progress) -> Self {
        let (step, now) = (progress.start("Starting", Total::Unknown), Instant::now());
        Self { progress, step, seen: BTreeMap::new(), changed: now, looked: now, told: BTreeMap::new() }
    }

    fn see(&mut self, containers: &[Container]) {
        let now = containers.iter().map(|container| (container.id.clone(), container.health)).collect();
        if now != self.seen {
            self.seen = now;
            self.changed = Instant::now();
        }
        let mut waiting = containers.iter().filter(|container| container.health != Health::Healthy);
        self.step.item(&waiting.next().map_or_else(String::new, ToString::to_string));
        self.looked = Instant::now();
    }

    /// Says once why a service is unhealthy, because that may take a while to change.
    fn tell(&mut self, containers: &[Container]) {
        for container in containers.iter().filter(|container| container.health == Health::Unhealthy) {
            let said = container.to_string();
            if self.told.get(&container.service) != Some(&said) {
                self.progress.warn(&said);
                self.told.insert(container.service.clone(), said);
            }
        }
    }

    fn is_over(&self, containers: &[Container]) -> bool {
        let all = |is: fn(Health) -> bool| containers.iter().all(|container| is(container.health));
        all(|health| health == Health::Healthy)
            || (all(|health| health != Health::Starting) && self.changed.elapsed() >= SETTLED)
    }
}
