//! `mailimg build`: the same bytes everywhere, and everything that it refuses.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use mailimg::digest::Sha256;
use mailimg::store::{Store, verify};

use crate::common::foreign;
use crate::common::packages::{Made, MadeRepository, channel, key, write_key};
use crate::common::project::Project;
use crate::disk::SmallDisk;

const RECIPE: &str = r#"description = "for tests"
world = ["web"]

[[group]]
name = "web"
gid = 500

[[user]]
name = "web"
uid = 500
group = "web"
home = "/var/lib/web"

[[directory]]
path = "/var/lib/web"
mode = "2750"
owner = "web"
group = "web"

[[file]]
path = "/usr/share/web"
mode = "0640"
group = "web"

[[link]]
path = "/usr/bin/web"
target = "../share/web"

[image]
entrypoint = ["/usr/bin/web"]
ports = ["80/tcp"]

[service]
memory = 10
"#;

pub(super) fn packages() -> Vec<Made> {
    vec![
        Made::new("libc", "1.2.5-r0").provides("so:libc.so.1=1.2.5").file("etc/group", "root:x:0:\n"),
        Made::new("small", "3-r0").file("etc/small", "small"),
        Made::new("web", "1.0-r0")
            .depends("so:libc.so.1 small")
            .file("usr/share/empty", "")
            .file("usr/share/big", noise()),
    ]
}

/// Bytes that compress a little, more than fit into one gzip member.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0] & 0x3f
    };
    std::iter::repeat_with(next).take(5_000_000).collect()
}

/// A locked project with one image of made-up packages, at `path` in a new directory.
pub(super) fn project(packages: &[Made]) -> Project {
    let project = Project::new();
    MadeRepository::new(project.path().join("repository"), packages);
    project.write("apk-locks/made-up/channel.toml", channel("repository"));
    project.write(
        "mailimg.toml",
        "name = \"example-org\"\nhostname = \"mail.example.org\"\ndomains = [\"example.org\"]\n\
         postmaster = \"admin@example.org\"\nchannel = \"made-up\"\nimages = [\"web\"]\n",
    );
    project.write("recipes/web.toml", RECIPE);
    project.write("images/web/rootfs/etc/motd.hbs", "welcome to {{site.hostname}}\n");
    let keys = project.root().join("keys");
    write_key(&keys, key());
    project.run(["lock", "--keys-dir", keys.to_str().unwrap()]);
    project
}

/// Digests of the images that a build prints.
pub(super) fn digests(json: &str) -> Vec<String> {
    let images: serde_json::Value = serde_json::from_str(json).unwrap();
    images.as_array().unwrap().iter().map(|image| image["digest"].as_str().unwrap().to_owned()).collect()
}

