use super::{Context, Failure};
use crate::config::Project;
use crate::engine::{Engine, Stack};
use crate::mail::accounts::Accounts;
use crate::mail::queue::Queue;

/// The container engine that a command uses.
#[derive(Debug, clap::Args)]
pub(super) struct EngineArgs {
    /// The container engine's command-line program [default: docker, or podman if docker doesn't answer]
    #[arg(long, value_name = "PROGRAM", env = "MAILIMG_ENGINE")]
    engine: Option<String>,
}

impl EngineArgs {
    pub(super) fn find(&self) -> Result<Engine, Failure> {
        Ok(Engine::find(self.engine.as_deref())?)
    }

    /// The engine's program, if a certain one is to be used.
    pub(super) fn program(&self) -> Option<&str> {
        self.engine.as_deref()
    }

    /// The containers of the project.
    pub(super) fn stack(&self, context: &Context) -> Result<Stack, Failure> {
        Ok(Stack::open(context.project(), self.program())?)
    }

    /// Users and aliases of the project's running stack.
    pub(super) fn accounts(&self, context: &Context) -> Result<Accounts, Failure> {
        Ok(Accounts::new(self.stack(context)?, Project::open(context.project())?))
    }

    /// The queue of the project's running stack.
    pub(super) fn queue(&self, context: &Context) -> Result<Queue, Failure> {
        Ok(Queue::new(self.stack(context)?, Project::open(context.project())?))
    }
}
