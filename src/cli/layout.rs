//! The built images that a command is about.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::exit::Exit;
use super::{Context, Failure};
use crate::config::Project;
use crate::digest::Sha256;
use crate::oci;

/// Where the images were built into: what the user says, or the project's own.
pub(super) fn layout_dir(given: Option<&Utf8Path>, context: &Context) -> Result<Utf8PathBuf, Failure> {
    match given {
        Some(layout) => Ok(layout.to_owned()),
        None => Ok(Project::open(context.project())?.layout_dir()),
    }
}

/// The images of a layout with their manifests' digests: those named, or all of them.
pub(super) fn chosen(layout: &Utf8Path, names: &[String]) -> Result<BTreeMap<String, Sha256>, Failure> {
    let mut built = oci::images(layout)?;
    if let Some(name) = names.iter().find(|name| !built.contains_key(*name)) {
        let known: Vec<&str> = built.keys().map(String::as_str).collect();
        let message = format!("{layout} has no image {name:?}; it has {}", known.join(", "));
        return Err(Failure::told(Exit::Missing, message).hint(format!("build it first: mailimg build {name}")));
    }
    built.retain(|name, _| names.is_empty() || names.contains(name));
    Ok(built)
}
