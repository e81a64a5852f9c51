//! Runs the machine's own apt-get with a private state and cache: nothing on the machine changes, but its settings
//! (mirror, proxy, credentials) are used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use super::control::Paragraph;
use super::error::ImportError;
use super::version::DebianVersion;
use crate::config::{has_credentials, hide_credentials};
use crate::digest::Sha256;
use crate::progress::{Progress, Total};
use crate::store::lock_exclusive;

/// The keys of Debian's archive, as installed by the package debian-archive-keyring.
const KEYRINGS: &[&str] =
    &["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// What apt should use.
#[derive(Debug, Clone)]
pub struct Source {
    /// Debian's name for the release: `trixie`.
    pub suite: String,
    /// Debian's name for the architecture: `amd64`.
    pub arch: String,
    /// The base URL of a mirror for the suite and its updates, instead of those in the machine's apt configuration.
    pub mirror: Option<String>,
    /// The base URL of a mirror of the security archive.
    pub security_mirror: Option<String>,
    /// The keys to verify the lists with; Debian's own by default.
    pub keyring: Option<Utf8PathBuf>,
    /// Use only lists and packages that were downloaded before.
    pub offline: bool,
}

/// A private apt root, used by one process at a time.
#[derive(Debug)]
pub(super) struct Apt {
    root: Utf8PathBuf,
    /// Locked, and the standard input of each apt-get: if mailimg is killed, the lock stays until apt-get has ended, too.
    lock: File,
    source: Source,
}

/// A package of the suite, in its newest version.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub name: String,
    pub version: DebianVersion,
    /// `amd64`, or `all`.
    pub arch: String,
    /// The whole entry in the list.
    pub entry: Paragraph,
    /// The SHA-256 of the package file, from Debian's signed lists.
    pub sha256: Sha256,
    /// Bytes of the package file.
    pub size: u64,
}

impl Candidate {
    /// The name that apt gives the downloaded file.
    #[must_use]
    pub(super) fn file_name(&self) -> String {
        let version = self.version.as_str().replace(':', "%3a");
        format!("{}_{version}_{}.deb", self.name, self.arch)
    }

    fn parse(block: &str) -> Option<Self> {
        let entry = Paragraph::parse_all(block).into_iter().next()?;
        Some(Self {
            name: entry.get("Package")?.to_owned(),
            version: DebianVersion::new(entry.get("Version")?),
            arch: entry.get("Architecture")?.to_owned(),
            sha256: entry.get("SHA256")?.parse().ok()?,
            size: entry.get("Size")?.parse().ok()?,
            entry,
        })
    }
}

