use super::repositories::RepositoryArgs;
use crate::cli::{Context, Failure};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints a line for each package, NAME-VERSION, in the order in which apk installs them into an empty root. If there is \
no solution, says why and exits with 5.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    repositories: RepositoryArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let offer = args.repositories.read(context)?;
    let plan = offer.solve()?;
    let lines: Vec<String> =
        plan.steps.iter().map(|it| format!("{}-{}\n", it.package.name, it.package.version)).collect();
    context.ui().write(lines.concat().as_bytes())?;
    // Dropping a universe takes ten times as long as solving, and the program ends here.
    std::mem::forget(offer.repositories);
    Ok(())
}
