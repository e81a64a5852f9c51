//! Reading packages.

use std::io::{self, Read};

use super::source::{Data, Expanded, Source};
use super::{Control, Info, InfoError, Measured, Member, PackageError, Script, ScriptKind};
use crate::apk::signature::{self, Keyring, Signature, SignatureError};
use crate::apk::tar::{Content, Entries, Entry, EntryKind, Position};
use crate::apk::{Checksum, gzip};
use crate::digest::{Digesting, Hashing};

/// The largest uncompressed control member, in bytes.
const CONTROL_LIMIT: u64 = 16 << 20;

/// The front of a package as it is stored: the signatures, and the control member that they sign.
pub struct Head {
    signatures: Vec<Signature>,
    signature_members: Vec<(Member, Vec<u8>)>,
    control: Vec<u8>,
    control_member: Member,
}

/// A package whose control member is not parsed yet, so that it can be verified first.
pub struct Unparsed<R, W = Hashing<io::Sink>> {
    head: Head,
    /// What the control member expands to.
    content: Vec<u8>,
    source: Source<R, W>,
    measures: bool,
}

/// Reads a package as a stream in constant memory: first signatures and control, then data entry by entry, then what is
/// known only at the end.
///
/// `W` can receive a copy of the compressed data member, see [`PackageReader::keep_data`].
pub struct PackageReader<R, W = Hashing<io::Sink>> {
    head: Head,
    control: Control,
    data: Entries<Data<R, W>>,
}

impl Head {
    /// The package's signatures, valid or not.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The signature members.
    pub fn signature_members(&self) -> impl Iterator<Item = Member> {
        self.signature_members.iter().map(|(member, _)| *member)
    }

    /// The bytes of the signature members.
    pub fn signature_bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.signature_members.iter().map(|(_, bytes)| bytes.as_slice())
    }

    /// The control member.
    #[must_use]
    pub fn control_member(&self) -> Member {
        self.control_member
    }

    /// The bytes of the control member.
    #[must_use]
    pub fn control_bytes(&self) -> &[u8] {
        &self.control
    }

    /// By which indexes name the package.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.control)
    }

    /// Checks that a trusted key has signed the control member and thereby the data. Returns the names of those keys.
    pub fn verify(&self, keyring: &Keyring) -> Result<Vec<String>, SignatureError> {
        keyring.verify(&self.signatures, &self.control)
    }
}

impl<R: Read, W: Digesting> Unparsed<R, W> {
    /// Reads signatures and control. Nothing is verified yet.
    pub fn new(source: R) -> Result<Self, PackageError> {
        Self::begin(Source::new(source), false)
    }

    /// Like [`Unparsed::new`], but the SHA-256 of the whole file and of the uncompressed data are also computed, which
    /// takes four times as long as hashing the members.
    pub fn measuring(source: R) -> Result<Self, PackageError> {
        Self::begin(Source::new(source).hash_file(), true)
    }

    fn begin(mut source: Source<R, W>, measures: bool) -> Result<Self, PackageError> {
        check_magic(&mut source)?;
        let mut signatures = Vec::new();
        let mut signature_members = Vec::new();
        loop {
            let (content, compressed, member) = source.member("control", CONTROL_LIMIT)?;
            if !signature::is_member(&content) {
                let head = Head { signatures, signature_members, control: compressed, control_member: member };
                return Ok(Self { head, content, source, measures });
            }
            if signature_members.len() == signature::MEMBER_LIMIT {
                return Err(PackageError::Signature(SignatureError::TooMany));
            }
            if content.len() as u64 > signature::ARCHIVE_LIMIT {
                return Err(PackageError::Signature(SignatureError::TooLarge));
            }
            signatures.extend(Signature::read(&content).map_err(PackageError::Signature)?);
            signature_members.push((member, compressed));
        }
    }

    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Parses the control member.
    pub fn parse(self) -> Result<PackageReader<R, W>, PackageError> {
        let Self { head, content, mut source, measures } = self;
        let control = read_control(&content, &head.control)?;
        if source.fill().map_err(|error| PackageError::from_io("data", error))?.is_empty() {
            return Err(PackageError::NoData);
        }
        let mut data = Data::new(source);
        if measures {
            data.hash_content();
        }
        Ok(PackageReader { head, control, data: Entries::new(data) })
    }
}

impl<R: Read> PackageReader<R> {
    /// Reads signatures and control, and parses control without verifying it.
    pub fn new(source: R) -> Result<Self, PackageError> {
        Unparsed::new(source)?.parse()
    }

