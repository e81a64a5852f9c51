//! Alpine's own apk with the repository that `mailimg repo import-debian` creates, for the worlds of the real images.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use mailimg::digest::Sha256;
use mailimg::lock::Lock;

use crate::common::own_apk::OwnApk;
use crate::common::project::Project;

/// apk's database: the same bytes as ours, but with the time of apk's run.
const STATE: [&str; 2] = ["etc/apk/", "lib/apk/db/"];

/// Paths that only one side has: devices that apk creates when it starts, and the list of repositories (which apk gets
/// on its command line).
const NOT_COMPARED: [&str; 2] = ["dev/", "etc/apk/repositories"];

/// The repository that `scripts/test` creates.
fn repository() -> PathBuf {
    let repository = Project::with_shared_cache().cache().join("debian-13");
    assert!(
        repository.join("x86_64/APKINDEX.tar.gz").is_file(),
        "this test reads the apk repository of Debian packages, and {} has none: `mailimg repo import-debian` makes it \
         (scripts/test does)",
        repository.display()
    );
    repository
}

/// The worlds of the images, from the project's locks.
fn worlds() -> BTreeMap<String, Vec<String>> {
    let locks = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("apk-locks/debian-13");
    let mut worlds = BTreeMap::new();
    for image in ["clamav", "dovecot", "mysql", "postfix"] {
        let text = fs_err::read_to_string(locks.join(format!("{image}.x86_64.lock"))).unwrap();
        let lock: Lock = text.parse().unwrap();
        let world = lock.world.iter().map(ToString::to_string).collect();
        worlds.insert(image.to_owned(), world);
    }
    worlds
}

#[test]
fn as_root_alpines_apk_takes_the_debian_repository() {
    let apk = OwnApk::new();
    let repository = repository();
    let project = Project::new();
    let keys = repository.join("keys");
    for (image, world) in worlds() {
        let ours = |command| {
            let arguments = ["apk", command, "--repository", repository.to_str().unwrap(), "--keys-dir"];
            let arguments =
                arguments.into_iter().chain([keys.to_str().unwrap()]).chain(world.iter().map(String::as_str));
            project.run(arguments)
        };
        let target = project.root().join(&image);
        let mut add = apk.command(&target);
        add.arg("--keys-dir").arg(&keys).args(["add", "--initdb", "--repository"]).arg(&repository).args(&world);
        let output = add.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("WARNING") && !said.contains("ERROR"), "{image}: {said}");

        let installed: String = said.lines().filter_map(installed_by).map(|package| package + "\n").collect();
        assert_eq!(ours("solve"), installed, "{image}: packages, in their order");

        let (theirs, ours) = (tree_on_disk(&target), tree_as_printed(&ours("tree")));
        let paths: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
        let differ = |path: &&String| theirs.get(*path) != ours.get(*path);
        let difference = |path: &String| format!("{path}: apk {:?}, mailimg {:?}", theirs.get(path), ours.get(path));
        let differences: Vec<_> = paths.into_iter().filter(differ).map(difference).collect();
        assert!(differences.is_empty(), "{image}: {} paths differ:\n{}", differences.len(), differences.join("\n"));
        assert!(theirs.len() > 500, "{image}: {} paths only", theirs.len());
    }
}

/// The package of a line like `(3/29) Installing zlib (1.3-r0)`.
fn installed_by(line: &str) -> Option<String> {
    let (name, version) = line.split_once(") Installing ")?.1.split_once(" (")?;
    Some(format!("{name}-{}", version.strip_suffix(')')?))
}

/// The facts about a path: type, mode, owner, size, time of files, number of links, content or target.
fn tree_as_printed(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(|line| line.split_once('\t').unwrap());
    let compared = lines.filter(|(path, _)| is_compared(path));
    compared.map(|(path, what)| (path.to_owned(), without_time_of_run(path, what))).collect()
}

fn tree_on_disk(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs_err::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let metadata = fs_err::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            if is_compared(&name) {
                let what = without_time_of_run(&name, &described(&path, &metadata));
                found.insert(name, what);
            }
        }
    }
    found
}

fn described(path: &Path, metadata: &std::fs::Metadata) -> String {
    let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    if metadata.is_dir() {
        return format!("d\t{mode:o}\t{uid}\t{gid}\t-\t-\t-\t-");
    }
    if metadata.is_symlink() {
        return format!("l\t{mode:o}\t{uid}\t{gid}\t-\t-\t-\t{}", fs_err::read_link(path).unwrap().display());
    }
    assert!(metadata.is_file(), "{} is of a type that no package brings", path.display());
    let (size, mtime, links) = (metadata.len(), metadata.mtime(), metadata.nlink());
    format!("f\t{mode:o}\t{uid}\t{gid}\t{size}\t{mtime}\t{links}\t{}", Sha256::of(fs_err::read(path).unwrap()))
}

fn is_compared(path: &str) -> bool {
    !NOT_COMPARED.iter().any(|other| path.starts_with(other))
}

fn without_time_of_run(path: &str, what: &str) -> String {
    let mut fields: Vec<_> = what.split('\t').collect();
    if STATE.iter().any(|directory| path.starts_with(directory)) {
        fields[5] = "-";
    }
    fields.join("\t")
}
