use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::NamedTempFile;

use super::atomic::sync_directory;
use super::{Incoming, Store, StoreError};
use crate::digest::Sha256;

/// Threads that wait for the disk. A disk syncs many files at once in little more than the time of one.
const THREADS: usize = 16;

/// Takes many files into the store at once: files are synced and named while the next ones are made, and directories are
/// synced once at the end.
///
/// Each file is in the store completely or not at all, whenever the process ends; [`Keeper::finish`] returns when all are.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    sender: Option<SyncSender<Pending>>,
    threads: Vec<JoinHandle<Result<BTreeSet<Utf8PathBuf>, StoreError>>>,
}

/// A complete file that has yet to be synced and named.
#[derive(Debug)]
struct Pending {
    file: NamedTempFile,
    path: Utf8PathBuf,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        let (sender, receiver) = sync_channel(THREADS);
        let receiver = Arc::new(Mutex::new(receiver));
        let start = |_| {
            let receiver = Arc::clone(&receiver);
            std::thread::spawn(move || settle(&receiver))
        };
        Self { store, sender: Some(sender), threads: (0..THREADS).map(start).collect() }
    }

    /// The store that it takes files into.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes a file whose digest is `expected`, if that is given. Returns digest and size.
    pub fn keep(&self, incoming: Incoming, expected: Option<Sha256>) -> Result<(Sha256, u64), StoreError> {
        let (digest, size, file) = incoming.checked(expected)?;
        self.send(file, &self.store.path(&digest))?;
        Ok((digest, size))
    }

    /// Takes content that is at hand.
    pub fn keep_bytes(&self, bytes: &[u8]) -> Result<Sha256, StoreError> {
        let mut incoming = self.store.incoming(bytes.len() as u64)?;
        incoming.write(bytes)?;
        Ok(self.keep(incoming, None)?.0)
    }

    /// As [`Store::remember`].
    pub fn remember(&self, question: &Sha256, answer: &Sha256) -> Result<(), StoreError> {
        if self.store.recall(question) == Some(*answer) {
            return Ok(());
        }
        let mut incoming = self.store.incoming(64)?;
        incoming.write(answer.to_string().as_bytes())?;
        let (_, _, file) = incoming.checked(None)?;
        self.send(file, &self.store.fact(question))
    }

    fn send(&self, file: NamedTempFile, path: &Utf8Path) -> Result<(), StoreError> {
        let failed = || StoreError::io("write", path)(std::io::ErrorKind::BrokenPipe.into());
        let sender = self.sender.as_ref().ok_or_else(failed)?;
        sender.send(Pending { file, path: path.to_owned() }).map_err(|_| failed())
    }

    /// Waits until all files are where they belong.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), StoreError> {
        self.sender = None;
        let mut directories = BTreeSet::new();
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(touched)) => directories.extend(touched),
                Ok(Err(error)) => outcome = outcome.and(Err(error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome?;
        for directory in &directories {
            sync_directory(directory).map_err(StoreError::io("sync", directory))?;
        }
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Whoever drops it has another error to report.
        let _ = self.join();
    }
}

/// Syncs and names files until there are no more, and returns the directories in which they are. Once one has failed, the
/// others are let go.
fn settle(receiver: &Mutex<Receiver<Pending>>) -> Result<BTreeSet<Utf8PathBuf>, StoreError> {
    let mut touched = BTreeSet::new();
    let mut outcome = Ok(());
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(pending) = next else { return outcome.map(|()| touched) };
        if outcome.is_ok() {
            outcome = settle_one(pending, &mut touched);
        }
    }
}

fn settle_one(pending: Pending, touched: &mut BTreeSet<Utf8PathBuf>) -> Result<(), StoreError> {
    let Pending { file, path } = pending;
    let write = |error| StoreError::io("write", &path)(error);
    file.as_file().set_permissions(Permissions::from_mode(0o444)).map_err(write)?;
    file.as_file().sync_all().map_err(write)?;
    let shard = path.parent().unwrap_or(&path);
    make_shard(shard, touched)?;
    file.persist(&path).map_err(|error| write(error.error))?;
    touched.insert(shard.to_owned());
    Ok(())
}

fn make_shard(shard: &Utf8Path, touched: &mut BTreeSet<Utf8PathBuf>) -> Result<(), StoreError> {
    if !shard.is_dir() {
        std::fs::create_dir_all(shard).map_err(StoreError::io("make the directory", shard))?;
        touched.extend(shard.parent().map(Utf8Path::to_owned));
    }
    Ok(())
}
