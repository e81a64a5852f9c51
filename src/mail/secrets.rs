//! What must never be in an image: passwords and keys, as files in the project's `secrets` directory.
//!
//! The engine mounts these files with their owner and mode, and daemons that can't override permissions must be able to
//! read them. So the files are world-readable, but the directory is accessible only to its owner.

use std::collections::BTreeSet;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::certificate::{self, Pair};
use super::dkim;
use crate::config::{ConfigError, Mount, Name, Project, Secret as Wanted, SecretKind};
use crate::store::{WriteError, cautious, lock_exclusive, write_atomic};

/// 238 bits.
const PASSWORD_LENGTH: usize = 40;

/// How many keys a file holds at most: the newest, and those that are still accepted.
const MOST_KEYS: usize = 3;

/// Why secrets could not be created.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A directory could not be created or read.
    #[error("can't use {path}")]
    Io { path: Utf8PathBuf, source: io::Error },
    /// The site doesn't say what a secret needs.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate that nobody can sign.
    #[error("nothing can sign {secret}, the certificate of {image}: no recipe has a secret of kind \"authority\"")]
    NoAuthority { secret: String, image: String },
    /// The recipes don't declare it.
    #[error("no recipe has a secret {name:?}")]
    Unknown { name: String, known: Vec<String> },
    /// Only others can say what it is.
    #[error("{name} comes from somebody else, so mailimg can't create it")]
    Given { name: String },
    /// mailimg makes it.
    #[error("mailimg creates {name} itself")]
    Made { name: String },
    /// Files that Postfix reads can't hold it.
    #[error("the password is empty, contains a control character, or begins or ends with a space")]
    Unusable,
    /// Something that mailimg hasn't made is in a secret's place.
    #[error("{path} {reason}")]
    Foreign { path: Utf8PathBuf, reason: &'static str },
    /// A key or certificate could not be created.
    #[error("can't create {path}: {reason}")]
    Generate { path: Utf8PathBuf, reason: String },
}

/// A file in the secrets directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Path below the secrets directory.
    pub path: Utf8PathBuf,
    /// Whether it was created now; otherwise it existed.
    pub made: bool,
}

/// Creates the missing secrets of the site's recipes. Existing ones are kept.
pub fn init(project: &Project) -> Result<Vec<Secret>, SecretsError> {
    let mut maker = Maker::open(project)?;
    maker.secrets_of(&project.secrets())?;
    let mounts: BTreeSet<Mount> = project.recipes().flat_map(|recipe| recipe.service.mounts.keys().copied()).collect();
    for mount in mounts {
        match mount {
            Mount::Tls if project.site().tls.directory.is_some() => {}
            Mount::Tls => maker.certificate(project.hostname("its certificate")?.as_str())?,
            Mount::Dkim => maker.dkim_keys(project)?,
        }
    }
    Ok(maker.secrets)
}

/// Creates only the missing DKIM keys.
pub fn init_dkim(project: &Project) -> Result<Vec<Secret>, SecretsError> {
    let mut maker = Maker::open(project)?;
    maker.dkim_keys(project)?;
    Ok(maker.secrets)
}

/// Replaces a secret of the site's recipes, or all of them, and with an authority all that it signed. Returns what was
/// replaced. The site's certificate and its DKIM keys stay: others have to be told of new ones.
pub fn rotate(project: &Project, name: Option<&str>) -> Result<Vec<Secret>, SecretsError> {
    let all = project.secrets();
    if let Some(name) = name
        && named(&all, name)?.kind == SecretKind::Given
    {
        return Err(SecretsError::Given { name: name.to_owned() });
    }
    let mut maker = Maker::open(project)?;
    for secret in all.iter().filter(|secret| name.is_none_or(|name| secret.name.as_str() == name)) {
        match secret.kind {
            SecretKind::Given => {}
            // Whenever this is interrupted, its certificate is still missing, and the next run makes all of it.
            SecretKind::Authority => maker.remove(secret.name)?,
            _ => maker.renewed.push(secret.name.as_str().into()),
        }
    }
    maker.secrets_of(&all)?;
    maker.secrets.retain(|secret| secret.made);
    Ok(maker.secrets)
}

