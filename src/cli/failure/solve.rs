use super::{Exit, Failure};
use crate::apk::DependencyError;
use crate::solve::Unsolvable;

impl From<DependencyError> for Failure {
    fn from(error: DependencyError) -> Self {
        Self::new(Exit::Usage, &error)
    }
}

impl From<Unsolvable> for Failure {
    fn from(error: Unsolvable) -> Self {
        Self::new(Exit::Unsolvable, &error)
    }
}
