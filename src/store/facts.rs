//! Facts about content that took effort to find out.
//!
//! A fact is one file: a seal, then what was asked and which content the answer refers to, then the answer. The seal is
//! a digest of all of it and of the question, so that neither a damaged answer is believed, nor that to another
//! question: facts are not synced, and after a crash a file that was not synced can hold what another one held.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, set_mode};
use crate::digest::{Hashing, Sha256};

/// Longest fact. The listing of a package of a hundred thousand files has about 10 MB.
const LIMIT: u64 = 512 << 20;

/// Something about content that takes long to find out and can't change, such as which entries a package has.
pub trait Question {
    /// The question in one word: `listing`.
    const NAME: &'static str;
    /// Raised when an older answer would be misread, or would be another one today.
    const VERSION: u32;
    /// The answer.
    type Answer: Serialize + DeserializeOwned;

    /// The subject: together with name and version, it identifies the question.
    fn subject(&self) -> Sha256;

    /// The content without which the answer is of no use.
    fn refers_to(&self, answer: &Self::Answer) -> Vec<Sha256>;
}

/// The description that a fact contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub name: String,
    pub version: u32,
    /// The content without which the answer is of no use.
    pub refers_to: Vec<Sha256>,
}

impl Store {
    /// Remembers an answer. It may be forgotten: whoever asks must be able to find out again.
    pub fn remember<Q: Question>(&self, question: &Q, answer: &Q::Answer) -> Result<(), StoreError> {
        let (id, refers_to) = (id(question), question.refers_to(answer));
        let known = self.fact(id);
        let path = self.writable()?.join("facts").join(id.to_string());
        let failed = StoreError::io("write", &path);
        let about = Fact { name: Q::NAME.to_owned(), version: Q::VERSION, refers_to };
        let body = postcard::to_stdvec(&about).and_then(|about| postcard::to_extend(answer, about));
        let body = match body {
            Ok(body) => body,
            Err(error) => return Err(failed(io::Error::other(error))),
        };
        let fact = [seal(id, &body).as_bytes(), body.as_slice()].concat();
        if std::fs::read(known).is_ok_and(|known| known == fact) {
            return Ok(());
        }
        let mut file = self.temporary()?;
        let write = || {
            file.write_all(&fact)?;
            set_mode(file.as_file(), 0o444)?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map(drop).map_err(failed)
    }

    /// The answer that has been [remembered](Store::remember).
    #[must_use]
    pub fn recall<Q: Question>(&self, question: &Q) -> Option<Q::Answer> {
        let id = id(question);
        let fact = read(&self.fact(id))?;
        let (_, answer): (Fact, _) = postcard::take_from_bytes(sound(&fact, id)?).ok()?;
        let (answer, rest) = postcard::take_from_bytes(answer).ok()?;
        rest.is_empty().then_some(answer)
    }

    /// Whether an answer is remembered, even a damaged one.
    #[must_use]
    pub fn remembers(&self, question: &impl Question) -> bool {
        self.fact(id(question)).is_file()
    }

    /// Where the fact is or would be.
    pub(super) fn fact(&self, id: Sha256) -> Utf8PathBuf {
        self.readable("facts", &id.to_string())
    }
}

/// The description in the fact at `path`; none if it is damaged.
pub(super) fn about(path: &Utf8Path) -> Option<Fact> {
    let id = path.file_name()?.parse().ok()?;
    let fact = read(path)?;
    postcard::take_from_bytes(sound(&fact, id)?).ok().map(|(about, _)| about)
}

/// The name of a fact's file.
fn id<Q: Question>(question: &Q) -> Sha256 {
    Sha256::of(format!("{} v{}\n{}\n", Q::NAME, Q::VERSION, question.subject()))
}

fn read(path: &Utf8Path) -> Option<Vec<u8>> {
    let mut fact = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut fact).ok()?;
    Some(fact)
}

/// All of a fact but its seal, if that is good.
fn sound(fact: &[u8], id: Sha256) -> Option<&[u8]> {
    let (found, body) = fact.split_first_chunk::<32>()?;
    (found == seal(id, body).as_bytes()).then_some(body)
}

fn seal(id: Sha256, body: &[u8]) -> Sha256 {
    let mut hashing = Hashing::new(io::sink());
    // A sink takes everything.
    let _ = hashing.write_all(id.as_bytes()).and_then(|()| hashing.write_all(body));
    hashing.finish().0
}
