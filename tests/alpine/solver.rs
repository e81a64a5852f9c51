//! The solver compared with Alpine's own apk, on small random repositories, full of cases that are rare in real ones.

#![allow(clippy::print_stderr, clippy::format_collect, clippy::format_push_string)]

use std::path::{Path, PathBuf};
use std::process::Command;

use mailimg::apk::index::{self, Index};
use mailimg::apk::{Checksum, Dependency};
use mailimg::solve::{Repository, Universe, solve};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::common::own_apk::OwnApk;

/// The number of random repositories; `MAILIMG_SOLVER_RANDOM` sets another.
const COUNT: u32 = 500;

/// A repository: whether it is tagged `@t`, and its packages, each the fields of a block without its checksum.
type Packages = (bool, Vec<String>);

fn name() -> impl Strategy<Value = String> {
    // Packages are called `a` to `e`; `v` and `w` are only provided.
    "[abcdevw]"
}

fn version() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[123]", 2 => "[12]\\.[01]", 1 => "1_rc1|1-r1|1a|01"]
}

fn constraint() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(String::new()),
        2 => ("=|<|>|<=|>=", version()).prop_map(|(op, version)| op + &version),
    ]
}

/// Without conflicts: versions of apk treat one in an `install_if` differently.
fn required() -> impl Strategy<Value = String> {
    (name(), constraint()).prop_map(|(name, it)| name + &it)
}

fn dependency() -> impl Strategy<Value = String> {
    (prop_oneof![8 => Just(""), 2 => Just("!")], name(), constraint())
        .prop_map(|(not, name, it)| format!("{not}{name}{it}"))
}

fn provide() -> impl Strategy<Value = String> {
    (name(), prop_oneof![2 => Just(String::new()), 1 => version().prop_map(|it| format!("={it}"))])
        .prop_map(|(name, version)| name + &version)
}

fn list<T: Strategy<Value = String>>(letter: char, item: T, weight: u32) -> impl Strategy<Value = String> {
    let some = prop::collection::vec(item, 1..3).prop_map(move |items| format!("{letter}:{}\n", items.join(" ")));
    prop_oneof![10 - weight => Just(String::new()), weight => some]
}

fn package() -> impl Strategy<Value = String> {
    let priority = prop_oneof![8 => Just(String::new()), 2 => "[0-2]".prop_map(|it| format!("k:{it}\n"))];
    ("[abcde]", version(), list('D', dependency(), 5), list('p', provide(), 5), list('i', required(), 2), priority)
        .prop_map(|(name, version, depends, provides, install_if, priority)| {
            format!("P:{name}\nV:{version}\nA:x86_64\nS:1\nI:1\n{priority}{depends}{provides}{install_if}")
        })
}

fn repositories() -> impl Strategy<Value = Vec<Packages>> {
    let second = (any::<bool>(), prop::collection::vec(package(), 1..5));
    (prop::collection::vec(package(), 1..8), prop::option::weighted(0.3, second))
        .prop_map(|(first, second)| std::iter::once((false, first)).chain(second).collect())
}

fn world() -> impl Strategy<Value = Vec<String>> {
    let tag = prop_oneof![4 => Just(""), 1 => Just("@t")];
    let tagged = (name(), tag, constraint()).prop_map(|(name, tag, it)| format!("{name}{tag}{it}"));
    prop::collection::vec(prop_oneof![9 => tagged, 1 => name().prop_map(|name| format!("!{name}"))], 1..4)
}

/// The text of a repository's index. Each package has a checksum of its own.
fn text(packages: &[String]) -> String {
    packages.iter().map(|fields| format!("C:{}\n{fields}\n", Checksum::of(fields))).collect()
}

/// Whether a package conflicts with what it provides: apk 3 allows that, and apk 2.14.0 does not.
fn conflicts_with_itself(fields: &str) -> bool {
    let packages = index::parse(fields.as_bytes()).packages;
    packages.iter().any(|package| {
        let conflicts = package.depends.iter().filter(|it| it.conflict);
        let mut names = conflicts.map(|it| &it.name);
        names.any(|name| *name == package.name || package.provides.iter().any(|it| it.name == *name))
    })
}

