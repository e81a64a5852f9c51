use super::engine::EngineArgs;
use super::{Context, Failure};

/// Stop the mail server.
///
/// Stops and removes the containers. The volumes stay, and with them mail, users and the mail that is still to be sent:
/// `mailimg up` starts the server again with all of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let stack = args.engine.stack(context)?;
    let stopped = stack.containers()?.len();
    stack.down()?;
    context.ui().status(match stopped {
        0 => "nothing to do: no container of this site is there".to_owned(),
        1 => "stopped and removed 1 container; its volumes stay".to_owned(),
        many => format!("stopped and removed {many} containers; their volumes, with all mail, stay"),
    });
    Ok(())
}
