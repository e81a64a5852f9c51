//! `mailimg repo import-debian`, from a small Debian mirror with its own keys (tests/cli/debian-mirror: two packages,
//! made with dpkg-deb and gpg, signed once). Debian's apt-get is needed, as it is for the command itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::project::Project;

pub(super) const MAPPING: &str = "suite = \"trixie\"\nbase = \"base\"\nroots = [\"tool\"]\nexclude = [\"usr/share/doc/\"]\n\
                       include = [\"usr/share/doc/*\", \"usr/share/doc/*/copyright\"]\n";

fn mirror() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/debian-mirror")
}

fn import(project: &Project, mirror: &Path, keyring: &str, more: &[&str]) -> Output {
    project.write("apk-locks/debian-13/import.toml", MAPPING);
    import_as_it_is(project, mirror, keyring, more)
}

fn import_as_it_is(project: &Project, mirror: &Path, keyring: &str, more: &[&str]) -> Output {
    let url = format!("file://{}", mirror.display());
    let keyring = mirror.join(keyring);
    let mut command = project.mailimg(["repo", "import-debian", "--arch", "amd64", "--mirror", &url, "--out", "out"]);
    command.arg("--keyring").arg(keyring).args(more).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Package files by name.
fn packages(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(project.path().join("out/x86_64")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "apk"));
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn imports_and_keeps_what_it_made() {
    let project = Project::new();
    let output = import(&project, &mirror(), "keyring.gpg", &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("2 packages (2 new), 0 MB"), "{}", stderr(&output));
    let first = packages(&project);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["base-1.0-r1002000100.apk", "tool-1.0-r1002000100.apk"]);
    let index = std::fs::read(project.path().join("out/x86_64/APKINDEX.tar.gz")).unwrap();

    // Without the mirror: everything has been downloaded.
    let output = import(&project, Path::new("/nonexistent"), "keyring.gpg", &["--offline"]);
    assert!(stderr(&output).contains("2 packages (0 new), 0 MB"), "{}", stderr(&output));
    assert_eq!(packages(&project), first);
    assert_eq!(std::fs::read(project.path().join("out/x86_64/APKINDEX.tar.gz")).unwrap(), index);

    // Another project with another key gets the same packages.
    let other = Project::new();
    assert!(import(&other, &mirror(), "keyring.gpg", &[]).status.success());
    assert_eq!(packages(&other), first);
    assert_ne!(std::fs::read(other.path().join("out/x86_64/APKINDEX.tar.gz")).unwrap(), index);
}

#[test]
fn the_private_key_is_for_its_owner_only_and_not_in_the_repository() {
    use std::os::unix::fs::PermissionsExt as _;

    let project = Project::new();
    assert!(import(&project, &mirror(), "keyring.gpg", &[]).status.success());
    let key = project.path().join("out.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&key).unwrap().contains("PRIVATE KEY"));
    let public = std::fs::read_dir(project.path().join("out/keys")).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::read_to_string(public).unwrap().contains("BEGIN PUBLIC KEY"));
}

#[test]
fn lists_that_no_trusted_key_signed_are_refused() {
    let project = Project::new();
    let output = import(&project, &mirror(), "other.gpg", &[]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("this machine has no key for trixie"), "{}", stderr(&output));
    assert!(stderr(&output).contains("debian-archive-keyring"), "{}", stderr(&output));
    assert!(!project.path().join("out").exists());
}

#[test]
fn a_package_that_is_not_the_signed_one_is_refused() {
    let project = Project::new();
    let copy = project.path().join("mirror");
    copy_all(&mirror(), &copy);
    let deb = copy.join("pool/tool.deb");
    let mut bytes = std::fs::read(&deb).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    std::fs::write(&deb, bytes).unwrap();
    let output = import(&project, &copy, "keyring.gpg", &[]);
    assert!(matches!(output.status.code(), Some(3 | 4)), "{}", stderr(&output));
    assert!(!project.path().join("out").exists());
}

#[test]
fn mistakes_in_the_mapping_are_named() {
    let project = Project::new();
    project.write("apk-locks/debian-13/import.toml", format!("{MAPPING}[package.tool]\nnmae = \"x\"\n"));
    let output = import_as_it_is(&project, &mirror(), "keyring.gpg", &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("import.toml:7:"), "{}", stderr(&output));
    assert!(stderr(&output).contains("nmae"), "{}", stderr(&output));

    project.write("apk-locks/debian-13/import.toml", MAPPING.replace("[\"tool\"]", "[\"loot\"]"));
    let output = import_as_it_is(&project, &mirror(), "keyring.gpg", &[]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("the Debian package \"loot\", which trixie doesn't have"), "{}", stderr(&output));

    let output = import_as_it_is(&project, &mirror(), "keyring.gpg", &["--suite", "forky"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("for the suite \"forky\""), "{}", stderr(&output));
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
