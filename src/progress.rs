//! Progress reports of long work.
//!
//! A stage that takes its time is given a [`Progress`], and starts a [`Step`] for each thing that it does. How steps
//! look is not its business.

/// Shows progress. Any thread may use it.
pub trait Progress: Sync {
    /// Starts a step, which ends when the returned value is dropped. The title is shown as given, such as
    /// `Downloading packages`.
    fn start(&self, title: &str, total: Total) -> Box<dyn Step>;

    /// Reports what the user should know although the work continues.
    fn warn(&self, message: &str);
}

/// How much a step has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    Unknown,
    /// This many bytes.
    Bytes(u64),
    /// This many items.
    Items(u64),
}

/// A step in progress. Any thread may report to it.
pub trait Step: Send + Sync {
    /// This much more has been done.
    fn advance(&self, amount: u64);

    /// This much has to be repeated, because an attempt failed.
    fn retract(&self, amount: u64);

    /// What is being worked on now, such as the name of a file.
    fn item(&self, name: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: Total) -> Box<dyn Step> {
        Box::new(Self)
    }

    fn warn(&self, _: &str) {}
}

impl Step for Silent {
    fn advance(&self, _: u64) {}
    fn retract(&self, _: u64) {}
    fn item(&self, _: &str) {}
}
