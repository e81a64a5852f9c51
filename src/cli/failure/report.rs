use super::{Exit, Failure};
use crate::report::ReportError;

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let failure = Self::new(Exit::Missing, &error);
        match &error {
            ReportError::NotInImage { image, .. } => {
                failure.hint(format!("`mailimg tree {image}` shows what is in it"))
            }
        }
    }
}
