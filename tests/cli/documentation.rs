//! The commands, options, scripts, pages and locks that the documentation names exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::architecture::sources;
use crate::common::project::Project;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages: path and text.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs_err::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    paths.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(|name| root().join(name)));
    paths.into_iter().map(|path| (path.clone(), fs_err::read_to_string(path).unwrap())).collect()
}

/// Lines of code blocks without their prompt, and text between backticks elsewhere.
fn code(text: &str) -> Vec<String> {
    let (mut found, mut prose, mut in_block) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push(line.trim_start_matches(['$', '#', ' ']).to_owned());
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    found.extend(prose.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")));
    found
}

/// The words of a piece of code up to a comment, if it calls `program`.
fn arguments<'a>(code: &'a str, program: &str) -> Option<Vec<&'a str>> {
    let mut words = code.split(" #").next()?.split_whitespace();
    (words.next()? == program).then(|| words.collect())
}

fn options<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let end = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let words = arguments.iter().map(|word| word.trim_start_matches('['));
    words.filter(|word| word.starts_with("--")).filter_map(|word| word.split(end).next()).collect()
}

#[test]
fn every_command_that_is_named_is_there_with_its_options() {
    let project = Project::new();
    let mut seen = 0;
    for (page, text) in pages() {
        for code in code(&text) {
            let Some(arguments) = arguments(&code, "mailimg") else { continue };
            let is_word = |word: &&&str| word.starts_with(char::is_lowercase) && !word.contains(['.', '@', '/']);
            let words = arguments.iter().take_while(is_word);
            let output = project.mailimg(words).arg("--help").output().unwrap();
            let help = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}: `{code}`: there is no such command", page.display());
            for option in options(&arguments) {
                assert!(help.contains(option), "{}: `{code}`: there is no {option}", page.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} commands were found");
}

#[test]
fn every_script_that_is_named_is_there_with_its_options() {
    let mut seen = 0;
    for (page, text) in pages() {
        for code in code(&text) {
            let Some(name) = code.split_whitespace().next().filter(|word| word.starts_with("scripts/")) else {
                continue;
            };
            let script = fs_err::read_to_string(root().join(name)).unwrap_or_default();
            assert!(
                script.contains(&format!("\n# usage: {name}")),
                "{}: `{code}`: there is no such script",
                page.display()
            );
            for option in options(&arguments(&code, name).unwrap()) {
                assert!(script.contains(option), "{}: `{code}`: there is no {option}", page.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} scripts were found");
}

#[test]
fn every_link_to_a_page_leads_somewhere() {
    let mut seen = 0;
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") && !link.starts_with('#') {
                let target = page.parent().unwrap().join(link.split('#').next().unwrap());
                assert!(target.exists(), "{} links to {link}", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 8, "only {seen} links were found");
}

/// The threat model names a test as `module::function` for what it claims.
#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let mut known = BTreeSet::new();
    for file in sources(["src", "tests"].map(|name| root().join(name))) {
        let text = fs_err::read_to_string(file).unwrap();
        let tested = text.split("#[test]").chain(text.split("#[tokio::test]")).skip(1);
        known.extend(tested.filter_map(|rest| rest.split_once("fn ")?.1.split('(').next().map(str::to_owned)));
    }
    let page = fs_err::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let codes = page.split('`').skip(1).step_by(2);
    let named: Vec<&str> = codes.filter_map(|code| Some(code.split_once("::")?.1)).collect();
    assert!(named.len() > 20, "only {} tests were found", named.len());
    for name in named {
        assert!(known.contains(name), "docs/threat-model.md: there is no test {name}");
    }
}

/// The README says which channels can be built.
#[test]
fn the_readme_knows_which_channels_are_locked() {
    let readme = fs_err::read_to_string(root().join("README.md")).unwrap();
    let locked = |channel: &str| {
        let mut files = fs_err::read_dir(root().join("apk-locks").join(channel)).unwrap();
        files.any(|file| file.unwrap().path().extension().is_some_and(|it| it == "lock"))
    };
    for (channel, claim) in [("debian-13", "its locks are committed"), ("alpine-3.24", "not locked yet")] {
        let (_, section) = readme.split_once(&format!("- **`{channel}`**")).unwrap();
        let section = section.split("\n- ").next().unwrap().split("\n\n").next().unwrap();
        assert!(section.contains(claim), "{channel}: {section}");
        assert_eq!(locked(channel), !claim.contains("not"), "the readme is out of date: {section}");
    }
}

/// Steps as `say` announces them, up to the first part that differs from run to run.
#[test]
fn the_readme_shows_what_the_scripts_say() {
    let files = ["quickstart", "test", "engine", "lib/common.sh", "lib/build.sh"];
    let scripts = files.map(|name| fs_err::read_to_string(root().join("scripts").join(name)).unwrap()).concat();
    let said = scripts.split("say \"").skip(1).filter_map(|rest| rest.split(['"', '$']).next());
    let said: Vec<&str> = said.filter(|text| !text.is_empty()).collect();
    let readme = fs_err::read_to_string(root().join("README.md")).unwrap();
    let shown: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("==> ")).collect();
    assert!(shown.len() > 9, "only {} steps were found", shown.len());
    for line in shown {
        assert!(said.iter().any(|text| line.starts_with(text)), "no script says {line:?}");
    }
}

/// `rust-toolchain.toml` says which Rust is used, `Cargo.toml` which is the oldest that works.
#[test]
fn the_oldest_rust_that_compiles_it_is_the_one_it_is_made_with() {
    let read = |name: &str| fs_err::read_to_string(root().join(name)).unwrap().parse::<toml::Table>().unwrap();
    let (cargo, toolchain) = (read("Cargo.toml"), read("rust-toolchain.toml"));
    let oldest = cargo["package"]["rust-version"].as_str().unwrap();
    let used = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert_eq!(used.rsplit_once('.').unwrap().0, oldest);
}
