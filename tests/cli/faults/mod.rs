//! Commands that write, when something happens to them: they are killed, a disk is full, the system gives them little,
//! the clock is wrong, or others of them run at the same time. Whatever happens, the next run must lead to what one
//! undisturbed run leads to.

mod killed;
mod starved;
mod together;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use mailimg::store::{Store, verify};

use crate::common::packages::Made;
use crate::common::project::Project;
use crate::{build, compose};

/// A command that writes.
struct Case {
    args: &'static [&'static str],
    /// A project in which the command can run.
    prepare: fn() -> Project,
    /// The directories to which it writes, from the test's own directory.
    writes: &'static [&'static str],
    /// The file that appears when all others in these directories are there.
    last: Option<&'static str>,
    /// Where its files are random. Then only their form is compared.
    random: Option<&'static str>,
    /// It refuses to run again.
    once: bool,
}

const CASE: Case = Case { args: &[], prepare: Project::new, writes: &[], last: None, random: None, once: false };

const INIT: Case =
    Case { args: &["init", "example.org"], writes: &["project"], last: Some("mailimg.toml"), once: true, ..CASE };
const LOCK: Case = Case {
    args: &["lock", "--keys-dir", "../keys"],
    prepare: || {
        let project = locked();
        fs_err::remove_file(project.path().join("apk-locks/made-up/web.x86_64.lock")).unwrap();
        without_cache(project)
    },
    writes: &["project/apk-locks/made-up", "cache"],
    ..CASE
};
const BUILD: Case = Case {
    args: &["build"],
    prepare: || without_cache(locked()),
    writes: &["project/oci", "cache"],
    last: Some("oci/index.json"),
    ..CASE
};
const ARCHIVE: Case = Case { args: &["build", "--archive"], last: None, ..BUILD };
const COMPOSE: Case = Case {
    args: &["compose", "--output", "dist/compose.yaml"],
    prepare: compose::project,
    writes: &["project/dist"],
    ..CASE
};
const SECRETS: Case =
    Case { args: &["secrets", "init"], prepare: site, writes: &["project/secrets"], random: Some("secrets"), ..CASE };
const ROTATE: Case = Case {
    args: &["secrets", "rotate"],
    prepare: || {
        let project = site();
        project.run(["secrets", "init"]);
        project
    },
    ..SECRETS
};
const IMPORT: Case = Case {
    args: &[
        "repo",
        "import-debian",
        "--arch",
        "amd64",
        "--mirror",
        concat!("file://", env!("CARGO_MANIFEST_DIR"), "/tests/cli/debian-mirror"),
        "--keyring",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/debian-mirror/keyring.gpg"),
        "--out",
        "out",
    ],
    prepare: || {
        let project = Project::new();
        project.write("apk-locks/debian-13/import.toml", crate::debian::MAPPING);
        // The key is made when it is missing. With the same one, all bytes are the same.
        project.run(IMPORT.args);
        fs_err::remove_dir_all(project.path().join("out")).unwrap();
        without_cache(project)
    },
    writes: &["project/out"],
    last: Some("out/x86_64/APKINDEX.tar.gz"),
    ..CASE
};
const MAN: Case = Case { args: &["man", "pages"], writes: &["project/pages"], ..CASE };

const ALL: [&Case; 9] = [&INIT, &LOCK, &BUILD, &ARCHIVE, &COMPOSE, &SECRETS, &ROTATE, &IMPORT, &MAN];

fn locked() -> Project {
    let noise = std::iter::repeat_with(|| fastrand::u8(..)).take(500_000).collect::<Vec<_>>();
    build::project(&[
        Made::new("libc", "1.2.5-r0").provides("so:libc.so.1=1.2.5"),
        Made::new("web", "1.0-r0").depends("so:libc.so.1").file("usr/share/noise", noise),
    ])
}

fn site() -> Project {
    let project = Project::new();
    project.run(["init", "example.org"]);
    project
}

fn without_cache(project: Project) -> Project {
    fs_err::remove_dir_all(project.cache()).unwrap();
    fs_err::create_dir(project.cache()).unwrap();
    project
}