/// Stores a secret that others gave, and returns its path.
pub fn set(project: &Project, name: &str, password: String) -> Result<Utf8PathBuf, SecretsError> {
    if named(&project.secrets(), name)?.kind != SecretKind::Given {
        return Err(SecretsError::Made { name: name.to_owned() });
    }
    if password.is_empty() || password.trim() != password || password.chars().any(char::is_control) {
        return Err(SecretsError::Unusable);
    }
    let mut maker = Maker::open(project)?;
    maker.write(name.into(), 0o444, || Ok(password))?;
    Ok(project.secrets_dir().join(name))
}

fn named<'a>(all: &'a [Wanted<'a>], name: &str) -> Result<&'a Wanted<'a>, SecretsError> {
    all.iter().find(|secret| secret.name.as_str() == name).ok_or_else(|| SecretsError::Unknown {
        name: name.to_owned(),
        known: all.iter().map(|secret| secret.name.to_string()).collect(),
    })
}

/// Files of the site's authority. Only the certificate is mounted anywhere.
struct Authority {
    certificate: Utf8PathBuf,
    key: Utf8PathBuf,
}

impl Authority {
    fn named(name: &Name) -> Self {
        let certificate = Utf8PathBuf::from(name.as_str());
        Self { key: certificate.with_extension("key"), certificate }
    }
}

struct Maker {
    directory: Utf8PathBuf,
    owners: Owners,
    secrets: Vec<Secret>,
    /// Files to make although they exist.
    renewed: Vec<Utf8PathBuf>,
    _lock: File,
}

impl Maker {
    fn open(project: &Project) -> Result<Self, SecretsError> {
        let directory = project.secrets_dir();
        let owners = Owners::of(project.root())?;
        make_directory(&directory, 0o700, owners)?;
        let lock = directory.join(".lock");
        exists(&lock, owners)?;
        let file = open_lock(&lock)
            .and_then(|file| lock_exclusive(&file, &lock).map(|()| file))
            .map_err(|source| SecretsError::Io { path: lock, source })?;
        // Projects are kept in git, but secrets must not be, whatever the project's own .gitignore says.
        let ignored = directory.join(".gitignore");
        if !exists(&ignored, owners)? {
            write_atomic(&ignored, "*\n", 0o644)?;
        }
        Ok(Self { directory, owners, secrets: Vec::new(), renewed: Vec::new(), _lock: file })
    }