/// Exit code and standard error of a build.
fn refused(project: &Project, args: &[&str]) -> (i32, String) {
    let output = project.mailimg(["build"]).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_build_ends_with_what_there_is_and_what_comes_next() {
    let project = project(&packages());
    let output = project.mailimg(["build"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("1 image, ") && said.contains(" MB in ") && said.contains(" layers, after "), "{said}");
    assert!(said.ends_with("; next: `mailimg up` runs them here, `mailimg push` sends them to a registry\n"), "{said}");
    let quiet = project.mailimg(["build", "--quiet"]).output().unwrap();
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{}", String::from_utf8_lossy(&quiet.stderr));
}

/// Runs a build from a shell with different settings, in a different environment.
fn strange_build(project: &Project, threads: &str) -> String {
    let output = Command::new("/bin/sh")
        .args(["-c", "umask 077; exec \"$0\" build --json", env!("CARGO_BIN_EXE_mailimg")])
        .env_clear()
        .env("PATH", "/nowhere")
        .env("HOME", "/nonexistent")
        .env("USER", "somebody-else")
        .env("TZ", "Pacific/Kiritimati")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("RAYON_NUM_THREADS", threads)
        .env("MAILIMG_CACHE_DIR", project.root().join("another/cache"))
        .current_dir(project.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_same_inputs_give_the_same_digests_everywhere() {
    let first = project(&packages());
    let built = first.run(["build", "--json"]);
    // A change here is a new assembly version: see `layer::ASSEMBLY_VERSION`. (The top layer's installed database has the
    // packages' sizes, and with them that of a signature by a key that is new each time.)
    let json: serde_json::Value = serde_json::from_str(&built).unwrap();
    let layers: Vec<&str> = (0..2).map(|layer| json[0]["layers"][layer]["digest"].as_str().unwrap()).collect();
    let golden = [
        "sha256:883dc7c415d23fb5995f4f2393b7f6fbdc3b28f845fdacc6d4cafb7483d023a7",
        "sha256:a4e6c98ac416cae84c15803b5788e48ee56419ca71d7f5af9445547bd2a7b845",
    ];
    assert_eq!(layers, golden);
    let expected = digests(&built);
    assert_eq!(digests(&first.run(["build", "--json", "--offline"])), expected, "again, nothing to fetch");
    for threads in ["1", "2", "8"] {
        assert_eq!(digests(&strange_build(&project(&packages()), threads)), expected, "{threads} threads");
    }
    let output = first.mailimg(["build", "--json"]).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
    assert_ne!(digests(&String::from_utf8(output.stdout).unwrap()), expected, "another time of creation");
}

#[test]
fn the_image_holds_what_recipe_and_packages_say() {
    let project = project(&packages());
    project.run(["build"]);
    let entries = entries(&project);
    // The uppermost layer that contains it.
    let line =
        |path: &str| entries.iter().rev().find(|(name, _)| name == path).unwrap_or_else(|| panic!("{path}")).1.clone();
    assert_eq!(line("var/lib/web/"), "2750 500 500 ");
    assert_eq!(line("usr/share/web"), "640 0 500 1.0-r0");
    assert_eq!(line("usr/bin/web"), "777 0 0 -> ../share/web");
    assert_eq!(line("etc/motd"), "644 0 0 welcome to mail.example.org\n");
    assert_eq!(line("etc/group"), "644 0 0 root:x:0:\nweb:x:500:\n");
    assert_eq!(line("etc/apk/world"), "644 0 0 web\n");
    assert!(line("lib/apk/db/installed").contains("\nP:web\nV:1.0-r0\n"));
}

/// Mode, owner and content of an image's paths, read by an independent library.
fn entries(project: &Project) -> Vec<(String, String)> {
    let images: serde_json::Value = serde_json::from_str(&project.run(["build", "--json"])).unwrap();
    let mut entries = Vec::new();
    for layer in images[0]["layers"].as_array().unwrap() {
        let digest = layer["digest"].as_str().unwrap().trim_start_matches("sha256:");
        let blob = fs_err::File::open(project.path().join("oci/blobs/sha256").join(digest)).unwrap();
        let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(blob));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let content = match entry.link_name().unwrap() {
                Some(target) => format!("-> {}", target.display()),
                None => String::from_utf8_lossy(&content).into_owned(),
            };
            let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
            entries.push((entry.path().unwrap().display().to_string(), format!("{mode:o} {uid} {gid} {content}")));
        }
    }
    entries
}

#[test]
fn as_root_others_read_the_archive() {
    let project = project(&packages());
    let built = project.run(["build", "--archive", "--json"]);
    let archive = project.path().join("oci/web.tar");
    assert!(ocidir::OciArchive::open(&archive).is_ok());
    let copied = foreign::copied_and_unpacked(&archive, project.root());
    assert_eq!([copied.digest.as_str()].as_slice(), digests(&built));
    let stat = |path: &str| fs_err::symlink_metadata(copied.files.join(path)).unwrap();
    let home = stat("var/lib/web");
    assert_eq!((home.mode() & 0o7777, home.uid(), home.gid()), (0o2750, 500, 500));
    let file = stat("usr/share/web");
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid(), file.len()), (0o640, 0, 500, 6));
    assert_eq!(fs_err::read_link(copied.files.join("usr/bin/web")).unwrap(), Path::new("../share/web"));
    assert_eq!(fs_err::read(copied.files.join("usr/share/big")).unwrap(), noise());
}

