//! Creates a project: `mailimg.toml` for a domain, with the recipes, images, channels and schemas compiled into this
//! program.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use handlebars::Handlebars;
use serde_json::json;

use crate::config::{Address, DomainName, SITE_FILE};
use crate::store::set_mode;

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
/// name of a project file is an error. Everything is first written to a temporary directory and then moved,
/// `mailimg.toml` last.
pub fn init(directory: &Utf8Path, options: &Options) -> Result<(), InitError> {
    let site = site(options)?;
    let mut names: Vec<&str> = EMBEDDED.iter().filter_map(|file| file.path.split('/').next()).collect();
    names.dedup();
    names.push(SITE_FILE);
    for name in &names {
        let path = directory.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(InitError::Exists { path });
        }
    }
    let failed = |path: &Utf8Path| {
        let path = path.to_owned();
        move |source| InitError::Write { path, source }
    };
    fs_err::create_dir_all(directory).map_err(failed(directory))?;
    let draft = tempfile::Builder::new().prefix(".mailimg-init-").tempdir_in(directory).map_err(failed(directory))?;
    let draft = Utf8Path::from_path(draft.path()).map(Utf8Path::to_owned).zip(Some(draft));
    let Some((draft, _guard)) = draft else { return Err(failed(directory)(io::ErrorKind::InvalidFilename.into())) };
    for file in EMBEDDED {
        let path = draft.join(file.path);
        write(&path, &file.source).map_err(failed(&path))?;
    }
    let path = draft.join(SITE_FILE);
    fs_err::write(&path, site).map_err(failed(&path))?;
    for name in names {
        let path = directory.join(name);
        fs_err::rename(draft.join(name), &path).map_err(failed(&path))?;
    }
    for (name, text) in [(".gitignore", IGNORED), (".gitattributes", ATTRIBUTES)] {
        let path = directory.join(name);
        if path.symlink_metadata().is_err() {
            fs_err::write(&path, text).map_err(failed(&path))?;
        }
    }
    Ok(())
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
    use super::*;

    #[test]
    fn git_leaves_line_ends_alone_in_this_project_as_in_all() {
        assert_eq!(include_str!("../../.gitattributes"), ATTRIBUTES);
    }

    #[test]
    fn the_projects_own_site_is_what_init_writes() {
        let options = Options {
            domain: "example.test".parse().unwrap(),
            hostname: "mail.example.test".parse().unwrap(),
            postmaster: "admin@example.test".parse().unwrap(),
        };
        assert_eq!(site(&options).unwrap(), include_str!("../../mailimg.toml"));
    }
}