    fn secrets_of(&mut self, secrets: &[Wanted<'_>]) -> Result<(), SecretsError> {
        let authority = secrets.iter().find(|secret| secret.kind == SecretKind::Authority);
        let authority = authority.map(|secret| Authority::named(secret.name));
        let certificates = || secrets.iter().filter(|secret| secret.kind == SecretKind::Certificate);
        if let Some(authority) = &authority
            && !self.has_both(&authority.certificate, &authority.key)?
        {
            // Certificates of another authority are useless with a new one.
            for certificate in certificates() {
                self.remove(certificate.name)?;
            }
        }
        if let Some(Authority { certificate, key }) = &authority {
            self.pair((certificate, 0o444), (key, 0o400), certificate::authority)?;
        }
        for secret in secrets {
            let path = Utf8Path::new(secret.name.as_str());
            match (secret.kind, &authority, secret.images.first()) {
                (SecretKind::Password, ..) => self.make(path, 0o444, random_password)?,
                (SecretKind::Keys, ..) => {
                    let full = self.directory.join(path);
                    self.make(path, 0o444, || new_keys(&full))?;
                }
                (SecretKind::Given, ..) => self.make(path, 0o444, || Ok(String::new()))?,
                (SecretKind::Certificate, Some(authority), Some(service)) => {
                    self.service_pair(path, service, &authority.key)?;
                }
                (SecretKind::Certificate, _, image) => {
                    return Err(SecretsError::NoAuthority {
                        secret: secret.name.to_string(),
                        image: image.copied().unwrap_or_default().to_owned(),
                    });
                }
                (SecretKind::Authority, ..) => {}
            }
        }
        Ok(())
    }

    fn has(&self, path: &Utf8Path) -> Result<bool, SecretsError> {
        exists(&self.directory.join(path), self.owners)
    }

    fn has_both(&self, certificate: &Utf8Path, key: &Utf8Path) -> Result<bool, SecretsError> {
        Ok(self.has(certificate)? & self.has(key)?)
    }

    fn remove(&self, name: &str) -> Result<(), SecretsError> {
        let path = self.directory.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SecretsError::Io { path, source: error }),
            _ => Ok(()),
        }
    }

    /// The key and certificate of a service, in one file.
    fn service_pair(&mut self, path: &Utf8Path, service: &str, authority_key: &Utf8Path) -> Result<(), SecretsError> {
        let key_path = self.directory.join(authority_key);
        let make = || {
            let key = read_secret(&key_path).map_err(|error| error.to_string())?;
            let Pair { certificate, key } = certificate::signed(service, &key).map_err(|error| error.to_string())?;
            Ok(format!("{key}{certificate}"))
        };
        self.make(path, 0o444, make)
    }

    fn certificate(&mut self, hostname: &str) -> Result<(), SecretsError> {
        make_directory(&self.directory.join("tls"), 0o755, self.owners)?;
        let (certificate, key) = (Utf8Path::new("tls/fullchain.pem"), Utf8Path::new("tls/privkey.pem"));
        self.pair((certificate, 0o444), (key, 0o444), || certificate::self_signed(hostname))
    }

    fn dkim_keys(&mut self, project: &Project) -> Result<(), SecretsError> {
        make_directory(&self.directory.join("dkim"), 0o755, self.owners)?;
        let site = project.site();
        for domain in project.domains("a DKIM key")? {
            let make = || dkim::generate().map_err(|error| error.to_string());
            self.make(&dkim::key_path(&site.dkim.selector, domain), 0o444, make)?;
        }
        Ok(())
    }

    /// Creates a certificate and its key unless both exist: one without the other is useless.
    fn pair(
        &mut self,
        (certificate, certificate_mode): (&Utf8Path, u32),
        (key, key_mode): (&Utf8Path, u32),
        make: impl FnOnce() -> Result<Pair, rcgen::Error>,
    ) -> Result<(), SecretsError> {
        if self.has_both(certificate, key)? {
            self.secrets.extend([certificate, key].map(|path| Secret { path: path.to_owned(), made: false }));
            return Ok(());
        }
        let pair = make().map_err(|error| SecretsError::Generate {
            path: self.directory.join(certificate),
            reason: error.to_string(),
        })?;
        // If this is interrupted between the two, the next run finds one missing and creates both again.
        self.write(key, key_mode, || Ok(pair.key))?;
        self.write(certificate, certificate_mode, || Ok(pair.certificate))
    }

    fn make(
        &mut self,
        path: &Utf8Path,
        mode: u32,
        make: impl FnOnce() -> Result<String, String>,
    ) -> Result<(), SecretsError> {
        if self.has(path)? && !self.renewed.iter().any(|renewed| renewed == path) {
            self.secrets.push(Secret { path: path.to_owned(), made: false });
            return Ok(());
        }
        self.write(path, mode, make)
    }

    fn write(
        &mut self,
        path: &Utf8Path,
        mode: u32,
        make: impl FnOnce() -> Result<String, String>,
    ) -> Result<(), SecretsError> {
        let full = self.directory.join(path);
        let content = make().map_err(|reason| SecretsError::Generate { path: full.clone(), reason })?;
        write_atomic(&full, content, mode)?;
        self.secrets.push(Secret { path: path.to_owned(), made: true });
        Ok(())
    }
}

