//! `mailimg lock`: what it writes, and what it refuses.

mod alpine;
mod fetched;
mod interrupted;
mod refused;

use std::path::PathBuf;

use camino::Utf8PathBuf;
use mailimg::apk::index::Index;
use mailimg::apk::package::ScriptKind;
use mailimg::apk::{Package, Version};
use mailimg::lock::Lock;
use serde_json::json;

use crate::common::http::HttpServer;
use crate::common::packages::{BUILT, Made, MadeRepository, channel, key, other_key, write_key};
use crate::common::project::Project;

const LOCK: &str = "apk-locks/made-up/web.x86_64.lock";

const RECIPE: &str = r#"description = "for tests"
world = ["web"]

[[group]]
name = "web"
gid = 500

[image]
entrypoint = ["/usr/bin/web"]

[service]
memory = 10
"#;

/// A project with one image, `web`, whose channel has one repository behind a local server.
struct Site {
    project: Project,
    repository: MadeRepository,
    server: HttpServer,
}

fn packages() -> Vec<Made> {
    vec![
        Made::new("libc", "1.2.5-r0").provides("so:libc.so.1=1.2.5"),
        Made::new("tool", "3.0-r0").depends("so:libc.so.1"),
        Made::new("web", "1.0-r0").depends("so:libc.so.1 tool"),
    ]
}

fn newer_packages() -> Vec<Made> {
    vec![
        Made::new("libc", "1.2.6-r0").provides("so:libc.so.1=1.2.6").built(BUILT + 100),
        Made::new("tool", "3.1-r0").depends("so:libc.so.1").built(BUILT + 100),
        Made::new("web", "1.1-r0").depends("so:libc.so.1 tool").built(BUILT + 100),
    ]
}

/// Both versions, as in a repository that keeps old ones.
fn all_packages() -> Vec<Made> {
    [packages(), newer_packages()].concat()
}

impl Site {
    fn new() -> Self {
        Self::with(&packages())
    }

    fn with(packages: &[Made]) -> Self {
        let project = Project::new();
        let repository = MadeRepository::new(project.root().join("repository"), packages);
        let server = HttpServer::directory(repository.path());
        project.write("apk-locks/made-up/channel.toml", channel(&server.url()));
        project.write(
            "mailimg.toml",
            "hostname = \"mail.example.org\"\ndomains = [\"example.org\"]\npostmaster = \"admin@example.org\"\n\
             channel = \"made-up\"\nimages = [\"web\"]\n",
        );
        project.write("recipes/web.toml", RECIPE);
        write_key(&project.root().join("keys"), key());
        Self { project, repository, server }
    }

    fn keys(&self) -> PathBuf {
        self.project.root().join("keys")
    }

    /// Runs `mailimg lock` with the keys and more arguments: exit code, standard output, standard error.
    fn lock(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.project.mailimg(["lock", "--keys-dir"]);
        let output = command.arg(self.keys()).args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// Locks, which must succeed.
    fn locked(&self) -> Lock {
        let (code, _, error) = self.lock(&[]);
        assert_eq!(code, 0, "{error}");
        self.read()
    }

    fn read(&self) -> Lock {
        fs_err::read_to_string(self.lock_path()).unwrap().parse().unwrap()
    }

    fn lock_path(&self) -> Utf8PathBuf {
        self.project.path().join(LOCK).try_into().unwrap()
    }

    /// Locks, which must fail with this exit code and all of these texts, and change nothing.
    fn refused(&self, args: &[&str], code: i32, texts: &[&str]) {
        let before = fs_err::read(self.lock_path()).ok();
        let (found, _, error) = self.lock(args);
        assert_eq!(found, code, "{error}");
        for text in texts {
            assert!(error.contains(text), "{text:?} is not in:\n{error}");
        }
        assert_eq!(fs_err::read(self.lock_path()).ok(), before, "the lock was touched");
        assert_eq!(leftovers(&self.project), Vec::<PathBuf>::new());
    }
}

/// Leftover temporary files in the store and next to locks.
fn leftovers(project: &Project) -> Vec<PathBuf> {
    let folders = [project.cache().join("files-v2/tmp"), project.path().join("apk-locks/made-up")];
    let entries = folders.iter().filter_map(|folder| fs_err::read_dir(folder).ok()).flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.parent() == Some(&folders[0]) || path.to_string_lossy().ends_with(".mailimg-tmp"))
        .collect()
}

