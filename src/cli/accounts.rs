use crate::config::Project;
use crate::mail::accounts::Accounts;
use crate::mail::stack::Stack;

use super::{Context, Failure};

/// The users and aliases of the project's running stack.
pub(super) fn open(context: &Context) -> Result<Accounts, Failure> {
    let stack = Stack::open(context.project())?;
    Ok(Accounts::new(stack, Project::open(context.project())?))
}
