//! The command line, isolated from the machine's and the user's settings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A directory for one test, with its own project and cache. It is removed when this value is dropped.
pub struct Project {
    root: tempfile::TempDir,
    cache: PathBuf,
}

impl Project {
    /// An empty project with an empty cache.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("mailimg-test-").tempdir().unwrap();
        for directory in ["project", "cache", "home"] {
            fs_err::create_dir(root.path().join(directory)).unwrap();
        }
        let cache = root.path().join("cache");
        Self { root, cache }
    }

    /// A copy of the project, of its cache, and of all that is in the test's directory.
    pub fn duplicate(&self) -> Self {
        let root = tempfile::Builder::new().prefix("mailimg-test-").tempdir().unwrap();
        let copy = std::process::Command::new("cp").arg("-a").arg(self.root().join(".")).arg(root.path()).status();
        assert!(copy.unwrap().success());
        let cache = root.path().join("cache");
        Self { root, cache }
    }

    /// An empty project that shares the user's own cache, for content that takes long to download or create.
    pub fn with_shared_cache() -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let cache = variable("MAILIMG_CACHE_DIR")
            .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("mailimg")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/mailimg")));
        let mut project = Self::new();
        project.cache = cache.unwrap_or(project.cache);
        project
    }

    /// Where `mailimg.toml` is.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("project")
    }

    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// A directory outside the project for a test's other files.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Copies the program where other users can run it, and returns its path. The copy is made by another process: Linux
    /// doesn't run a file that is open for writing, as it may be in a child that another test has just started.
    pub fn copy_program(&self) -> PathBuf {
        let program = self.root().join("mailimg");
        let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_mailimg")).arg(&program).status();
        assert!(copied.unwrap().success());
        program
    }

    /// Writes a file of the project and the directories above it.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        path
    }

    /// Copies the content of a directory into the project, with modes.
    pub fn copy(&self, from: &Path) {
        let copied = std::process::Command::new("cp").arg("-R").arg(from.join(".")).arg(self.path()).status().unwrap();
        assert!(copied.success());
    }

    pub fn read(&self, path: impl AsRef<Path>) -> String {
        fs_err::read_to_string(self.path().join(path)).unwrap()
    }

    /// Replaces a text that must occur exactly once in a file.
    pub fn replace(&self, path: impl AsRef<Path>, from: &str, to: &str) {
        let text = self.read(&path);
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {}:\n{text}", path.as_ref().display());
        self.write(path, text.replace(from, to));
    }

    /// `mailimg` in this project, with only PATH and HOME in the environment.
    pub fn mailimg<I, S>(&self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Command::from_std(self.command(args))
    }

    /// The same, for running it in the background.
    pub fn command<I, S>(&self, args: I) -> std::process::Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mailimg"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("MAILIMG_CACHE_DIR", &self.cache)
            .current_dir(self.path())
            .args(args);
        if let Some(host) = std::env::var_os("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        command
    }

    /// Runs `mailimg` and returns its output. If it fails, panics with its messages.
    pub fn run<I, S>(&self, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let output = self.mailimg(args).output().unwrap();
        assert!(
            output.status.success(),
            "mailimg failed with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}