fn versions(lock: &Lock) -> Vec<String> {
    lock.packages.iter().map(|package| format!("{}-{}", package.name, package.version)).collect()
}

#[test]
fn writes_all_that_decides() {
    let site = Site::new();
    let (code, out, error) = site.lock(&[]);
    assert_eq!((code, out.as_str()), (0, "web: 3 packages, locked for the first time\n"), "{error}");
    let lock = site.read();
    assert_eq!(versions(&lock), ["libc-1.2.5-r0", "tool-3.0-r0", "web-1.0-r0"]);
    assert_eq!(lock.channel, "made-up");
    assert_eq!(lock.keys.keys().collect::<Vec<_>>(), [key().name()]);
    assert_eq!(lock.groups[0].name, "web");
    assert_eq!(lock.newest().unix(), BUILT);
    for package in &lock.packages {
        let bytes = fs_err::read(site.repository.file(&package.file)).unwrap();
        assert_eq!(package.size, bytes.len() as u64);
        assert_eq!(package.sha256, mailimg::digest::Sha256::of(&bytes));
        let data = &bytes[usize::try_from(package.data.offset).unwrap()..];
        assert_eq!(package.data.sha256, mailimg::digest::Sha256::of(data));
    }
}

#[test]
fn is_the_same_again_and_fetches_nothing_twice() {
    let site = Site::new();
    site.locked();
    let text = site.project.read(LOCK);
    let before = site.server.requests().len();
    let (code, out, error) = site.lock(&[]);
    assert_eq!((code, out.as_str()), (0, "web: 3 packages, no changes\n"), "{error}");
    assert_eq!(site.project.read(LOCK), text);
    assert_eq!(site.server.requests()[before..], ["/x86_64/APKINDEX.tar.gz"]);
    assert_eq!(site.lock(&["--check"]).0, 0);
}

