//! The mail server apart from its images: projects, secrets, users and mail on its way.

pub mod accounts;
mod certificate;
pub mod dkim;
pub mod domains;
pub mod init;
pub mod password;
pub mod queue;
pub mod secrets;
