//! The rule that separates the stages: each may use those above it in `src/lib.rs`, and none below.

use std::path::{Path, PathBuf};

fn read(path: &str) -> String {
    fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Modules in the order in which data flows.
fn stages() -> Vec<String> {
    let names = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    read("src/lib.rs").lines().filter_map(names).collect()
}

/// All source files of a stage.
fn files(stage: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources([source.join(stage), source.join(stage).with_extension("rs")]);
    assert!(!files.is_empty(), "{stage} has no files");
    files
}

/// All source files at or below these paths.
pub(crate) fn sources(paths: [PathBuf; 2]) -> Vec<PathBuf> {
    let mut waiting = Vec::from(paths);
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs_err::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") && path.exists() {
            files.push(path);
        }
    }
    files
}

#[test]
fn no_stage_knows_one_below_it() {
    let stages = stages();
    assert!(stages.len() > 15 && stages.last().unwrap() == "cli", "{stages:?}");
    for (position, stage) in stages.iter().enumerate() {
        for file in files(stage) {
            let text = fs_err::read_to_string(&file).unwrap();
            for known in text.split("crate::").skip(1) {
                let known = known.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
                let below = stages.iter().skip(position + 1).any(|stage| stage == known);
                assert!(!below, "{} uses {known}, which comes after {stage}", file.display());
            }
        }
    }
}

#[test]
fn the_documentation_lists_the_stages_in_their_order() {
    let text = read("docs/architecture.md");
    let listed = text.split("```").nth(1).unwrap().lines().filter_map(|line| line.split_whitespace().next());
    assert_eq!(listed.collect::<Vec<_>>(), stages());
}
