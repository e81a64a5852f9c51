use crate::config::{Project, bake};

use super::{Context, Failure};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    for recipe in project.recipes() {
        let files = bake(&project, recipe)?;
        context.ui().status(format!("{}: {} files to bake", recipe.name, files.len()));
    }
    Ok(())
}