/// Creates the directory, or changes the mode of an existing one.
fn make_directory(path: &Utf8Path, mode: u32, owners: Owners) -> Result<(), SecretsError> {
    let failed = |source| SecretsError::Io { path: path.to_owned(), source };
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other.map_err(failed)?,
    }
    let found = path.symlink_metadata().map_err(failed)?;
    if !found.is_dir() {
        return Err(SecretsError::Foreign { path: path.to_owned(), reason: "is not a directory, or is a link to one" });
    }
    owners.check(path, &found)?;
    let directory = cautious().read(true).open(path).map_err(failed)?;
    directory.set_permissions(Permissions::from_mode(mode)).map_err(failed)
}

/// Whether there is a secret. Anything else of that name, such as a link, is an error: whoever put it there would decide
/// what the secret is, or learn it.
fn exists(path: &Utf8Path, owners: Owners) -> Result<bool, SecretsError> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(|source| SecretsError::Io { path: path.to_owned(), source })?,
    };
    if !found.is_file() {
        return Err(SecretsError::Foreign { path: path.to_owned(), reason: "is not a regular file" });
    }
    owners.check(path, &found)?;
    Ok(true)
}

/// The users whom secrets may belong to: who runs mailimg, and whose project it is.
#[derive(Debug, Clone, Copy)]
struct Owners([u32; 2]);

impl Owners {
    fn of(project: &Utf8Path) -> Result<Self, SecretsError> {
        let found = project.metadata().map_err(|source| SecretsError::Io { path: project.to_owned(), source })?;
        Ok(Self([rustix::process::geteuid().as_raw(), found.uid()]))
    }

    fn check(self, path: &Utf8Path, found: &Metadata) -> Result<(), SecretsError> {
        if self.0.contains(&found.uid()) {
            return Ok(());
        }
        Err(SecretsError::Foreign { path: path.to_owned(), reason: "belongs to another user" })
    }
}

/// The longest file of secrets, in bytes.
const LIMIT: u64 = 1024 * 1024;

pub(super) fn read_secret(path: &Utf8Path) -> io::Result<String> {
    let file = cautious().read(true).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

fn open_lock(path: &Utf8Path) -> io::Result<File> {
    cautious().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Only letters and digits, because the passwords are used in files with different quoting rules.
fn random_password() -> Result<String, String> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut password = String::with_capacity(PASSWORD_LENGTH);
    let mut bytes = [0; 64];
    while password.len() < PASSWORD_LENGTH {
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        // Discard numbers that would make some letters likelier than others.
        let letters =
            bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte >> 2))).map(|byte| char::from(*byte));
        password.extend(letters.take(PASSWORD_LENGTH - password.len()));
    }
    Ok(password)
}

/// A new key, then the newest of those in the file, if there is one.
fn new_keys(path: &Utf8Path) -> Result<String, String> {
    let old = match read_secret(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(|error| error.to_string())?,
    };
    let new = random_password()?;
    let keys: Vec<&str> = std::iter::once(new.as_str()).chain(old.lines()).take(MOST_KEYS).collect();
    Ok(keys.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_letters_and_digits_from_the_systems_source() {
        let one = random_password().unwrap();
        assert_eq!(one.len(), PASSWORD_LENGTH);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one, random_password().unwrap());
    }

    #[test]
    fn the_newest_keys_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().join("keys")).unwrap();
        assert_eq!(new_keys(&path).unwrap().len(), PASSWORD_LENGTH + 1);
        fs_err::write(&path, "a\nb\nc\n").unwrap();
        let keys = new_keys(&path).unwrap();
        let (new, old) = keys.split_once('\n').unwrap();
        assert_eq!((new.len(), old), (PASSWORD_LENGTH, "a\nb\n"));
    }

    #[test]
    fn every_letter_is_used() {
        let many: BTreeSet<char> =
            (0..200).flat_map(|_| random_password().unwrap().chars().collect::<Vec<_>>()).collect();
        assert_eq!(many.len(), 62);
    }
}
