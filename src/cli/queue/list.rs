use super::{Context, EngineArgs, Failure, count};
use crate::mail::queue::{Mail, Recipient};

/// List mail that waits for delivery.
///
/// Prints each mail's id, state, time of arrival (UTC), size in bytes and sender, oldest first, and below it the
/// recipients it has yet to reach, with the reason why the last attempt failed. The states are Postfix's: `active` and
/// `incoming` mail is being delivered, `deferred` mail is tried again by itself, and mail on `hold` waits until it is
/// released. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg queue list
  mailimg queue list --json | jq -r '.[] | select(.sender == \"bob@example.org\") | .id'")]
pub(in crate::cli) struct Args {
    /// Print a JSON array of objects with id, queue (the state), arrived (RFC 3339, UTC), size (bytes), sender (empty for
    /// bounces) and recipients, an array of objects with address and reason (null before the first attempt)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mails = args.engine.queue(context)?.list()?;
    if args.json {
        return context.ui().json(&mails);
    }
    for Mail { id, queue, arrived, size, sender, recipients } in &mails {
        let sender = if sender.is_empty() { "<>" } else { sender };
        context.ui().line(format!("{id}  {queue:8}  {arrived}  {size:>9}  {sender}"))?;
        for Recipient { address, reason } in recipients {
            let reason = reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
            context.ui().line(format!("    {address}{reason}"))?;
        }
    }
    context.ui().status(format!("{} in the queue", count(mails.len())));
    Ok(())
}
