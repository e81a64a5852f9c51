//! The four real images, built by different people in different places: the same digests.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::project::Project;
use crate::stack;

const NOBODY: u32 = 65534;

/// The repository of Debian packages in the user's cache.
fn repository(project: &Project) -> PathBuf {
    let directory = project.cache().join("debian-13");
    assert!(directory.join("x86_64").is_dir(), "no packages in {}: mailimg repo import-debian", directory.display());
    directory
}

/// Another person's machine: a project, a cache and a copy of the program below `root`, readable by everybody.
struct Place {
    root: PathBuf,
    /// The user and group who build there, and to whom cache and layout belong.
    user: u32,
}

impl Place {
    fn new(root: &Path, repository: &Path, user: u32) -> Self {
        fs_err::create_dir(root).unwrap();
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["mailimg.toml", "recipes", "images", "apk-locks"] {
            copy(&checkout.join(name), &root.join(name));
        }
        copy(repository, &root.join("repository"));
        copy(Path::new(env!("CARGO_BIN_EXE_mailimg")), &root.join("mailimg"));
        run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(root));
        for name in ["cache", "oci"] {
            fs_err::create_dir(root.join(name)).unwrap();
            std::os::unix::fs::chown(root.join(name), Some(user), Some(user)).unwrap();
        }
        Self { root: root.to_owned(), user }
    }

    fn lock(&self) {
        let mut command = Command::new(self.root.join("mailimg"));
        let cache = self.root.join("cache");
        run(command
            .args(["lock", "--repository", "debian=repository"])
            .env("MAILIMG_CACHE_DIR", cache)
            .current_dir(&self.root));
    }

    /// Builds from a shell with this umask, with only the variables in `environment`.
    fn build(&self, umask: &str, environment: &[(&str, &str)]) -> Command {
        let user = &self.user.to_string();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", user, "--regid", user, "--clear-groups", "/bin/sh", "-c"])
            .arg(format!("umask {umask}; exec ./mailimg build --json --repository debian=repository"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("MAILIMG_CACHE_DIR", self.root.join("cache"))
            .envs(environment.iter().copied())
            .current_dir(&self.root)
            .stdin(Stdio::null());
        command
    }
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-R").arg(from).arg(to));
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn digests(output: &Output) -> Vec<(String, String)> {
    let images: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |image: &serde_json::Value, key: &str| image[key].as_str().unwrap().to_owned();
    images.as_array().unwrap().iter().map(|image| (text(image, "image"), text(image, "digest"))).collect()
}

/// The number of files in the store.
fn entries(root: &Path) -> usize {
    fs_err::read_dir(root.join("cache/files-v2/sha256")).map_or(0, Iterator::count)
}

#[test]
fn the_four_images_have_the_same_digests_wherever_and_by_whomever_they_are_built() {
    let _machine = stack::machine();
    let shared = Project::with_shared_cache();
    let repository = repository(&shared);
    // Not below the test's own directory, which only its user can read.
    let somewhere = tempfile::Builder::new().prefix("mailimg-test-").tempdir_in("/var/tmp").unwrap();
    fs_err::set_permissions(somewhere.path(), std::fs::Permissions::from_mode(0o755)).unwrap();

    let here = Place::new(&somewhere.path().join("here"), &repository, 0);
    let there = Place::new(&somewhere.path().join("a longer way to go"), &repository, NOBODY);
    let mut first = here.build("022", &[]).output().unwrap();
    if first.status.code() == Some(4) {
        // Debian has replaced a locked package: an owner would lock again.
        here.lock();
        copy(&here.root.join("apk-locks/."), &there.root.join("apk-locks"));
        first = run(&mut here.build("022", &[]));
    }
    let expected = digests(&first);
    assert_eq!(expected.len(), 4, "{expected:?}");

    let elsewhere = [
        ("TZ", "Pacific/Kiritimati"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("HOME", "/nonexistent"),
        ("USER", "somebody"),
        ("RAYON_NUM_THREADS", "1"),
    ];
    let mut killed = there.build("077", &elsewhere).stdout(Stdio::null()).spawn().unwrap();
    // Interrupted: some packages are in the store, but no image is.
    let began = Instant::now();
    while entries(&there.root) < 20 {
        assert!(began.elapsed() < Duration::from_mins(1), "no package comes into the store");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(killed.try_wait().unwrap().is_none(), "the build was over before it could be killed");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!there.root.join("oci/index.json").exists(), "nothing half-written is to be seen");
    assert_eq!(digests(&run(&mut there.build("077", &elsewhere))), expected);
}