#[test]
fn a_lock_for_another_recipe_is_refused() {
    let project = project(&packages());
    project.replace("recipes/web.toml", "world = [\"web\"]", "world = [\"web\", \"libc\"]");
    let (code, error) = refused(&project, &[]);
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("the lock of web is out of date: its recipe's world") && error.contains("mailimg lock"),
        "{error}"
    );
    assert!(!project.path().join("oci/index.json").exists());
}

#[test]
fn a_package_that_is_not_the_locked_one_is_refused() {
    let project = project(&packages());
    fs_err::remove_dir_all(project.cache()).unwrap();
    let repository = MadeRepository::new(project.path().join("repository"), &packages());
    repository.tamper("web-1.0-r0.apk", 100);
    let (code, error) = refused(&project, &[]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("web-1.0-r0.apk"), "{error}");
    assert!(!project.path().join("oci/index.json").exists());
}

#[test]
fn a_lock_with_another_hash_is_refused() {
    let message = "web-1.0-r0.apk doesn't match the lock";
    for line in ["  sha256 ", "  data ", "  diff-id "] {
        for is_cold in [false, true] {
            let project = project(&packages());
            edit_last_hash(&project, line);
            if is_cold {
                fs_err::remove_dir_all(project.cache()).unwrap();
            }
            let (code, error) = refused(&project, &[]);
            assert_eq!(code, 3, "{error}");
            assert!(error.contains(message) && error.contains("the lock was edited"), "{line}: {error}");
            assert!(!project.path().join("oci/index.json").exists());
        }
    }
}

/// Changes the last digit of the hash on a line in the block of `web`, the last block of the lock.
fn edit_last_hash(project: &Project, line: &str) {
    let lock = "apk-locks/made-up/web.x86_64.lock";
    let mut text = project.read(lock);
    let end = text.rfind(line).and_then(|start| Some(start + text[start..].find('\n')?)).unwrap();
    let digit = if text[..end].ends_with('0') { "1" } else { "0" };
    text.replace_range(end - 1..end, digit);
    project.write(lock, text);
}

#[test]
fn a_package_that_is_nowhere_is_named() {
    let project = project(&packages());
    fs_err::remove_dir_all(project.cache()).unwrap();
    fs_err::remove_file(project.path().join("repository/x86_64/web-1.0-r0.apk")).unwrap();
    for args in [&[][..], &["--offline"]] {
        let (code, error) = refused(&project, args);
        assert_eq!(code, 4, "{error}");
        assert!(error.contains("repository/x86_64/web-1.0-r0.apk does not exist"), "{error}");
        assert!(error.contains("mailimg lock") && error.contains("--repository"), "{error}");
        assert!(!project.path().join("oci/index.json").exists());
    }
    // Nobody listens there, and no request is sent.
    let (code, error) = refused(&project, &["--offline", "--repository", "main=http://127.0.0.1:9"]);
    assert_eq!(code, 4, "{error}");
    // The error can name either of the two: earlier builds may or may not have kept libc.
    assert!(error.contains("http://127.0.0.1:9/x86_64/") && error.contains("-r0.apk is not in the store"), "{error}");
    assert!(error.contains("without --offline"), "{error}");
}

#[test]
fn as_root_a_full_disk_leaves_the_images_that_were_there() {
    let project = project(&packages());
    let disk = SmallDisk::mount(project.path().join("oci"), "6m");
    let old = digests(&project.run(["build", "--json"]));
    let index = project.read("oci/index.json");
    let (code, error) = refused(&project, &["--archive"]);
    assert_eq!(code, 6, "{error}");
    for text in ["can't write ", "oci/web.tar", "No space left on device", "free some space"] {
        assert!(error.contains(text), "{text:?} is not in:\n{error}");
    }
    let names = fs_err::read_dir(project.path().join("oci")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("archive")), "a half-written archive");
    let mut other = packages();
    other[1] = Made::new("web", "1.0-r1").depends("so:libc.so.1").file("usr/share/big", [noise(), noise()].concat());
    MadeRepository::new(project.path().join("repository"), &other);
    project.run(["lock", "--keys-dir", project.root().join("keys").to_str().unwrap()]);
    let (code, error) = refused(&project, &[]);
    assert_eq!(code, 6, "{error}");
    for text in ["can't write blob ", "/oci\n", "No space left on device", "free some space"] {
        assert!(error.contains(text), "{text:?} is not in:\n{error}");
    }
    assert_eq!(project.read("oci/index.json"), index);
    let blob = project.path().join("oci/blobs").join(old[0].replace(':', "/"));
    assert_eq!(Sha256::of(fs_err::read(blob).unwrap()).to_string(), old[0].trim_start_matches("sha256:"));
    disk.grow("32m");
    assert_ne!(digests(&project.run(["build", "--json"])), old);
}

