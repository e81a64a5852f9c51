use camino::Utf8PathBuf;

use super::ui::Ui;

/// Options that every command takes.
#[derive(Debug, clap::Args)]
pub(super) struct GlobalArgs {
    /// The project: the directory that holds mailimg.toml, recipes, images and apk-locks
    #[arg(short = 'C', long, global = true, value_name = "DIR", default_value = ".")]
    project: Utf8PathBuf,
    /// Where downloads and layers are kept [default: $XDG_CACHE_HOME/mailimg]
    #[arg(long, global = true, value_name = "DIR", env = "MAILIMG_CACHE_DIR")]
    cache_dir: Option<Utf8PathBuf>,
    /// Say more; twice for every step (RUST_LOG takes precedence)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// What commands share: where things are, and how to talk to the user.
#[derive(Debug)]
pub(super) struct Context {
    project: Utf8PathBuf,
    cache_dir: Option<Utf8PathBuf>,
    ui: Ui,
}

impl Context {
    pub(super) fn new(args: &GlobalArgs) -> Self {
        start_log(args.verbose);
        Self { project: args.project.clone(), cache_dir: args.cache_dir.clone(), ui: Ui::new(args.quiet) }
    }

    /// The directory that holds `mailimg.toml`.
    pub(super) fn project(&self) -> &camino::Utf8Path {
        &self.project
    }

    pub(super) fn ui(&self) -> &Ui {
        &self.ui
    }
}

fn start_log(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "mailimg=info,warn",
        _ => "mailimg=debug,info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| default.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}
