//! The built images that a command uses.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, Failure};
use crate::config::Project;
use crate::oci::{Built, Images, Platform};

/// Where built images are, and for which architecture they are taken.
#[derive(Debug, clap::Args)]
pub(super) struct LayoutArgs {
    /// The OCI layout that contains the images [default: oci in the project]
    #[arg(long, value_name = "DIR")]
    layout: Option<Utf8PathBuf>,
    /// Use the images for this architecture, x86_64 or aarch64 [default: the layout's only one, or the channel's first]
    #[arg(long)]
    arch: Option<String>,
}

impl LayoutArgs {
    /// Where the images were built into.
    pub(super) fn path(&self, context: &Context) -> Result<Utf8PathBuf, Failure> {
        match &self.layout {
            Some(layout) => Ok(layout.clone()),
            None => Ok(Project::open(context.project())?.layout_dir()),
        }
    }

    /// The images of the layout at `path`: those named, or all of them.
    pub(super) fn chosen(&self, path: &Utf8Path, names: &[String], context: &Context) -> Result<Vec<Built>, Failure> {
        let images = Images::read(path)?;
        let arch = self.arch.as_deref().map(Platform::of).transpose()?;
        let chosen = images.choose(names, arch, usual_platform(context))?;
        let several = chosen.iter().map(|built| images.architectures(&built.name)).find(|known| known.len() > 1);
        if let (None, Some(known), Some(usual)) = (arch, several, usual_platform(context)) {
            let known = known.join(" and ");
            context
                .ui()
                .status(format!("{path} has images for {known}: using those for {usual}; choose others with --arch"));
        }
        Ok(chosen)
    }
}

/// The architecture that the project builds for unless told otherwise. A layout can also be used without a project.
fn usual_platform(context: &Context) -> Option<Platform> {
    let project = Project::open(context.project()).ok()?;
    Platform::of(project.channel().architectures.first()?).ok()
}
