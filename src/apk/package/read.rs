//! Reading packages.

use std::io::{BufRead, Read};

use super::source::{Data, Source};
use super::{Control, Info, InfoError, Measured, Member, PackageError, Script, ScriptKind};
use crate::apk::Checksum;
use crate::apk::signature::{self, Keyring, Signature, SignatureError};
use crate::apk::tar::{Content, Entries, Entry, EntryKind, Position};
use crate::digest::Hashing;

/// Most bytes that the control member may expand to.
const CONTROL_LIMIT: u64 = 16 << 20;

/// Reads a package from front to back, in memory that does not grow with it: signatures and control at once, then entry
/// by entry of data, then what is known only at the end.
pub struct PackageReader<R> {
    signatures: Vec<Signature>,
    signature_members: Vec<Member>,
    control: Control,
    control_bytes: Vec<u8>,
    control_member: Member,
    data: Entries<Hashing<Data<R>>>,
}

impl<R: Read> PackageReader<R> {
    /// Reads signatures and control. Nothing is verified yet.
    pub fn new(source: R) -> Result<Self, PackageError> {
        let mut source = Source::new(source);
        check_magic(&mut source)?;
        let mut signatures = Vec::new();
        let mut signature_members = Vec::new();
        loop {
            let (content, compressed, member) = source.member("control", CONTROL_LIMIT)?;
            if !content.starts_with(signature::MEMBER_START) {
                let control = read_control(&content, &compressed)?;
                if source.fill_buf().map_err(PackageError::Read)?.is_empty() {
                    return Err(PackageError::NoData);
                }
                return Ok(Self {
                    signatures,
                    signature_members,
                    control,
                    control_bytes: compressed,
                    control_member: member,
                    data: Entries::new(Hashing::new(Data::new(source))),
                });
            }
            if signature_members.len() == signature::MEMBER_LIMIT {
                return Err(PackageError::Signature(SignatureError::TooMany));
            }
            if content.len() as u64 > signature::ARCHIVE_LIMIT {
                return Err(PackageError::TooLarge { member: "signature", limit: signature::ARCHIVE_LIMIT });
            }
            signatures.extend(Signature::read(&content, &compressed).map_err(PackageError::Signature)?);
            signature_members.push(member);
        }
    }

    /// What the control member holds.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The signatures that the package carries, valid or not.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Checks that a trusted key has signed the control member, and with it what data must be.
    /// Returns the names of the keys that did.
    pub fn verify(&self, keyring: &Keyring) -> Result<Vec<String>, SignatureError> {
        keyring.verify(&self.signatures, &self.control_bytes)
    }

    /// The next entry of data, or none at its end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, PackageError> {
        self.data.next().map_err(|error| PackageError::from_tar("data", error))
    }

    /// Content of the entry that was returned last.
    pub fn content(&mut self) -> Content<'_, impl Read + use<R>> {
        self.data.content()
    }

    /// Where the entry that was returned last lies in the uncompressed data.
    #[must_use]
    pub fn position(&self) -> &Position {
        self.data.position()
    }

    /// Reads what is left, and checks that data is what control says.
    pub fn finish(mut self) -> Result<Measured, PackageError> {
        while self.next_entry()?.is_some() {}
        let ends_with_blocks = self.data.ended_with_blocks();
        let (diff_id, diff_size, data) = self.data.into_inner().finish();
        let (source, data_streams) = data.finish().ok_or(PackageError::NoData)?;
        let (data, sha256, size) = source.finish();
        if data.sha256 != self.control.data_hash {
            return Err(PackageError::DataHash { expected: self.control.data_hash, found: data.sha256 });
        }
        Ok(Measured {
            size,
            sha256,
            signatures: self.signature_members,
            control: self.control_member,
            data,
            data_streams,
            diff_id,
            diff_size,
            ends_with_blocks,
            checksum: Checksum::of(&self.control_bytes),
        })
    }
}

/// Reads a data member by itself, entry by entry. What it must be has been checked when its package came in.
pub struct DataReader<R> {
    data: Entries<Data<R>>,
}

impl<R: Read> DataReader<R> {
    /// Reads nothing yet.
    pub fn new(source: R) -> Self {
        Self { data: Entries::new(Data::new(Source::new(source))) }
    }

    /// The next entry, or none at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, PackageError> {
        self.data.next().map_err(|error| PackageError::from_tar("data", error))
    }

    /// Content of the entry that was returned last.
    pub fn content(&mut self) -> Content<'_, impl Read + use<R>> {
        self.data.content()
    }

    /// Where the entry that was returned last lies in the uncompressed data.
    #[must_use]
    pub fn position(&self) -> &Position {
        self.data.position()
    }
}

fn check_magic<R: Read>(source: &mut Source<R>) -> Result<(), PackageError> {
    let begin = source.fill_buf().map_err(PackageError::Read)?;
    match begin {
        [0x1f, ..] => Ok(()),
        [b'A', b'D', b'B', ..] => Err(PackageError::FormatV3),
        _ => Err(PackageError::NotAPackage),
    }
}

fn read_control(archive: &[u8], compressed: &[u8]) -> Result<Control, PackageError> {
    let tar = |error| PackageError::from_tar("control", error);
    let mut entries = Entries::new(archive);
    let mut info = None;
    let mut scripts = Vec::new();
    while let Some(entry) = entries.next().map_err(tar)? {
        let mut content = Vec::new();
        // Holes could expand to anything.
        let read = entries.content().take(CONTROL_LIMIT + 1).read_to_end(&mut content);
        if read.map_err(|error| PackageError::from_io("control", error))? as u64 > CONTROL_LIMIT {
            return Err(PackageError::TooLarge { member: "control", limit: CONTROL_LIMIT });
        }
        let kind = ScriptKind::from_file_name(&entry.path);
        let again = match kind {
            Some(kind) => scripts.iter().any(|script: &Script| script.kind == kind),
            None => entry.path == b".PKGINFO" && info.is_some(),
        };
        // Other files whose names begin with a dot are notes of the tool that made the package.
        if again || !entry.path.starts_with(b".") || entry.kind != EntryKind::File {
            return Err(PackageError::Unexpected { member: "control", path: entry.display_path().into_owned() });
        }
        match kind {
            Some(kind) => scripts.push(Script { kind, text: content }),
            None if entry.path == b".PKGINFO" => info = Some(content),
            None => {}
        }
    }
    let pkginfo = info.ok_or(PackageError::NoInfo)?;
    let Info { mut package, data_hash, triggers } = Info::parse(&pkginfo)?;
    package.checksum = Some(Checksum::of(compressed));
    let data_hash = data_hash.ok_or(InfoError::NoDataHash)?;
    Ok(Control { package, data_hash, triggers, scripts, pkginfo })
}
