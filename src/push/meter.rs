use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Progress;
use crate::digest::Sha256;
use crate::registry::Blob;

/// Adds up the bytes sent of all blobs, counting each once.
pub(super) struct Meter<'a> {
    progress: Progress<'a>,
    total: u64,
    sent: Mutex<HashMap<Sha256, u64>>,
}

impl<'a> Meter<'a> {
    pub(super) fn new<'b>(progress: Progress<'a>, blobs: impl Iterator<Item = &'b Blob>) -> Self {
        let sizes: HashMap<Sha256, u64> = blobs.map(|blob| (blob.digest, blob.size)).collect();
        Self { progress, total: sizes.values().sum(), sent: Mutex::default() }
    }

    /// This many bytes of a blob have arrived: fewer than before if it is sent again.
    pub(super) fn sent(&self, image: &str, blob: &Blob, bytes: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = sent.insert(blob.digest, bytes);
        if before != Some(bytes) {
            (self.progress)(image, sent.values().sum(), self.total);
        }
    }
}
