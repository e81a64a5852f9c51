use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::ConfigError;
use super::template::{self, Values};
use super::{AbsolutePath, Project, Recipe};

/// A file or link from `images/<image>/rootfs`, ready for the image. It belongs to root unless the recipe says
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BakedFile {
    /// Where in the image.
    pub path: AbsolutePath,
    pub contents: Contents,
}

/// What a baked path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    File {
        /// 0755 if the owner may execute the source file, otherwise 0644. The rest of the source's mode is ignored.
        mode: u32,
        /// The content, rendered if the source is a template.
        bytes: Vec<u8>,
    },
    /// A symbolic link, with the source's literal target.
    Link {
        /// What it points to.
        target: String,
    },
}

/// The files to bake into an image, sorted by path, with templates rendered.
pub fn bake(project: &Project, recipe: &Recipe) -> Result<Vec<BakedFile>, ConfigError> {
    let values = Values::new(project, recipe)?;
    let images = project.root().join("images");
    let mut files = BTreeMap::new();
    for folder in &recipe.rootfs {
        files.extend(bake_folder(&images.join(folder.as_str()).join("rootfs"), &values)?);
    }
    let own = images.join(&recipe.name).join("rootfs");
    if own.exists() {
        files.extend(bake_folder(&own, &values)?);
    }
    Ok(files.into_iter().map(|(path, contents)| BakedFile { path, contents }).collect())
}

fn bake_folder(rootfs: &Utf8Path, values: &Values) -> Result<BTreeMap<AbsolutePath, Contents>, ConfigError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![rootfs.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |source| ConfigError::Read { path: folder.clone(), source };
        for entry in folder.read_dir_utf8().map_err(unreadable)? {
            let source = entry.map_err(unreadable)?.into_path();
            let kind = source.symlink_metadata().map_err(unreadable)?;
            if kind.is_dir() {
                folders.push(source);
                continue;
            }
            let contents = if kind.is_symlink() {
                let target = source.read_link_utf8().map_err(unreadable)?;
                Contents::Link { target: target.into_string() }
            } else if kind.is_file() {
                let mode = if kind.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
                Contents::File { mode, bytes: read(&source, values)? }
            } else {
                return Err(unbakeable(&source, "is not a file, directory or symbolic link"));
            };
            let path = target_path(rootfs, &source, matches!(contents, Contents::File { .. }))?;
            if files.insert(path, contents).is_some() {
                return Err(unbakeable(&source, "exists twice: as a file and as a template"));
            }
        }
    }
    Ok(files)
}

fn read(source: &Utf8Path, values: &Values) -> Result<Vec<u8>, ConfigError> {
    let bytes = fs_err::read(source).map_err(|error| ConfigError::Read { path: source.to_owned(), source: error })?;
    if source.extension() != Some("hbs") {
        return Ok(bytes);
    }
    let text = String::from_utf8(bytes).map_err(|_| unbakeable(source, "is not UTF-8, as templates must be"))?;
    Ok(template::render(source, &text, values)?.into_bytes())
}

fn target_path(rootfs: &Utf8Path, source: &Utf8Path, is_file: bool) -> Result<AbsolutePath, ConfigError> {
    let inner = source.strip_prefix(rootfs).unwrap_or(source);
    let mut path = Utf8PathBuf::from("/").join(inner);
    if is_file && path.extension() == Some("hbs") {
        path.set_extension("");
    }
    path.as_str().parse().map_err(|_| unbakeable(source, "has a name that images can't contain"))
}

fn unbakeable(source: &Utf8Path, reason: &str) -> ConfigError {
    ConfigError::NotBakeable { path: source.to_owned(), reason: reason.to_owned() }
}
