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
    let Some(postmaster) = postmaster.filter(|it| project.site().domains.contains(it.domain())) else {
        return Ok(Vec::new());
    };
    let address = postmaster.to_string();
    let has_user = users.iter().any(|user| user.active && user.address == address);
    let everybody = format!("@{}", postmaster.domain());
    let is_alias = |source: &str| source == address || source == everybody;
    let has_alias = has_user || accounts.aliases()?.iter().any(|alias| is_alias(&alias.source));
    Ok(if has_alias { Vec::new() } else { vec![Next::AddPostmaster(postmaster)] })
}
