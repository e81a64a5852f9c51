//! Made-up packages and repositories, made with mailimg's own writer.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mailimg::apk::index::Index;
use mailimg::apk::package::{Info, PackageReader, PackageWriter, Script, ScriptKind};
use mailimg::apk::tar::{Entry, EntryKind};
use mailimg::apk::{Dependency, Package, Provide, SigningKey, Version};
use mailimg::digest::Sha256;

/// When made-up packages were built: 2026-06-01.
pub const BUILT: u64 = 1_780_272_000;

/// The key that test channels trust.
pub fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate("test@mailimg-1.rsa.pub").unwrap())
}

/// A key that they don't trust.
pub fn other_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate("other@mailimg-2.rsa.pub").unwrap())
}

/// A made-up package.
#[derive(Debug, Clone)]
pub struct Made {
    info: Info,
    entries: Vec<(Entry, Vec<u8>)>,
    scripts: Vec<Script>,
    reshape: Option<Reshape>,
}

/// A data archive as another tool would write it: the same or a different one, in separately compressed pieces.
pub type Reshape = fn(Vec<u8>) -> Vec<Vec<u8>>;

impl Made {
    /// A package with a file `usr/share/<name>` that contains the version.
    pub fn new(name: &str, version: &str) -> Self {
        Self::bare(name, version).file(&format!("usr/share/{name}"), version)
    }

    /// A package without files.
    pub fn bare(name: &str, version: &str) -> Self {
        let mut package = Package::new(name, Version::any(version), "x86_64");
        package.description = format!("{name} for tests");
        "MIT".clone_into(&mut package.license);
        package.build_time = Some(BUILT);
        let info = Info { package, data_hash: None, triggers: Vec::new() };
        Self { info, entries: Vec::new(), scripts: Vec::new(), reshape: None }
    }

    pub fn depends(mut self, dependencies: &str) -> Self {
        self.info.package.depends = Dependency::parse_list(dependencies).unwrap();
        self
    }

    pub fn provides(mut self, provides: &str) -> Self {
        self.info.package.provides = Provide::parse_list(provides).unwrap();
        self
    }

    pub fn built(mut self, time: u64) -> Self {
        self.info.package.build_time = Some(time);
        self
    }

    /// A file owned by root.
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        let entry = Entry { mtime: BUILT.cast_signed(), ..Entry::new(path, EntryKind::File, 0o644) };
        self.entry(entry, content)
    }

    /// Any entry; the content is for files.
    pub fn entry(mut self, entry: Entry, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        self.entries.push((Entry { size: content.len() as u64, ..entry }, content));
        self
    }

    /// Changes the data archive before it is compressed.
    pub fn reshaped(mut self, reshape: Reshape) -> Self {
        self.reshape = Some(reshape);
        self
    }

    pub fn script(mut self, kind: ScriptKind, text: &str) -> Self {
        self.scripts.push(Script { kind, text: text.as_bytes().to_vec() });
        self
    }

    /// Changes the package's own metadata.
    pub fn with(mut self, change: impl FnOnce(&mut Package)) -> Self {
        change(&mut self.info.package);
        self
    }

    pub fn file_name(&self) -> String {
        format!("{}-{}.apk", self.info.package.name, self.info.package.version)
    }

    /// Writes the file into `directory`, and returns its entry for the index.
    fn write(&self, directory: &Path, key: Option<&SigningKey>) -> Package {
        let mut writer = PackageWriter::new(BUILT.cast_signed());
        for (entry, content) in &self.entries {
            writer.add(entry, &mut content.as_slice()).unwrap();
        }
        let mut bytes = Vec::new();
        let written = writer.finish(&self.info, &self.scripts, key, &mut bytes).unwrap();
        let package = match self.reshape {
            Some(reshape) => {
                bytes = reshaped(&bytes, reshape, key);
                let measured = PackageReader::new(bytes.as_slice()).unwrap().finish().unwrap();
                Package { file_size: Some(measured.size), checksum: Some(measured.checksum), ..written.package }
            }
            None => written.package,
        };
        fs_err::write(directory.join(self.file_name()), bytes).unwrap();
        package
    }
}