/// Files by their paths in the project: what can be compared of each.
type Files = BTreeMap<String, String>;

impl Case {
    fn name(&self) -> String {
        self.args[..self.args.len().min(2)].join(" ")
    }

    /// The project before the command, and its files afterwards if nothing disturbs it.
    fn undisturbed(&self) -> (Project, Files) {
        let template = (self.prepare)();
        let project = template.duplicate();
        project.run(self.args);
        let files = self.files(&project);
        (template, files)
    }

    /// Runs the command behind another one, which starts it, for at most a minute.
    fn run_by(&self, project: &Project, starter: &[&str]) -> Output {
        let itself = project.command(self.args);
        let environment = itself.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60"]).args(starter).arg(itself.get_program()).args(itself.get_args());
        command.env_clear().envs(environment).current_dir(project.path()).output().unwrap()
    }

    /// Runs the command once more, which leads to `expected`, and leaves nothing else behind.
    fn completes(&self, project: &Project, expected: &Files, when: &str) {
        let output = project.mailimg(self.args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let is_refused = self.once && said.contains("already exists");
        assert!(output.status.success() || is_refused, "{} {when}: {}: {said}", self.name(), output.status);
        assert_eq!(&self.files(project), expected, "{} {when}: {said}", self.name());
        self.is_consistent(project, when);
    }

    /// Checks what the files alone don't show.
    fn is_consistent(&self, project: &Project, when: &str) {
        if project.cache().join("files-v2").exists() {
            let store = Store::open(project.cache().try_into().unwrap()).unwrap();
            assert_eq!(verify(&store).unwrap(), [], "{} {when}", self.name());
            assert_eq!(fs_err::read_dir(project.cache().join("files-v2/tmp")).unwrap().count(), 0);
        }
        if self.random.is_some() {
            crate::secrets::authority_signed_all(project);
        }
    }

    /// The project's files. How they can be written doesn't count: a layout's blobs may be links into the cache.
    fn files(&self, project: &Project) -> Files {
        let mut files = Files::new();
        collect(&project.path(), "", &mut |path, metadata| {
            let full = project.path().join(path);
            let content = match metadata {
                link if link.is_symlink() => format!("-> {}", fs_err::read_link(full).unwrap().display()),
                directory if directory.is_dir() => String::new(),
                _ if self.random.is_some_and(|random| path.starts_with(random)) => form(&fs_err::read(full).unwrap()),
                _ => mailimg::digest::Sha256::of(fs_err::read(full).unwrap()).to_string(),
            };
            files.insert(path.to_owned(), format!("{:o} {content}", metadata.permissions().mode() & !0o222));
        });
        files
    }
}

/// Calls `each` with everything below a directory, by its path in there.
fn collect(root: &Path, below: &str, each: &mut impl FnMut(&str, &std::fs::Metadata)) {
    for entry in fs_err::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = Path::new(below).join(entry.file_name()).to_str().unwrap().to_owned();
        let metadata = entry.path().symlink_metadata().unwrap();
        each(&path, &metadata);
        if metadata.is_dir() {
            collect(root, &path, each);
        }
    }
}

/// What is always the same of a random secret: the headings of keys and certificates, or the length of a password.
fn form(content: &[u8]) -> String {
    let text = String::from_utf8(content.to_vec()).unwrap();
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("-----")).collect();
    let first = text.lines().next().unwrap_or_default();
    if headings.is_empty() { format!("{} {}", first.len(), text.ends_with('\n')) } else { headings.concat() }
}

/// What a command said that was disturbed: it succeeded, or failed with an error, which this returns.
fn error(name: &str, output: &Output, when: &str) -> Option<String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return None;
    }
    assert_eq!(output.status.code(), Some(6), "{name} {when}: {}: {said}", output.status);
    assert!(said.contains("error: ") && !said.contains("panicked"), "{name} {when}: {said}");
    Some(said)
}

/// How much space the files below a directory take on a file system of pages.
fn pages(directory: &Path) -> u64 {
    let mut size = 0;
    collect(directory, "", &mut |_, metadata| {
        if metadata.is_file() {
            size += metadata.size().next_multiple_of(4096);
        }
    });
    size
}