#[test]
fn as_root_a_full_cache_is_told_and_keeps_no_half_layer() {
    let project = project(&packages());
    fs_err::write(project.path().join("images/web/rootfs/etc/big"), noise()).unwrap();
    let disk = SmallDisk::mount(project.root().join("disk"), "6m");
    let cache = disk.path.to_str().unwrap();
    let (code, error) = refused(&project, &["--cache-dir", cache]);
    assert_eq!(code, 6, "{error}");
    for text in ["can't write the layer of ", "can't write to ", cache, "No space left on device", "free some space"] {
        assert!(error.contains(text), "{text:?} is not in:\n{error}");
    }
    assert!(!project.path().join("oci/index.json").exists());
    assert_eq!(fs_err::read_dir(disk.path.join("files-v2/tmp")).unwrap().count(), 0);
    let store = Store::open(disk.path.as_path().try_into().unwrap()).unwrap();
    assert_eq!(verify(&store).unwrap(), []);
    drop(store);
    disk.grow("32m");
    project.run(["build", "--cache-dir", cache]);
}

#[test]
fn names_that_would_harm_are_refused() {
    let project = project(&packages());
    let keys = project.root().join("keys");
    for (path, command, message) in [
        ("etc/.wh.passwd", "build", "starts with .wh."),
        ("../passwd", "lock", "contains “..”"),
        ("/passwd", "lock", "the path \"/\""),
    ] {
        let hostile = [packages().remove(0), Made::new("web", "1.0-r0").depends("so:libc.so.1").file(path, "x")];
        MadeRepository::new(project.path().join("repository"), &hostile);
        let output = project.mailimg(["lock", "--keys-dir", keys.to_str().unwrap()]).output().unwrap();
        let (code, error) = match output.status.code() {
            Some(0) => refused(&project, &[]),
            code => (code.unwrap(), String::from_utf8_lossy(&output.stderr).into_owned()),
        };
        assert_eq!(code, 3, "{path}: {error}");
        assert_eq!(output.status.success(), command == "build", "{path}: {error}");
        assert!(error.contains("web-1.0-r0") && error.contains(message), "{path}: {error}");
        assert!(!project.path().join("oci/index.json").exists());
    }
}

