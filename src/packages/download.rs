//! Downloads and the work on them: the runtime waits for the network while threads read what has arrived.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

use futures_util::StreamExt as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::fetch::{Client, FetchError, Fetched, Request, Size};
use crate::progress::{Progress, Total};
use crate::store::StoreError;

/// How many files may wait for a thread. They are on disk; this bounds how many are open.
const WAITING: usize = 32;

/// What is needed to fetch files. Don't use it inside the runtime: it blocks the caller's thread.
#[derive(Clone, Copy)]
pub struct Fetching<'a> {
    /// Fetches, and holds the store.
    pub client: &'a Client,
    /// Waits for the network.
    pub runtime: &'a Runtime,
    /// Shows the progress of downloads.
    pub progress: &'a dyn Progress,
}

/// Fetches a file for each item and gives both to `work`, on as many threads as there are processors. The results are
/// in the items' order. After an error no more work begins.
pub(crate) fn each<I: Sync, T: Send, E: From<StoreError> + Send>(
    Fetching { client, runtime, progress }: Fetching<'_>,
    (requests, items): (&[Request], &[I]),
    work: impl Fn(&I, Result<Fetched, FetchError>) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let step = progress.start("Fetching packages", Total::Bytes(requests.iter().filter_map(exact_size).sum()));
    let results = Mutex::new(BTreeMap::new());
    let failed = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel(WAITING);
    let receiver = Mutex::new(receiver);
    let worker = || {
        loop {
            let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            let Some((position, file)) = next else { return };
            if let Some(item) = items.get(position).filter(|_| !failed.load(Ordering::Relaxed)) {
                let result = work(item, file);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                results.lock().unwrap_or_else(PoisonError::into_inner).insert(position, result);
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(requests.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            Builder::new().spawn_scoped(scope, worker).map_err(|source| StoreError::Thread { source })?;
        }
        // When this is done, the sender is dropped, and the workers end.
        runtime.block_on(async {
            let sender = sender;
            let mut files = pin!(client.open_all(requests, &*step));
            while let Some(next) = files.next().await {
                if failed.load(Ordering::Relaxed) || sender.send(next).await.is_err() {
                    break;
                }
            }
        });
        Ok::<_, E>(())
    })?;
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn exact_size(request: &Request) -> Option<u64> {
    match request.size {
        Size::Exactly(size) => Some(size),
        Size::AtMost(_) => None,
    }
}

/// The order in which to read packages sorted by size: the largest, the smallest, the second largest, …. That way no
/// large one is started last, and the disk, for which a small one is as much work, is always busy.
pub(crate) fn from_both_ends<T>(sorted: Vec<T>) -> Vec<T> {
    let mut rest = VecDeque::from(sorted);
    let next = |position| if position % 2 == 0 { rest.pop_back() } else { rest.pop_front() };
    (0..).map_while(next).collect()
}

#[cfg(test)]
mod tests {
    use super::from_both_ends;

    #[test]
    fn the_largest_and_the_smallest_come_in_turn() {
        assert_eq!(from_both_ends(vec![1, 2, 3, 4, 5]), [5, 1, 4, 2, 3]);
        assert_eq!(from_both_ends(vec![1, 2]), [2, 1]);
        assert!(from_both_ends::<u8>(Vec::new()).is_empty());
    }
}
