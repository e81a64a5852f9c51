use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::ConfigError;
use super::template::{self, Values};
use super::{AbsolutePath, Files, Kind, Project, Recipe};

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

/// The longest file to bake, and the longest template, in bytes.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;
const TEMPLATE_LIMIT: u64 = 1024 * 1024;
/// The most files of an image, and the most bytes of all of them, which are in memory together.
const MOST_FILES: usize = 65_536;
const TOTAL_LIMIT: usize = 256 * 1024 * 1024;

/// The files to bake into an image, sorted by path, with templates rendered.
pub fn bake(project: &Project, recipe: &Recipe) -> Result<Vec<BakedFile>, ConfigError> {
    let values = Values::new(project, recipe)?;
    let images = project.root().join("images");
    let reader = Baker { files: project.files(), values: &values };
    let mut baked = BTreeMap::new();
    for folder in &recipe.rootfs {
        baked.extend(reader.folder(&images.join(folder.as_str()).join("rootfs"))?);
    }
    match reader.folder(&images.join(&recipe.name).join("rootfs")) {
        // Not every image has files of its own.
        Err(ConfigError::Read(error)) if error.is_missing() => {}
        own => baked.extend(own?),
    }
    Ok(baked.into_iter().map(|(path, contents)| BakedFile { path, contents }).collect())
}

struct Baker<'a> {
    files: &'a Files,
    values: &'a Values,
}

impl Baker<'_> {
    fn folder(&self, rootfs: &Utf8Path) -> Result<BTreeMap<AbsolutePath, Contents>, ConfigError> {
        let mut baked = BTreeMap::new();
        let mut folders = vec![rootfs.to_owned()];
        let mut total = 0_usize;
        while let Some(folder) = folders.pop() {
            for (source, kind) in self.files.list(&folder)? {
                let contents = match kind {
                    Kind::Directory => {
                        folders.push(source);
                        continue;
                    }
                    Kind::Link => Contents::Link { target: self.files.link(&source)? },
                    Kind::File => self.file(&source)?,
                    Kind::Other => return Err(unbakeable(&source, "is not a file, directory or symbolic link")),
                };
                if let Contents::File { bytes, .. } = &contents {
                    total = total.saturating_add(bytes.len());
                }
                let path = target_path(rootfs, &source, matches!(contents, Contents::File { .. }))?;
                if baked.insert(path, contents).is_some() {
                    return Err(unbakeable(&source, "exists twice: as a file and as a template"));
                }
                if total > TOTAL_LIMIT || baked.len() > MOST_FILES {
                    return Err(unbakeable(rootfs, "has more than 256 MiB or 65536 files"));
                }
            }
        }
        Ok(baked)
    }

    fn file(&self, source: &Utf8Path) -> Result<Contents, ConfigError> {
        let is_template = source.extension() == Some("hbs");
        let limit = if is_template { TEMPLATE_LIMIT } else { FILE_LIMIT };
        let (mut bytes, mode) = self.files.read_with_mode(source, limit)?;
        if is_template {
            let text =
                String::from_utf8(bytes).map_err(|_| unbakeable(source, "is not UTF-8, as templates must be"))?;
            bytes = template::render(source, &text, self.values)?.into_bytes();
        }
        Ok(Contents::File { mode: if mode & 0o100 == 0 { 0o644 } else { 0o755 }, bytes })
    }
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