impl Apt {
    /// Creates a private apt root in the directory `root`. Waits while another process uses it.
    pub(super) fn open(root: &Utf8Path, source: Source) -> Result<Self, ImportError> {
        for directory in ["state/lists/partial", "cache/archives/partial", "downloads"] {
            let directory = root.join(directory);
            fs::create_dir_all(&directory).map_err(ImportError::file(directory))?;
        }
        let lock = root.join("lock");
        let lock = lock_file(&lock).map_err(ImportError::file(lock))?;
        let apt = Self { root: root.to_owned(), lock, source };
        apt.write("status", "")?;
        apt.write("apt.conf", &apt.configuration())?;
        if !apt.source.offline || !root.join("sources.list").exists() {
            let sources = apt.sources()?;
            apt.write("sources.list", &sources)?;
        }
        Ok(apt)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ImportError> {
        let path = self.root.join(name);
        fs::write(&path, text).map_err(ImportError::file(path))
    }

    /// Read after the machine's own configuration. Hooks are cleared because they affect the machine (they empty its
    /// package cache, or notify its desktop of new lists).
    fn configuration(&self) -> String {
        let root = &self.root;
        let arch = &self.source.arch;
        format!(
            "#clear APT::Update::Pre-Invoke;\n\
             #clear APT::Update::Post-Invoke;\n\
             #clear APT::Update::Post-Invoke-Success;\n\
             #clear APT::Architectures;\n\
             APT::Architecture \"{arch}\";\n\
             APT::Architectures {{ \"{arch}\"; }};\n\
             APT::Sandbox::User \"root\";\n\
             APT::Update::Error-Mode \"any\";\n\
             Dir::State \"{root}/state\";\n\
             Dir::State::status \"{root}/status\";\n\
             Dir::Cache \"{root}/cache\";\n\
             Dir::Cache::archives \"{root}/cache/archives\";\n\
             Dir::Etc::sourcelist \"{root}/sources.list\";\n\
             Dir::Etc::sourceparts \"/dev/null\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\n\
             Acquire::AllowInsecureRepositories \"false\";\n\
             Acquire::AllowWeakRepositories \"false\";\n\
             Acquire::AllowDowngradeToInsecureRepositories \"false\";\n\
             Acquire::GzipIndexes \"false\";\n\
             Acquire::PDiffs \"false\";\n\
             Acquire::Languages \"none\";\n"
        )
    }

    /// The suite, its updates and its security updates, from the archives that the machine uses for its own suite.
    fn sources(&self) -> Result<String, ImportError> {
        let Source { suite, arch, mirror, security_mirror, keyring, .. } = &self.source;
        if let Some(url) = mirror.iter().chain(security_mirror).find(|url| has_credentials(url)) {
            return Err(ImportError::Credentials { url: hide_credentials(url) });
        }
        let mut archives: Vec<(String, &str)> = match mirror {
            Some(mirror) => vec![(mirror.clone(), ""), (mirror.clone(), "-updates")],
            None => Vec::new(),
        };
        archives.extend(security_mirror.iter().map(|mirror| (mirror.clone(), "-security")));
        // With --mirror, use only that: the machine's own mirrors may be unreachable.
        if mirror.is_none() {
            for (base, pocket) in self.machine_archives()? {
                let given = pocket == "-security" && security_mirror.is_some();
                if !given && !archives.contains(&(base.clone(), pocket)) {
                    archives.push((base, pocket));
                }
            }
        }
        if !archives.iter().any(|(_, pocket)| pocket.is_empty()) {
            return Err(ImportError::NoMirror { suite: suite.clone() });
        }
        let keyring = match keyring {
            Some(keyring) => format!(" signed-by={keyring}"),
            None => KEYRINGS
                .iter()
                .find(|keyring| Utf8Path::new(keyring).exists())
                .map_or_else(String::new, |keyring| format!(" signed-by={keyring}")),
        };
        let line = |(base, pocket): &(String, &str)| {
            format!("deb [arch={arch} target=Packages{keyring}] {base} {suite}{pocket} main\n")
        };
        Ok(archives.iter().map(line).collect())
    }

    /// The base and pocket (``, `-updates`, `-security`) of the Debian archives in the machine's apt configuration.
    fn machine_archives(&self) -> Result<Vec<(String, &'static str)>, ImportError> {
        let format = "$(SHORTDESC)\t$(COMPONENT)\t$(RELEASE)\t$(REPO_URI)";
        let output = self.run(apt_get().args(["indextargets", "--format", format]))?;
        let targets = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(targets.lines().filter_map(debian_archive).collect())
    }

    /// Fetches the lists. apt requests only what has changed, and checks all signatures.
    pub(super) fn update(&self) -> Result<(), ImportError> {
        if self.source.offline {
            return Ok(());
        }
        let output = self.run(apt_get().args(["-q", "-c", self.root.join("apt.conf").as_str(), "update"]))?;
        if output.status.success() {
            return Ok(());
        }
        let message = complaints(&output);
        let suite = self.source.suite.clone();
        let unknown_key = ["NO_PUBKEY", "Missing key", "is not signed"].iter().any(|sign| message.contains(sign));
        Err(if unknown_key {
            ImportError::Keyring { suite, message }
        } else {
            ImportError::Apt { action: "update", message }
        })
    }

    pub(super) fn lists(&self) -> Result<Lists, ImportError> {
        let directory = self.root.join("state/lists");
        let mut files = Vec::new();
        for entry in directory.read_dir_utf8().map_err(ImportError::file(&directory))? {
            let path = entry.map_err(ImportError::file(&directory))?.into_path();
            // An earlier run may have left lists of another suite or architecture.
            if path.as_str().ends_with(&format!("_main_binary-{}_Packages", self.source.arch))
                && path.as_str().contains(&format!("_dists_{}", self.source.suite))
            {
                files.push(path);
            }
        }
        files.sort();
        let texts = files.into_iter().map(|path| {
            let bytes = fs::read(&path).map_err(ImportError::file(&path))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        Ok(Lists::new(texts.collect::<Result<_, ImportError>>()?))
    }

    /// The path of the package file, whether it exists or not.
    #[must_use]
    pub(super) fn path(&self, candidate: &Candidate) -> Utf8PathBuf {
        self.root.join("downloads").join(candidate.file_name())
    }

    /// Downloads the packages that are missing, and checks each against the signed lists.
    pub(super) fn download(&self, packages: &[&Candidate], progress: &dyn Progress) -> Result<(), ImportError> {
        let mut missing = Vec::new();
        for candidate in packages {
            match sha256_of(&self.path(candidate))? {
                Some(found) if found == candidate.sha256 => {}
                _ => missing.push(*candidate),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if self.source.offline {
            let names: Vec<String> = missing.iter().map(|candidate| candidate.file_name()).collect();
            let message = format!("not downloaded yet, and --offline was given: {}", names.join(", "));
            return Err(ImportError::Apt { action: "download", message });
        }
        self.fetch(&missing, progress)?;
        for candidate in missing {
            let found = sha256_of(&self.path(candidate))?;
            if found != Some(candidate.sha256) {
                return Err(ImportError::Hash {
                    file: candidate.file_name(),
                    expected: candidate.sha256.to_string(),
                    found: found.map_or_else(|| "no file".to_owned(), |found| found.to_string()),
                });
            }
        }
        Ok(())
    }

    fn fetch(&self, missing: &[&Candidate], progress: &dyn Progress) -> Result<(), ImportError> {
        let downloads = self.root.join("downloads");
        let total = missing.iter().map(|candidate| candidate.size).sum();
        let before = self.downloaded_bytes();
        for candidate in missing {
            let path = self.path(candidate);
            if path.exists() {
                fs::remove_file(&path).map_err(ImportError::file(&path))?;
            }
        }
        let mut command = apt_get();
        command.args(["-qq", "-c", self.root.join("apt.conf").as_str(), "download"]).current_dir(&downloads);
        command.args(missing.iter().map(|package| format!("{}={}", package.name, package.version)));
        let mut child = command
            .stdin(self.input()?)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| ImportError::RunApt { source })?;
        let step = progress.start("Downloading Debian packages", Total::Bytes(total));
        let mut done = 0;
        let status = loop {
            let status = child.try_wait().map_err(|source| ImportError::RunApt { source })?;
            let downloaded = self.downloaded_bytes().saturating_sub(before).min(total);
            step.advance(downloaded.saturating_sub(done));
            done = done.max(downloaded);
            match status {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut message = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            // If the output can't be read, it can't be shown; the failure of apt-get is reported in any case.
            let _ = stderr.read_to_string(&mut message);
        }
        Err(ImportError::Apt { action: "download", message: errors_of(&message) })
    }

    fn run(&self, command: &mut Command) -> Result<Output, ImportError> {
        command.stdin(self.input()?).output().map_err(|source| ImportError::RunApt { source })
    }

    /// Nothing to read, and a share of the lock.
    fn input(&self) -> Result<File, ImportError> {
        self.lock.try_clone().map_err(|source| ImportError::RunApt { source })
    }

    /// The size of the directories to which apt downloads, in bytes.
    fn downloaded_bytes(&self) -> u64 {
        let size = |directory: &str| {
            let entries = self.root.join(directory).read_dir_utf8().ok()?;
            Some(entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum::<u64>())
        };
        ["downloads", "cache/archives", "cache/archives/partial"].into_iter().filter_map(size).sum()
    }
}

/// The lists of a suite.
#[derive(Debug)]
pub(super) struct Lists {
    texts: Vec<String>,
    /// The positions of each package's entries: which text, and where in it.
    entries: BTreeMap<String, Vec<(usize, Range<usize>)>>,
}

impl Lists {
    pub(super) fn new(texts: Vec<String>) -> Self {
        let mut entries: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (number, text) in texts.iter().enumerate() {
            let mut start = 0;
            for block in text.split("\n\n") {
                let range = start..start + block.len();
                start = range.end + 2;
                let name = block.lines().find_map(|line| line.strip_prefix("Package: "));
                if let Some(name) = name {
                    entries.entry(name.trim().to_owned()).or_default().push((number, range));
                }
            }
        }
        Self { texts, entries }
    }

    /// The newest version of a package.
    #[must_use]
    pub(super) fn newest(&self, name: &str) -> Option<Candidate> {
        let blocks = self.entries.get(name)?.iter();
        let blocks = blocks.filter_map(|(text, range)| self.texts.get(*text)?.get(range.clone()));
        blocks.filter_map(Candidate::parse).max_by(|a, b| a.version.cmp(&b.version))
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("LC_ALL", "C").env_remove("LANGUAGE");
    command
}

fn lock_file(path: &Utf8Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
    lock_exclusive(&file, path)?;
    Ok(file)
}

fn complaints(output: &Output) -> String {
    errors_of(&String::from_utf8_lossy(&output.stderr))
}

/// apt's errors and warnings, on one line.
fn errors_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("E:") || line.starts_with("W:")).collect();
    if lines.is_empty() { text.trim().to_owned() } else { lines.join("; ") }
}

/// Parses a line of `apt-get indextargets`: base and pocket, if it is for the main component of a Debian suite.
fn debian_archive(line: &str) -> Option<(String, &'static str)> {
    const SUITES: &[&str] = &[
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "oldoldstable",
        "oldstable",
        "stable",
        "testing",
        "unstable",
    ];
    let mut fields = line.split('\t');
    let (kind, component, release, base) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (suite, pocket) = match release.split_once(['-', '/']) {
        None => (release, ""),
        Some((suite, "updates")) if release.contains('-') => (suite, "-updates"),
        Some((suite, "security" | "updates")) => (suite, "-security"),
        Some(_) => return None,
    };
    (kind == "Packages" && component == "main" && SUITES.contains(&suite)).then(|| (base.to_owned(), pocket))
}

/// `None` if there is no such file.
fn sha256_of(path: &Utf8Path) -> Result<Option<Sha256>, ImportError> {
    let mut file = match fs::File::open(path) {
        Ok(file) => crate::digest::Hashing::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImportError::file(path)(error)),
    };
    io::copy(&mut file, &mut io::sink()).map_err(ImportError::file(path))?;
    Ok(Some(file.finish().0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_debian_among_the_machines_archives() {
        for (line, expected) in [
            ("Packages\tmain\tbookworm\thttp://a/debian/", Some(("http://a/debian/", ""))),
            ("Packages\tmain\tbookworm-updates\thttp://a/debian/", Some(("http://a/debian/", "-updates"))),
            ("Packages\tmain\ttrixie-security\thttp://a/s/", Some(("http://a/s/", "-security"))),
            ("Packages\tmain\tstable/updates\thttp://a/s/", Some(("http://a/s/", "-security"))),
            ("Packages\tcontrib\tbookworm\thttp://a/debian/", None),
            ("Components-amd64\tmain\tbookworm\thttp://a/debian/", None),
            ("Packages\tmain\tbookworm-backports\thttp://a/debian/", None),
            ("Packages\tmain\tnodistro\thttp://b/node/", None),
            ("Packages\tmain\tcloud-sdk-bookworm\thttp://b/apt/", None),
        ] {
            let found = debian_archive(line);
            assert_eq!(found.as_ref().map(|(base, pocket)| (base.as_str(), *pocket)), expected, "{line}");
        }
    }

    #[test]
    fn takes_the_newest_of_several_lists() {
        let entry = |version: &str| {
            format!("Package: a\nVersion: {version}\nArchitecture: amd64\nSize: 3\nSHA256: {}\n", Sha256::of(version))
        };
        let lists = Lists::new(vec![
            format!("{}\n{}", entry("1:1.0-1"), entry("1:1.0-1+deb13u2").replace("Package: a", "Package: b")),
            entry("1:1.0-1+deb13u1"),
        ]);
        let newest = lists.newest("a").unwrap();
        assert_eq!(newest.version.as_str(), "1:1.0-1+deb13u1");
        assert_eq!(newest.file_name(), "a_1%3a1.0-1+deb13u1_amd64.deb");
        assert_eq!(newest.sha256, Sha256::of("1:1.0-1+deb13u1"));
        assert!(lists.newest("c").is_none());
    }
}
