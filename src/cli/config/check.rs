use serde_json::json;

use super::{Context, Failure};
use crate::config::{Project, bake};

/// Check mailimg.toml, the recipes and the channel, and render all templates.
///
/// Reports the first mistake with its file and line, and exits with 2.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print a JSON array of objects with image and files (the number of files to bake)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let mut objects = Vec::new();
    for recipe in project.recipes() {
        let files = bake(&project, recipe)?.len();
        objects.push(json!({ "image": recipe.name, "files": files }));
        context.ui().status(format!("{}: {files} files to bake", recipe.name));
    }
    if args.json { context.ui().json(&objects) } else { Ok(()) }
}
