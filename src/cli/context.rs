use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use camino::Utf8PathBuf;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::exit::Exit;
use super::log;
use super::ui::Ui;
use super::{Failure, NoThreads};
use crate::fetch::Client;
use crate::packages::Fetching;
use crate::store::{Store, check_owner};

/// Global options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArgs {
    /// The project directory, which contains mailimg.toml, recipes, images and apk-locks
    #[arg(short = 'C', long, global = true, value_name = "DIR", default_value = ".")]
    project: Utf8PathBuf,
    /// The directory for downloads and layers [default: $XDG_CACHE_HOME/mailimg]
    #[arg(long, global = true, value_name = "DIR", env = "MAILIMG_CACHE_DIR")]
    cache_dir: Option<Utf8PathBuf>,
    /// Show more details; give it twice for every step (RUST_LOG takes precedence)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print only results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// What commands share: locations, and output to the user.
#[derive(Debug)]
pub(super) struct Context {
    project: Utf8PathBuf,
    cache_dir: Option<Utf8PathBuf>,
    /// Replaces the cache directory while this command runs.
    temporary: OnceLock<TempDir>,
    ui: Ui,
    runtime: OnceLock<Runtime>,
}

impl Context {
    pub(super) fn new(args: &GlobalArgs) -> Self {
        let ui = Ui::new(args.quiet);
        log::start(args.verbose, &ui);
        let (project, cache_dir) = (args.project.clone(), args.cache_dir.clone());
        Self { project, cache_dir, temporary: OnceLock::new(), ui, runtime: OnceLock::new() }
    }

    /// The directory that holds `mailimg.toml`.
    pub(super) fn project(&self) -> &camino::Utf8Path {
        &self.project
    }

    pub(super) fn ui(&self) -> &Ui {
        &self.ui
    }

    /// The directory for downloads, layers and imported repositories.
    pub(super) fn cache_dir(&self) -> Result<Utf8PathBuf, Failure> {
        self.named_cache_dir()?.ok_or_else(|| {
            let error = io::Error::other("neither XDG_CACHE_HOME nor HOME is set to an absolute path");
            Failure::new(Exit::Usage, &error).hint("name a directory for downloads with --cache-dir")
        })
    }

    /// The same for commands whose results don't stay there: a temporary directory if none is named.
    pub(super) fn cache_dir_or_temporary(&self) -> Result<Utf8PathBuf, Failure> {
        if let Some(named) = self.named_cache_dir()? {
            return Ok(named);
        }
        if self.temporary.get().is_none() {
            // Nobody else could have set it in the meantime.
            let _ = self.temporary.set(tempfile::Builder::new().prefix("mailimg-").tempdir()?);
        }
        let path = self.temporary.get().and_then(|directory| Utf8PathBuf::from_path_buf(directory.path().into()).ok());
        path.map_or_else(|| self.cache_dir(), Ok)
    }

    /// `--cache-dir`, or as in the XDG base directory specification: that one must not be another user's.
    fn named_cache_dir(&self) -> Result<Option<Utf8PathBuf>, Failure> {
        if self.cache_dir.is_some() {
            return Ok(self.cache_dir.clone());
        }
        let variable = |name| std::env::var(name).ok().map(Utf8PathBuf::from).filter(|path| path.is_absolute());
        let usual = variable("XDG_CACHE_HOME").map(|cache| cache.join("mailimg"));
        let usual = usual.or_else(|| variable("HOME").map(|home| home.join(".cache/mailimg")));
        usual.iter().try_for_each(|usual| check_owner(usual))?;
        Ok(usual)
    }

    /// The store in the cache directory.
    pub(super) fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.cache_dir()?)?)
    }

    /// The one runtime, which waits for the network. It is made when it is first needed.
    pub(super) fn runtime(&self) -> Result<&Runtime, Failure> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = start_runtime()?;
        Ok(self.runtime.get_or_init(|| runtime))
    }

    /// What stages need to fetch files.
    pub(super) fn fetching<'a>(&'a self, client: &'a Client) -> Result<Fetching<'a>, Failure> {
        Ok(Fetching { client, runtime: self.runtime()?, progress: &self.ui })
    }

    /// Runs a future that uses the network.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        Ok(self.runtime()?.block_on(future))
    }
}

/// A runtime with a thread for what blocks: tokio panics if there is none and the system gives none.
fn start_runtime() -> Result<Runtime, Failure> {
    const LONGER_THAN_ANY_COMMAND: Duration = Duration::from_hours(24 * 365);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().thread_keep_alive(LONGER_THAN_ANY_COMMAND).build()?;
    // Only this says whether there is one.
    let refused = |error: io::Error| Failure::new(Exit::System, &NoThreads(error.into()));
    super::try_thread().map_err(refused)?;
    drop(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}
