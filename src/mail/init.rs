//! Creates a project: `mailimg.toml` for a domain, with the recipes, images, channels and schemas compiled into this
//! program.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use handlebars::Handlebars;
use serde_json::json;
use tempfile::TempDir;

use crate::config::{Address, DomainName, SITE_FILE};
use crate::store::{lock_exclusive, set_mode};

/// A file of the new project.
struct Embedded {
    path: &'static str,
    source: Source,
}

enum Source {
    File {
        executable: bool,
        bytes: &'static [u8],
    },
    #[allow(dead_code, reason = "the program may have been built from a tree without links")]
    Link(&'static str),
}

static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

const SITE: &str = include_str!("init/mailimg.toml.hbs");
const ATTRIBUTES: &str = "# Files that go into images must not change: git must not convert line ends.\n* -text\n";
const IGNORED: &str = "# Passwords and keys.\n/secrets/\n# Built images.\n/oci/\n";

/// Where everything is written before it is moved.
const DRAFT: &str = ".mailimg-init";

/// Why no project was created.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file or directory of the project already exists.
    #[error("{path} already exists")]
    Exists { path: Utf8PathBuf },
    /// A file could not be written.
    #[error("can't write {path}")]
    Write { path: Utf8PathBuf, source: io::Error },
    /// The template of mailimg.toml is broken.
    #[error("can't write mailimg.toml")]
    Template { source: Box<handlebars::RenderError> },
}

/// What a new project is for.
#[derive(Debug, Clone)]
pub struct Options {
    pub domain: DomainName,
    /// The server's own name.
    pub hostname: DomainName,
    /// Who gets mail to `postmaster@` and `abuse@`.
    pub postmaster: Address,
}

/// Creates a project in `directory`, and the directory if necessary. Existing files are never changed; one with the
/// name of a project file is an error, unless an `init` that was killed has left it: it is then what would be written.
/// Everything is first written to a temporary directory and then moved, `mailimg.toml` last.
pub fn init(directory: &Utf8Path, options: &Options) -> Result<(), InitError> {
    let site = site(options)?;
    fs_err::create_dir_all(directory).map_err(failed(directory))?;
    let _lock = lock(directory).map_err(failed(directory))?;
    let names = missing(directory)?;
    let draft = draft(directory).map_err(failed(&directory.join(DRAFT)))?;
    for file in EMBEDDED {
        let path = directory.join(DRAFT).join(file.path);
        write(&path, &file.source).map_err(failed(&path))?;
    }
    for (name, text) in [(SITE_FILE, site.as_str()), (".gitignore", IGNORED), (".gitattributes", ATTRIBUTES)] {
        let path = directory.join(DRAFT).join(name);
        fs_err::write(&path, text).map_err(failed(&path))?;
    }
    for name in names {
        let path = directory.join(name);
        fs_err::rename(draft.path().join(name), &path).map_err(failed(&path))?;
    }
    Ok(())
}

fn failed(path: &Utf8Path) -> impl FnOnce(io::Error) -> InitError + use<> {
    let path = path.to_owned();
    move |source| InitError::Write { path, source }
}

/// Waits for other processes that create a project there.
fn lock(directory: &Utf8Path) -> io::Result<File> {
    let file = File::open(directory)?;
    lock_exclusive(&file, directory)?;
    Ok(file)
}

/// A new directory for the draft, in the place of one that a killed process has left.
fn draft(directory: &Utf8Path) -> io::Result<TempDir> {
    match std::fs::remove_dir_all(directory.join(DRAFT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => tempfile::Builder::new().prefix(DRAFT).rand_bytes(0).tempdir_in(directory),
    }
}

/// The names in `directory` that are still to be created, in order.
fn missing(directory: &Utf8Path) -> Result<Vec<&'static str>, InitError> {
    let mut names: Vec<&str> = EMBEDDED.iter().filter_map(|file| file.path.split('/').next()).collect();
    names.dedup();
    let is_there = |name: &&str| directory.join(name).symlink_metadata().is_ok();
    let is_foreign = |name: &&str| is_there(name) && !is_as_written(directory, name);
    if let Some(name) = names.iter().copied().chain([SITE_FILE]).find(is_foreign) {
        return Err(InitError::Exists { path: directory.join(name) });
    }
    names.extend([".gitignore", ".gitattributes", SITE_FILE]);
    names.retain(|name| !is_there(name));
    Ok(names)
}

