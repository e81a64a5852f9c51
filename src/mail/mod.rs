//! The mail server beyond its images: a new project, its secrets, its users.

pub mod accounts;
mod certificate;
pub mod dkim;

pub mod init;
pub mod password;
pub mod secrets;
pub mod stack;