/// mailimg's answer, in apk's words.
fn answer(repositories: &[Packages], world: &str) -> Result<String, String> {
    let read = |(tagged, packages): &Packages| Repository {
        tag: tagged.then(|| "t".to_owned()),
        packages: index::parse(text(packages).as_bytes()).packages,
        left_out: Vec::new(),
    };
    let universe = Universe::new(repositories.iter().map(read).collect());
    let plan =
        solve(&universe, &Dependency::parse_list(world).unwrap(), "x86_64").map_err(|error| error.to_string())?;
    let names = plan.steps.iter().map(|step| format!("{}-{}", step.package.name, step.package.version));
    Ok(names.collect::<Vec<_>>().join(" "))
}

/// An empty system, with repositories next to it.
struct Root {
    apk: OwnApk,
    directory: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let root = Self { apk: OwnApk::new(), directory: tempfile::tempdir().unwrap() };
        let made = root.apk.command(&root.path()).args(["add", "--initdb"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        root
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// apk's answer.
    fn ask(&self, repositories: &[Packages], world: &str) -> Result<String, String> {
        let mut lines = String::new();
        for (number, (tagged, packages)) in repositories.iter().enumerate() {
            let path = self.directory.path().join(number.to_string());
            write_index(&path, packages);
            lines += &format!("{}{}\n", if *tagged { "@t " } else { "" }, path.display());
        }
        let list = self.directory.path().join("repositories");
        fs_err::write(&list, lines).unwrap();
        let mut command: Command = self.apk.command(&self.path());
        command.args(["--allow-untrusted", "--repositories-file"]).arg(list).args(["--simulate", "add"]);
        let output = command.args(world.split(' ')).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        if !output.status.success() {
            return Err(out + &err);
        }
        let installed = out.lines().filter_map(|line| line.split_once(") Installing "));
        let names = installed.map(|(_, it)| it.replace("@t", "").replace(" (", "-").replace(')', ""));
        Ok(names.collect::<Vec<_>>().join(" "))
    }
}

fn write_index(path: &Path, packages: &[String]) {
    let packages = index::parse(text(packages).as_bytes()).packages;
    let index = Index { description: "made up".into(), packages, left_out: Vec::new() };
    fs_err::create_dir_all(path.join("x86_64")).unwrap();
    fs_err::write(path.join("x86_64/APKINDEX.tar.gz"), index.write(None).unwrap()).unwrap();
}

/// If several packages that provide several names provide the same name, apk's answer depends on the order of its
/// decisions. That order was derived from its behaviour, and some details are unknown: one answer in a hundred may
/// differ.
#[test]
fn random_repositories_have_apks_answer() {
    let root = Root::new();
    let count = std::env::var("MAILIMG_SOLVER_RANDOM").map_or(COUNT, |count| count.parse().unwrap());
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let (mut asked, mut differing) = (0, 0);
    for _ in 0..count {
        let (repositories, world) = (repositories(), world()).new_tree(&mut runner).unwrap().current();
        if repositories.iter().any(|(_, packages)| packages.iter().any(|it| conflicts_with_itself(it))) {
            continue;
        }
        let world = world.join(" ");
        let (ours, theirs) = (answer(&repositories, &world), root.ask(&repositories, &world));
        if let Err(error) = &ours {
            assert!(error.lines().count() > 2, "no reason is given: {error}\n{repositories:?}");
        }
        asked += 1;
        if ours.as_ref().ok() != theirs.as_ref().ok() {
            differing += 1;
            eprintln!("{repositories:?}\nworld: {world}\n  mailimg: {ours:?}\n  apk: {theirs:?}");
        }
    }
    assert!(asked > count / 2 && differing * 100 <= asked, "{differing} of {asked} differ");
}
