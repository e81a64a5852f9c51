//! A small project on disk, of which a target changes one file.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

pub const SITE: &str = "mailimg.toml";
pub const RECIPE: &str = "recipes/web.toml";
pub const CHANNEL: &str = "apk-locks/test/channel.toml";
pub const TEMPLATE: &str = "images/web/rootfs/etc/web.conf.hbs";

const FILES: [(&str, &str); 4] = [
    (SITE, include_str!("example-site.toml")),
    (RECIPE, include_str!("example-recipe.toml")),
    (CHANNEL, include_str!("example-channel.toml")),
    (TEMPLATE, "{{site.hostname}}\n"),
];

pub struct Files {
    directory: TempDir,
}

impl Files {
    pub fn new() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        FILES.iter().for_each(|(path, _)| files.reset(path));
        files
    }

    pub fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.directory.path()).unwrap()
    }

    pub fn path(&self, path: &str) -> Utf8PathBuf {
        self.root().join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        // Almost always, the directory is there.
        if fs::write(&path, &content).is_err() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Gives a file the content that it had at first.
    pub fn reset(&self, path: &str) {
        self.write(path, original(path));
    }
}

/// The content of a file before a target changes it.
pub fn original(path: &str) -> &'static str {
    FILES.iter().find(|(known, _)| *known == path).unwrap().1
}
