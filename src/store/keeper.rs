use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use camino::Utf8PathBuf;
use tempfile::NamedTempFile;

use super::seals::Seals;
use super::{Incoming, Store, StoreError, settle};
use crate::digest::Sha256;

/// Threads that wait for the disk. Syncing many files at once takes a disk little longer than syncing one.
const THREADS: usize = 8;

/// Stores many files: each is synced and renamed while the next ones are written, and the directory is synced once at
/// the end.
///
/// Whenever the process ends, each file is stored completely or not at all. [`Keeper::finish`] returns once all are
/// stored.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    sender: Option<SyncSender<Pending>>,
    threads: Vec<JoinHandle<Result<(), StoreError>>>,
}

/// A complete file that must still be synced and renamed.
#[derive(Debug)]
struct Pending {
    file: NamedTempFile,
    digest: Sha256,
    path: Utf8PathBuf,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(THREADS);
        let receiver = Arc::new(Mutex::new(receiver));
        let start = |_| {
            let (receiver, seals) = (Arc::clone(&receiver), Arc::clone(&store.seals));
            std::thread::Builder::new().spawn(move || settle_all(&receiver, &seals))
        };
        let threads = (0..THREADS).map(start).collect::<io::Result<_>>();
        let threads = threads.map_err(|source| StoreError::Thread { source })?;
        Ok(Self { store, sender: Some(sender), threads })
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores a file, which must have the digest `expected` if that is given. Returns digest and size.
    pub fn keep(&self, incoming: Incoming, expected: Option<Sha256>) -> Result<(Sha256, u64), StoreError> {
        let (digest, size, file) = incoming.checked(expected)?;
        self.send(Pending { file, digest, path: self.store.place(digest)? })?;
        Ok((digest, size))
    }

    /// Stores bytes, unless the store already has them. An entry that was changed is replaced.
    pub fn keep_bytes(&self, bytes: &[u8]) -> Result<Sha256, StoreError> {
        let digest = Sha256::of(bytes);
        if self.store.find_sized(&digest, bytes.len() as u64).is_some() {
            return Ok(digest);
        }
        let mut incoming = self.store.incoming(bytes.len() as u64)?;
        incoming.write(bytes)?;
        Ok(self.keep(incoming, None)?.0)
    }

    fn send(&self, pending: Pending) -> Result<(), StoreError> {
        let path = pending.path.clone();
        let failed = || StoreError::io("write", &path)(io::ErrorKind::BrokenPipe.into());
        let sender = self.sender.as_ref().ok_or_else(failed)?;
        sender.send(pending).map_err(|_| failed())
    }

    /// Waits until all files are stored.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), StoreError> {
        self.sender = None;
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            let settled = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome = outcome.and(settled);
        }
        outcome?;
        self.store.sync()?;
        self.store.remember_seals();
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // If it is dropped, there is another error to report.
        let _ = self.join();
    }
}

/// Syncs and renames files until there are no more. After a failure the others are dropped.
fn settle_all(receiver: &Mutex<Receiver<Pending>>, seals: &Seals) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Pending { file, digest, path }) = next else { return outcome };
        if outcome.is_ok() {
            outcome = settle(file, digest, &path, seals);
        }
    }
}
