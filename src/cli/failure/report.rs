use super::{Exit, Failure};
use crate::report::ReportError;

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match &error {
            ReportError::NotInImage { image, .. } => {
                Self::new(Exit::Missing, &error).hint(format!("list its packages with `mailimg tree {image}`"))
            }
            ReportError::OtherLayers { .. } => Self::new(Exit::Refused, &error).hint(super::build::DAMAGED),
        }
    }
}
