//! A project's TOML files. The first byte says which of them the input is; the compose file is made of what is read.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use mailimg::compose;
use mailimg::config::Project;
use mailimg::digest::Sha256;

use crate::common::{Outcome, Target};
use crate::project::{CHANNEL, Files, RECIPE, SITE, original};

pub const TARGET: Target = Target { check, seeds };

const KINDS: [(u8, &str); 3] = [(b's', SITE), (b'r', RECIPE), (b'c', CHANNEL)];
const COMPOSE: &str = "compose.yaml";

static FILES: LazyLock<Files> = LazyLock::new(Files::new);

fn check(input: &[u8]) -> Outcome {
    let (kind, text) = input.split_first().ok_or("empty")?;
    let (_, path) = KINDS.iter().find(|(known, _)| known == kind).ok_or("no such file")?;
    FILES.write(path, text);
    let outcome = read();
    FILES.reset(path);
    outcome
}

/// What the project is composed to can be read, and has all of its images.
fn read() -> Outcome {
    let project = Project::open(FILES.root())?;
    let images: BTreeMap<String, Sha256> =
        project.recipes().map(|recipe| (recipe.name.clone(), Sha256::of(&recipe.name))).collect();
    let text = compose::compose(&project, &images)?;
    FILES.write(COMPOSE, &text);
    let composed = compose::read(project.files(), &FILES.path(COMPOSE)).unwrap().expect("it was written");
    assert!(composed.services.keys().eq(images.keys()), "{text}");
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    KINDS.iter().map(|(kind, path)| [&[*kind], original(path).as_bytes()].concat()).collect()
}
