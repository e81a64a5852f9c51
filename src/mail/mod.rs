//! The mail server apart from its images: projects, secrets, users.

pub mod accounts;
mod certificate;
pub mod dkim;
pub mod domains;
pub mod init;
pub mod password;
pub mod secrets;