    /// Like [`PackageReader::new`] for [`Unparsed::measuring`].
    pub fn measuring(source: R) -> Result<Self, PackageError> {
        Unparsed::measuring(source)?.parse()
    }
}

impl<R: Read, W: Digesting> PackageReader<R, W> {
    /// The content of the control member.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Writes the data member to `copy` while it is read. Call this before reading the first entry.
    #[must_use]
    pub fn keep_data(mut self, copy: W) -> Self {
        self.data.get_mut().source().copy_to(copy);
        self
    }

    /// The next entry of data, or none at its end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, PackageError> {
        self.data.next().map_err(|error| PackageError::from_tar("data", error))
    }

    /// The content of the last entry returned.
    pub fn content(&mut self) -> Content<'_, impl Read + use<R, W>> {
        self.data.content()
    }

    /// The position of the last entry returned in the uncompressed data.
    #[must_use]
    pub fn position(&self) -> &Position {
        self.data.position()
    }

    /// Reads the rest and checks the data against the control member.
    pub fn finish(self) -> Result<Measured, PackageError> {
        Ok(self.finish_keeping()?.0)
    }

    /// Like [`PackageReader::finish`]. Also returns what was passed to [`PackageReader::keep_data`], which now holds
    /// the data member.
    pub fn finish_keeping(mut self) -> Result<(Measured, Option<W>), PackageError> {
        while self.next_entry()?.is_some() {}
        let (ends_with_blocks, portable) = (self.data.ended_with_blocks(), self.data.is_portable());
        let Expanded { file, streams, size, sha256 } = self.data.into_inner().finish().ok_or(PackageError::NoData)?;
        if file.data.sha256 != self.control.data_hash {
            return Err(PackageError::DataHash { expected: self.control.data_hash, found: file.data.sha256 });
        }
        let measured = Measured {
            size: file.size,
            sha256: file.sha256,
            signatures: self.head.signature_members().collect(),
            control: self.head.control_member,
            data: file.data,
            data_streams: streams,
            diff_id: sha256,
            diff_size: size,
            ends_with_blocks,
            portable,
            checksum: self.head.checksum(),
        };
        Ok((measured, file.copy))
    }
}

impl Control {
    /// Reads a control member by itself.
    pub fn read(member: &[u8]) -> Result<Self, PackageError> {
        let mut source: Source<&[u8], Hashing<io::Sink>> = Source::checked(member);
        let (content, compressed, _) = source.member("control", CONTROL_LIMIT)?;
        read_control(&content, &compressed)
    }
}

/// Reads a data member on its own, entry by entry. It was checked when its package came in.
pub struct DataReader<R> {
    data: Entries<Data<R, Hashing<io::Sink>>>,
}

impl<R: Read> DataReader<R> {
    pub fn new(source: R) -> Self {
        Self { data: Entries::new(Data::new(Source::checked(source))) }
    }

    /// The next entry, or none at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, PackageError> {
        self.data.next().map_err(|error| PackageError::from_tar("data", error))
    }

    /// The content of the last entry returned.
    pub fn content(&mut self) -> Content<'_, impl Read + use<R>> {
        self.data.content()
    }

    /// The position of the last entry returned in the uncompressed data.
    #[must_use]
    pub fn position(&self) -> &Position {
        self.data.position()
    }
}

fn check_magic<R: Read, W: Digesting>(source: &mut Source<R, W>) -> Result<(), PackageError> {
    let begin = source.fill().map_err(|error| PackageError::from_io("first", error))?;
    match begin {
        begin if gzip::is_gzip(begin) => Ok(()),
        [b'A', b'D', b'B', ..] => Err(PackageError::FormatV3),
        begin if gzip::is_html(begin) => Err(PackageError::Html),
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
        // Holes could expand to any size.
        let read = entries.content().take(CONTROL_LIMIT + 1).read_to_end(&mut content);
        if read.map_err(|error| PackageError::from_io("control", error))? as u64 > CONTROL_LIMIT {
            return Err(PackageError::TooLarge { member: "control", limit: CONTROL_LIMIT });
        }
        let kind = ScriptKind::from_file_name(&entry.path);
        let again = match kind {
            Some(kind) => scripts.iter().any(|script: &Script| script.kind == kind),
            None => entry.path == b".PKGINFO" && info.is_some(),
        };
        // Other files with a leading dot are notes of the tool that built the package.
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
