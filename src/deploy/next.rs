use super::DeployError;
use crate::config::{Address, Project, Role};
use crate::mail::accounts::Accounts;

/// What is left to do for the owner of a running server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There are no users yet. If the address is known, it is the one that has to exist.
    AddUsers(Option<Address>),
    /// Mail to the postmaster bounces, because nobody has this address.
    AddPostmaster(Address),
    /// The DNS records of the keys that sign mail have to be published.
    PublishKeys,
}

/// What is left to do, if the site has users.
pub fn next(project: &Project, accounts: &Accounts) -> Result<Vec<Next>, DeployError> {
    if project.image_with(Role::Accounts).is_err() {
        return Ok(Vec::new());
    }
    let postmaster = project.site().postmaster.clone();
    let users = accounts.users()?;
    if users.is_empty() {
        return Ok(vec![Next::AddUsers(postmaster), Next::PublishKeys]);
    }
    let is_missing = accounts.routes()?.missing_postmaster().is_some();
    Ok(postmaster.filter(|_| is_missing).map(Next::AddPostmaster).into_iter().collect())
}