/// The package with another data member, with the control member adapted to it.
fn reshaped(package: &[u8], reshape: Reshape, key: Option<&SigningKey>) -> Vec<u8> {
    let measured = PackageReader::new(package).unwrap().finish().unwrap();
    let pieces = reshape(gunzip(&package[usize::try_from(measured.data.offset).unwrap()..]));
    let data = pieces.iter().map(|piece| gzip(piece)).collect::<Vec<_>>().concat();
    let begin = usize::try_from(measured.control.offset).unwrap();
    let control = gunzip(&package[begin..begin + usize::try_from(measured.control.size).unwrap()]);
    let (old, new) = (measured.data.sha256.to_string(), Sha256::of(&data).to_string());
    let at = control.windows(old.len()).position(|it| it == old.as_bytes()).unwrap();
    let control = gzip(&[&control[..at], new.as_bytes(), &control[at + old.len()..]].concat());
    let signature = key.map_or_else(Vec::new, |key| key.sign(&control).unwrap());
    [signature, control, data].concat()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A repository in a directory, of x86_64 unless more is added.
pub struct MadeRepository {
    path: PathBuf,
}

impl MadeRepository {
    /// Packages and index, both signed by [`key`].
    pub fn new(path: impl Into<PathBuf>, packages: &[Made]) -> Self {
        let repository = Self { path: path.into() };
        repository.publish(packages, Some(key()), Some(key()));
        repository
    }

    /// Replaces all packages.
    pub fn publish(&self, packages: &[Made], package_key: Option<&SigningKey>, index_key: Option<&SigningKey>) {
        let directory = self.path.join("x86_64");
        if directory.exists() {
            fs_err::remove_dir_all(&directory).unwrap();
        }
        fs_err::create_dir_all(&directory).unwrap();
        let packages: Vec<_> = packages.iter().map(|package| package.write(&directory, package_key)).collect();
        fs_err::write(self.index(), Index::new("made up", packages).write(index_key).unwrap()).unwrap();
    }

    /// Adds the same packages for another architecture.
    pub fn add_architecture(&self, arch: &str, packages: &[Made]) {
        let directory = self.path.join(arch);
        fs_err::create_dir_all(&directory).unwrap();
        let for_arch = |package: &Made| package.clone().with(|package| arch.clone_into(&mut package.arch));
        let packages: Vec<_> = packages.iter().map(|it| for_arch(it).write(&directory, Some(key()))).collect();
        let index = Index::new("made up", packages).write(Some(key())).unwrap();
        fs_err::write(directory.join("APKINDEX.tar.gz"), index).unwrap();
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn index(&self) -> PathBuf {
        self.file("APKINDEX.tar.gz")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join("x86_64").join(name)
    }

    /// Changes one byte of a file, `from_end` bytes before its end.
    pub fn tamper(&self, name: &str, from_end: usize) {
        let path = self.file(name);
        let mut bytes = fs_err::read(&path).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        fs_err::write(path, bytes).unwrap();
    }
}

/// `channel.toml` of a channel with one repository, `main`, that trusts [`key`].
pub fn channel(url: &str) -> String {
    let (name, fingerprint) = (key().name(), Sha256::of(key().public_pem().unwrap()));
    format!(
        "description = \"made up\"\narchitectures = [\"x86_64\"]\n\n[[repository]]\nname = \"main\"\nurl = {url:?}\n\n\
         [keys]\n{name:?} = \"{fingerprint}\"\n"
    )
}

/// Writes the public half of a key into `directory`.
pub fn write_key(directory: &Path, key: &SigningKey) {
    fs_err::create_dir_all(directory).unwrap();
    fs_err::write(directory.join(key.name()), key.public_pem().unwrap()).unwrap();
}
