use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::digest::Sha256;
use crate::progress::{Progress, Step, Total};
use crate::registry::Blob;

/// Adds up the bytes sent of all blobs in one step, counting each blob once.
pub(super) struct Meter {
    step: Box<dyn Step>,
    sent: Mutex<HashMap<Sha256, u64>>,
}

impl Meter {
    pub(super) fn new<'b>(progress: &dyn Progress, blobs: impl Iterator<Item = &'b Blob>) -> Self {
        let sizes: HashMap<Sha256, u64> = blobs.map(|blob| (blob.digest, blob.size)).collect();
        let step = progress.start("Pushing images", Total::Bytes(sizes.values().sum()));
        Self { step, sent: Mutex::default() }
    }

    /// The blobs that follow are of this image.
    pub(super) fn image(&self, name: &str) {
        self.step.item(name);
    }

    /// This many bytes of a blob have arrived: fewer than before if it is sent again.
    pub(super) fn sent(&self, blob: &Blob, bytes: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = sent.insert(blob.digest, bytes).unwrap_or_default();
        if bytes < before {
            self.step.retract(before - bytes);
        } else {
            self.step.advance(bytes - before);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// What has been counted, and of how much.
    #[derive(Default, Clone)]
    struct Counter(Arc<(AtomicU64, AtomicU64)>);

    impl Counter {
        fn shown(&self) -> (u64, u64) {
            (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed))
        }
    }

    impl Progress for Counter {
        fn start(&self, _: &str, total: Total) -> Box<dyn Step> {
            let Total::Bytes(bytes) = total else { panic!("{total:?}") };
            self.0.1.store(bytes, Ordering::Relaxed);
            Box::new(self.clone())
        }

        fn warn(&self, _: &str) {}
    }

    impl Step for Counter {
        fn advance(&self, amount: u64) {
            self.0.0.fetch_add(amount, Ordering::Relaxed);
        }

        fn retract(&self, amount: u64) {
            self.0.0.fetch_sub(amount, Ordering::Relaxed);
        }

        fn item(&self, _: &str) {}
    }

    #[test]
    fn what_images_share_counts_once_and_what_is_sent_again_goes_back() {
        let blob = |name: &str, size| Blob { digest: Sha256::of(name), size, path: name.into() };
        let (shared, own) = (blob("shared", 10), blob("own", 5));
        let counter = Counter::default();
        let meter = Meter::new(&counter, [&shared, &own, &shared].into_iter());
        for (blob, bytes, sum) in
            [(&shared, 7, 7), (&own, 5, 12), (&shared, 0, 5), (&shared, 10, 15), (&shared, 10, 15)]
        {
            meter.sent(blob, bytes);
            assert_eq!(counter.shown(), (sum, 15));
        }
    }
}