#[test]
fn is_the_same_from_a_directory() {
    let site = Site::new();
    site.locked();
    let text = site.project.read(LOCK);
    fs_err::remove_file(site.lock_path()).unwrap();
    fs_err::remove_dir_all(site.project.cache().join("files-v2")).unwrap();
    let before = site.server.requests().len();
    let (code, _, error) = site.lock(&["--repository", &format!("main={}", site.repository.path().display())]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(site.project.read(LOCK), text);
    assert_eq!(site.server.requests().len(), before);
}

#[test]
fn check_says_what_would_change_and_changes_nothing() {
    let site = Site::new();
    site.locked();
    site.repository.publish(&newer_packages(), Some(key()), Some(key()));
    let text = site.project.read(LOCK);
    let (code, out, error) = site.lock(&["--check"]);
    assert_eq!(code, 1, "{error}");
    for change in ["  libc 1.2.5-r0 -> 1.2.6-r0\n", "  tool 3.0-r0 -> 3.1-r0\n", "web: 3 packages, 3 changes\n"] {
        assert!(out.contains(change), "{change:?} is not in:\n{out}");
    }
    assert!(error.contains("1 lock is out of date"), "{error}");
    assert_eq!(site.project.read(LOCK), text);
}

#[test]
fn what_changes_in_several_images_is_named_once() {
    let site = Site::new();
    let project = &site.project;
    let settings = project.read("mailimg.toml").replace("[\"web\"]", "[\"web\", \"tool\", \"new\"]");
    project.write("mailimg.toml", settings);
    project.write("recipes/tool.toml", RECIPE.replace("\"web\"]\n", "\"tool\"]\n"));
    project.write("recipes/new.toml", RECIPE);
    let (code, out, error) = site.lock(&["web", "tool"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(out, "web: 3 packages, locked for the first time\ntool: 2 packages, locked for the first time\n");
    site.repository.publish(&newer_packages(), Some(key()), Some(key()));
    let (_, out, _) = site.lock(&[]);
    let expected = "  libc 1.2.5-r0 -> 1.2.6-r0\n  tool 3.0-r0 -> 3.1-r0\n  web 1.0-r0 -> 1.1-r0  [web]\n\
                    web: 3 packages, 3 changes\ntool: 2 packages, 2 changes\nnew: 3 packages, locked for the first time\n";
    assert_eq!(out, expected);
}

#[test]
fn json_has_each_image_and_each_change_once() {
    let site = Site::new();
    let json = |args: &[&str], expected: i32| {
        let (code, out, error) = site.lock(&[&["--json"], args].concat());
        assert_eq!(code, expected, "{error}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let object = |image: &str, status: &str, packages: u32| {
        let path = format!("./apk-locks/made-up/{image}.x86_64.lock");
        json!({ "image": image, "path": path, "status": status, "packages": packages })
    };
    assert_eq!(json(&["--check"], 1), json!({ "images": [object("web", "new", 3)], "changes": [] }));
    assert!(!site.lock_path().exists(), "it was written");
    assert_eq!(json(&[], 0), json!({ "images": [object("web", "new", 3)], "changes": [] }));
    assert_eq!(json(&[], 0), json!({ "images": [object("web", "unchanged", 3)], "changes": [] }));

    site.project.replace("mailimg.toml", "[\"web\"]", "[\"web\", \"tool\"]");
    site.project.write("recipes/tool.toml", RECIPE.replace("\"web\"]\n", "\"tool\"]\n"));
    json(&["tool"], 0);
    let newer = [
        newer_packages()[..1].to_vec(),
        vec![
            Made::new("tool", "2.0-r0").depends("so:libc.so.1").built(BUILT + 100),
            Made::new("web", "1.0-r0").depends("so:libc.so.1 new").built(BUILT + 100),
            Made::new("new", "1-r0").built(BUILT + 100).script(ScriptKind::PostInstall, "#!/bin/sh\n"),
        ],
    ];
    site.repository.publish(&newer.concat(), Some(key()), Some(key()));
    let rule = "[[script]]\npackage = \"new\"\nscripts = [\"post-install\"]\nignored-because = \"a test\"\n";
    site.project.write("apk-locks/made-up/scripts.toml", rule);
    site.project.replace("recipes/web.toml", "gid = 500", "gid = 501");
    let expected = json!({
        "images": [object("web", "changed", 3), object("tool", "changed", 2)],
        "changes": [
            { "kind": "updated", "package": "libc", "from": "1.2.5-r0", "to": "1.2.6-r0", "images": ["web", "tool"] },
            { "kind": "added", "package": "new", "from": null, "to": "1-r0", "images": ["web"] },
            { "kind": "removed", "package": "tool", "from": "3.0-r0", "to": null, "images": ["web"] },
            { "kind": "downgraded", "package": "tool", "from": "3.0-r0", "to": "2.0-r0", "images": ["tool"] },
            { "kind": "rebuilt", "package": "web", "from": "1.0-r0", "to": "1.0-r0", "images": ["web"] },
            { "kind": "other", "what": "accounts", "images": ["web"] },
        ],
    });
    assert_eq!(json(&["--allow-downgrade"], 0), expected);
    let newest = Made::new("new", "1-r0").built(BUILT + 100).script(ScriptKind::PostInstall, "#!/bin/sh\ntrue\n");
    site.repository.publish(&[newer.concat()[..3].to_vec(), vec![newest]].concat(), Some(key()), Some(key()));
    assert_eq!(
        json(&["web"], 0)["changes"],
        json!([
            { "kind": "rebuilt", "package": "new", "from": "1-r0", "to": "1-r0", "images": ["web"] },
            { "kind": "script", "package": "new", "script": "post-install", "images": ["web"] },
        ])
    );
    site.refused(&["--json", "--diff"], 2, &["cannot be used with"]);
}

#[test]
fn diff_is_a_patch_that_makes_the_new_lock() {
    let site = Site::new();
    let patched = |patch: &str| {
        let file = site.project.root().join("patch");
        fs_err::write(&file, patch).unwrap();
        // As outside any git repository, wherever temporary files are.
        let output = std::process::Command::new("git")
            .args(["apply", "-v"])
            .arg(file)
            .current_dir(site.project.path())
            .env("GIT_CEILING_DIRECTORIES", "/")
            .env("GIT_DIR", "/nonexistent")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}\n{patch}", String::from_utf8_lossy(&output.stderr));
        site.project.read(LOCK)
    };

    let (code, first, error) = site.lock(&["--diff"]);
    assert!(code == 1 && error.contains("1 lock is out of date"), "{code} {error}");
    assert!(!site.project.path().join(LOCK).exists(), "it was written");
    let made = patched(&first);
    assert_eq!(site.lock(&["--diff"]), (0, String::new(), String::new()), "nothing is left to change");

    site.repository.publish(&newer_packages(), Some(key()), Some(key()));
    let (code, second, _) = site.lock(&["--diff", "--check"]);
    assert_eq!(code, 1);
    for line in ["-  version 3.0-r0\n", "+  version 3.1-r0\n", "--- a/apk-locks/made-up/web.x86_64.lock\n"] {
        assert!(second.contains(line), "{line:?} is not in:\n{second}");
    }
    assert_eq!(site.project.read(LOCK), made, "it was changed");
    let made = patched(&second);
    fs_err::remove_file(site.lock_path()).unwrap();
    site.locked();
    assert_eq!(site.project.read(LOCK), made);
}

#[test]
fn an_index_that_moves_on_elsewhere_is_no_change() {
    let site = Site::new();
    site.locked();
    let text = site.project.read(LOCK);
    let more = [packages(), vec![Made::new("unrelated", "1.0-r0").built(BUILT + 5)]].concat();
    site.repository.publish(&more, Some(key()), Some(key()));
    assert_eq!(site.lock(&["--check"]).0, 0);
    assert_eq!(site.lock(&[]).1, "web: 3 packages, no changes\n");
    assert_eq!(site.project.read(LOCK), text);
}

#[test]
fn update_moves_only_what_is_named() {
    let site = Site::new();
    site.locked();
    site.repository.publish(&all_packages(), Some(key()), Some(key()));
    let (code, _, error) = site.lock(&["--update", "tool"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(versions(&site.read()), ["libc-1.2.5-r0", "tool-3.1-r0", "web-1.0-r0"]);
    let (code, _, error) = site.lock(&[]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(versions(&site.read()), ["libc-1.2.6-r0", "tool-3.1-r0", "web-1.1-r0"]);
    site.refused(&["--update", "tol"], 2, &["no lock contains tol"]);
}

#[test]
fn update_moves_what_the_named_packages_require_too() {
    let site = Site::new();
    site.locked();
    let mut packages = all_packages();
    packages.pop();
    packages.push(Made::new("web", "1.1-r0").depends("libc>=1.2.6 tool"));
    site.repository.publish(&packages, Some(key()), Some(key()));
    let (code, _, error) = site.lock(&["--update", "tool"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(versions(&site.read()), ["libc-1.2.5-r0", "tool-3.1-r0", "web-1.0-r0"]);
    let (code, _, error) = site.lock(&["--update", "web"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(versions(&site.read()), ["libc-1.2.6-r0", "tool-3.1-r0", "web-1.1-r0"]);
}

#[test]
fn does_not_go_back_unless_told_to() {
    let site = Site::with(&newer_packages());
    site.locked();
    site.repository.publish(&packages(), Some(key()), Some(key()));
    site.refused(&[], 3, &["the newest package in main is from 2026-06-01T00:00:00Z", "--allow-downgrade"]);
    let held_back: Vec<_> = packages().into_iter().map(|package| package.built(BUILT + 100)).collect();
    site.repository.publish(&held_back, Some(key()), Some(key()));
    site.refused(&[], 3, &["packages would be downgraded", "  web 1.1-r0 -> 1.0-r0 (older)"]);
    let (code, _, error) = site.lock(&["--allow-downgrade"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(versions(&site.read()), ["libc-1.2.5-r0", "tool-3.0-r0", "web-1.0-r0"]);
}

/// An index entry that can't be read keeps only its own package from being installed.
#[test]
fn leaves_out_what_cannot_be_read_in_an_index() {
    let site = Site::new();
    let mut index = Index::read_unverified(&fs_err::read(site.repository.index()).unwrap()).unwrap();
    index.packages.insert(0, Package::new("odd", Version::any("feature/x-r0"), "x86_64"));
    fs_err::write(site.repository.index(), index.write(Some(key())).unwrap()).unwrap();
    let why = r#"odd-feature/x-r0 is left out, because line 2 of the index can't be read: "feature/x-r0" is not"#;
    let (code, _, error) = site.lock(&[]);
    assert_eq!((code, error.contains("left out")), (0, false), "{error}");
    let (code, _, error) = site.lock(&["-v"]);
    assert_eq!((code, error.contains(why)), (0, true), "{error}");
    site.project.replace("recipes/web.toml", r#"world = ["web"]"#, r#"world = ["web", "odd"]"#);
    site.refused(&[], 5, &["odd can't be installed", why]);
}

#[test]
fn a_lock_with_converted_line_ends_says_what_it_is() {
    let site = Site::new();
    site.locked();
    let text = site.project.read(LOCK);
    site.project.write(LOCK, text.replace('\n', "\r\n"));
    let output = site.project.mailimg(["build"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    for text in ["web.x86_64.lock, line 1: the line ends with CR LF", ".gitattributes"] {
        assert!(error.contains(text), "{text:?} is not in:\n{error}");
    }
}

#[test]
fn points_at_an_unknown_key_of_a_recipe() {
    let site = Site::new();
    site.project.replace("recipes/web.toml", "world = ", "wolrd = ");
    site.refused(&[], 2, &["recipes/web.toml:2", "wolrd", "did you mean world?"]);
}

#[test]
fn points_at_a_malformed_dependency() {
    let site = Site::new();
    site.project.replace("recipes/web.toml", "world = [\"web\"]", "world = [\"web=\"]");
    site.refused(&[], 2, &["\"web=\" in the world of web is not a valid dependency"]);
}

#[test]
fn names_the_repositories_and_architectures_that_there_are() {
    let site = Site::new();
    site.refused(
        &["--repository", "mian=/tmp"],
        2,
        &["the channel has no repository \"mian\"; its repositories are main"],
    );
    site.refused(&["--arch", "riscv64"], 2, &["channel \"made-up\" doesn't support riscv64; it supports x86_64"]);
    site.refused(&["--repository", "main"], 2, &["expected NAME=URL_OR_DIR"]);
    site.refused(&["--repository", "main=ftp://x/y"], 2, &["ftp:// is not supported"]);
}

#[test]
fn stops_at_a_script_that_nobody_has_classified() {
    let script = "#!/bin/sh\nadduser -S web\n";
    let site = Site::with(&[Made::new("web", "1.0-r0").script(ScriptKind::PreInstall, script)]);
    let lines = "[[script]]\npackage = \"web\"\nscripts = [\"pre-install\"]\n";
    site.refused(&[], 3, &["web has a pre-install script", "    adduser -S web", lines, "scripts.toml"]);

    site.project.write("apk-locks/made-up/scripts.toml", format!("{lines}replaced-by = \"the recipe's accounts\"\n"));
    let scripts = site.locked().packages[0].scripts.clone();
    assert_eq!(scripts.len(), 1);
    assert_eq!((scripts[0].name.as_str(), scripts[0].sha256), ("pre-install", mailimg::digest::Sha256::of(script)));

    let newer = Made::new("web", "1.0-r1").built(BUILT + 1).script(ScriptKind::PreInstall, "#!/bin/sh\nrm -rf /\n");
    site.repository.publish(&[newer], Some(key()), Some(key()));
    let (_, out, _) = site.lock(&["--check"]);
    assert!(out.contains("! web pre-install (script changed: read it)"), "{out}");
}

#[test]
fn an_imported_channel_trusts_its_own_key_and_pins_neither_it_nor_the_index() {
    let site = Site::new();
    site.project.write(
        "apk-locks/made-up/channel.toml",
        "description = \"imported\"\narchitectures = [\"x86_64\"]\nimport = \"debian\"\n",
    );
    let lock = || site.project.mailimg(["lock"]).output().unwrap();
    let output = lock();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{error}");
    let place = site.project.cache().join("made-up");
    assert!(error.contains(&format!("there is no repository in {}", place.display())), "{error}");
    assert!(error.contains("mailimg repo import-debian"), "{error}");

    let imported = MadeRepository::new(&place, &[]);
    imported.publish(&packages(), None, Some(other_key()));
    write_key(&place.join("keys"), other_key());
    let output = lock();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = site.project.read(LOCK);
    assert!(text.contains("\nrepository debian\n  import debian\n\nworld web\n"), "{text}");
    assert!(!text.contains("\nkey ") && !text.contains("  signature "), "{text}");

    // On another machine, the repository doesn't exist yet.
    fs_err::remove_dir_all(site.project.cache()).unwrap();
    let output = site.project.mailimg(["build"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains(&format!("there is no repository in {}", place.display())), "{error}");
    assert!(error.contains("mailimg repo import-debian"), "{error}");
}

#[test]
fn makes_a_damaged_lock_anew() {
    let site = Site::new();
    site.locked();
    let text = site.project.read(LOCK);
    site.project.replace(LOCK, "mailimg-lock 1\n", "mailimg-lock 1\n<<<<<<< HEAD\n");
    let (code, _, error) = site.lock(&["--check"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("web.x86_64.lock, line 2: unresolved merge conflict"), "{error}");
    site.locked();
    assert_eq!(site.project.read(LOCK), text);
}