/// Whether the project's files below `name` are there, unchanged.
fn is_as_written(directory: &Utf8Path, name: &str) -> bool {
    let mut files = EMBEDDED.iter().filter(|file| file.path.split('/').next() == Some(name)).peekable();
    files.peek().is_some()
        && files.all(|file| match &file.source {
            Source::Link(target) => directory.join(file.path).read_link_utf8().is_ok_and(|found| found == *target),
            Source::File { bytes, .. } => std::fs::read(directory.join(file.path)).is_ok_and(|found| found == *bytes),
        })
}

fn site(options: &Options) -> Result<String, InitError> {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(handlebars::no_escape);
    let values = json!({
        // Nothing else in a domain name is forbidden in a site's name.
        "name": options.domain.as_str().replace('.', "-").chars().take(64).collect::<String>(),
        "domain": options.domain,
        "hostname": options.hostname,
        "postmaster": options.postmaster,
    });
    handlebars.render_template(SITE, &values).map_err(|error| InitError::Template { source: Box::new(error) })
}

fn write(path: &Utf8Path, source: &Source) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match source {
        Source::Link(target) => symlink(target, path),
        Source::File { executable, bytes } => {
            let mut file = File::create(path)?;
            file.write_all(bytes)?;
            set_mode(&file, if *executable { 0o755 } else { 0o644 })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn options() -> Options {
        Options {
            domain: "example.test".parse().unwrap(),
            hostname: "mail.example.test".parse().unwrap(),
            postmaster: "admin@example.test".parse().unwrap(),
        }
    }

    #[test]
    fn goes_on_where_a_killed_process_stopped() {
        let names = |directory: &Utf8Path| {
            let entries = directory.read_dir_utf8().unwrap();
            entries.map(|entry| entry.unwrap().file_name().to_owned()).collect::<BTreeSet<_>>()
        };
        let project = tempfile::tempdir().unwrap();
        let project = Utf8Path::from_path(project.path()).unwrap();
        init(project, &options()).unwrap();
        let whole = names(project);
        for unmoved in &whole {
            let path = project.join(unmoved);
            if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) }.unwrap();
            let _ = std::fs::remove_file(project.join(SITE_FILE));
            write(&project.join(DRAFT).join("recipes/half"), &Source::File { executable: false, bytes: b"" }).unwrap();
            init(project, &options()).unwrap();
            assert_eq!(names(project), whole, "without {unmoved}");
        }
    }

    #[test]
    fn what_somebody_changed_is_not_taken_for_a_leftover() {
        let project = tempfile::tempdir().unwrap();
        let project = Utf8Path::from_path(project.path()).unwrap();
        init(project, &options()).unwrap();
        fs_err::remove_file(project.join(SITE_FILE)).unwrap();
        fs_err::write(project.join("recipes/postfix.toml"), "mine").unwrap();
        let error = init(project, &options()).unwrap_err();
        assert_eq!(error.to_string(), format!("{} already exists", project.join("recipes")));
        assert!(!project.join(SITE_FILE).exists() && !project.join(DRAFT).exists());
    }

    #[test]
    fn git_leaves_line_ends_alone_in_this_project_as_in_all() {
        assert_eq!(include_str!("../../.gitattributes"), ATTRIBUTES);
    }

    #[test]
    fn the_projects_own_site_is_what_init_writes() {
        assert_eq!(site(&options()).unwrap(), include_str!("../../mailimg.toml"));
    }
}
