use super::Regression;
use crate::lock::{Change, Lock, Place, changes};

/// Refuses what a new lock should not do unless told to: go back to an older index or to older packages.
pub(super) fn refuse_going_back(old: &Lock, new: &Lock, image: &str) -> Result<(), Regression> {
    for (was, is) in old.repositories.iter().zip(&new.repositories).filter(|(was, is)| was.name == is.name) {
        if let (Place::Shared { date: locked, url, .. }, Place::Shared { date: found, url: now, .. }) =
            (&was.place, &is.place)
            && url == now
            && found < locked
        {
            return Err(Regression::OlderIndex { repository: is.name.clone(), locked: *locked, found: *found });
        }
    }
    let changes: Vec<_> = changes(old, new).into_iter().filter(Change::is_downgrade).collect();
    if changes.is_empty() { Ok(()) } else { Err(Regression::Downgrade { image: image.to_owned(), changes }) }
}