#[test]
fn packages_that_clash_are_both_named() {
    let clashing = [
        Made::new("libc", "1.2.5-r0").provides("so:libc.so.1=1.2.5").file("etc/motd", "one"),
        Made::new("web", "1.0-r0").depends("so:libc.so.1").file("etc/motd", "another"),
    ];
    let (code, error) = refused(&project(&clashing), &[]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("packages libc-1.2.5-r0 and web-1.0-r0 both contain etc/motd"), "{error}");
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let project = project(&packages());
    let precious = project.write("thesis/chapter-1", "precious");
    let (code, error) = refused(&project, &["--output", "thesis"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("neither empty nor an OCI layout"), "{error}");
    assert_eq!(fs_err::read_dir(precious.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn the_time_of_creation_can_be_set() {
    let project = project(&packages());
    let build = |value: &str| project.mailimg(["digest"]).env("SOURCE_DATE_EPOCH", value).output().unwrap();
    let unset = project.run(["digest"]);
    assert_eq!(String::from_utf8(build("").stdout).unwrap(), unset, "empty is unset");
    let set = build("1700000000");
    assert!(set.status.success() && String::from_utf8(set.stdout).unwrap() != unset);
    assert!(build("0").status.success() && build("253402300799").status.success());
    for wrong in ["-1", "+1", " 1", "1.5", "today", "0x10", "253402300800", "99999999999999999999"] {
        let output = build(wrong);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {error}");
        assert!(error.contains(&format!("SOURCE_DATE_EPOCH is {wrong:?}")), "{error}");
    }
}

/// Configuration and manifest of the image in the project's layout.
fn documents(project: &Project) -> (serde_json::Value, serde_json::Value) {
    let json = |path: &str| serde_json::from_str::<serde_json::Value>(&project.read(path)).unwrap();
    let blob = |digest: &serde_json::Value| json(&format!("oci/blobs/{}", digest.as_str().unwrap().replace(':', "/")));
    let manifest = blob(&json("oci/index.json")["manifests"][0]["digest"]);
    (blob(&manifest["config"]["digest"]), manifest)
}

#[test]
fn labels_and_annotations_are_the_recipes_and_the_command_lines() {
    let project = project(&packages());
    let plain = project.run(["digest"]);
    let own = "entrypoint = [\"/usr/bin/web\"]\n\
               labels = { \"org.opencontainers.image.source\" = \"https://example.org/web\", \"a\" = \"recipe\" }\n\
               annotations = { \"org.opencontainers.image.title\" = \"Web\" }";
    project.replace("recipes/web.toml", "entrypoint = [\"/usr/bin/web\"]", own);
    project.run(["build"]);
    let (config, manifest) = documents(&project);
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.source"], "https://example.org/web");
    assert_eq!((&labels["org.opencontainers.image.title"], &labels["a"]), (&"web".into(), &"recipe".into()));
    assert_eq!(manifest["annotations"]["org.opencontainers.image.title"], "Web");
    assert_eq!(manifest["annotations"].get("a"), None);

    let revision = ["--label", "org.opencontainers.image.revision=0a1b2c", "--label", "a=b=c", "--annotation", "x=y"];
    let built = project.run([&["build"], &revision[..]].concat());
    let (config, manifest) = documents(&project);
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.revision"], "0a1b2c");
    assert_eq!((&labels["a"], &manifest["annotations"]["x"]), (&"b=c".into(), &"y".into()));
    assert_eq!(project.run([&["digest"], &revision[..]].concat()), built);
    assert_ne!(project.run(["digest"]), built);
    project.replace("recipes/web.toml", own, "entrypoint = [\"/usr/bin/web\"]");
    assert_eq!(project.run(["digest"]), plain, "nothing else is changed");
}

#[test]
fn a_label_that_cannot_be_set_is_an_error() {
    let project = project(&packages());
    let (code, error) = refused(&project, &["--label", "org.opencontainers.image.created=now"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("org.opencontainers.image.created can't be set"), "{error}");
    for wrong in ["a", "=b", "a b=c"] {
        assert_eq!(refused(&project, &["--annotation", wrong]).0, 2, "{wrong}");
    }
    project.replace(
        "recipes/web.toml",
        "[image]\n",
        "[image]\nannotations = { \"org.opencontainers.image.ref.name\" = \"x\" }\n",
    );
    let (code, error) = refused(&project, &[]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("recipes/web.toml:") && error.contains("image.annotations.org.opencontainers"), "{error}");
}

#[test]
fn an_image_that_no_engine_could_start_is_not_built() {
    for (from, to, message) in [
        (
            r#"entrypoint = ["/usr/bin/web"]"#,
            r#"entrypoint = ["/usr/bin/wbe"]"#,
            "image.entrypoint: the image has no file",
        ),
        ("ports = [\"80/tcp\"]\n", "user = \"wbe\"\n", "image.user: the image has no user \"wbe\"; did you mean web?"),
    ] {
        let project = project(&packages());
        project.replace("recipes/web.toml", from, to);
        let (code, error) = refused(&project, &[]);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(&format!("recipes/web.toml: {message}")), "{error}");
        assert!(!project.path().join("oci/index.json").exists());
        project.replace("recipes/web.toml", to, from);
        project.run(["build"]);
    }
}
