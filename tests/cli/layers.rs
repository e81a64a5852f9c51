//! The layers of images, which of them images share, and which of them a change alters.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{FileTimes, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use mailimg::digest::Sha256;
use mailimg::lock::Lock;
use serde_json::Value;

use crate::common::packages::{Made, MadeRepository, channel, key, write_key};
use crate::common::project::Project;

/// Bytes that don't compress, different for each seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn recipe(world: &str) -> String {
    format!(
        "description = \"for tests\"\nworld = [{world}]\n[image]\nentrypoint = [\"/lib/libc.so\"]\n[service]\nmemory = 10\n"
    )
}

fn packages(small: &str) -> Vec<Made> {
    vec![
        Made::new("libc", "1-r0").file("lib/libc.so", noise(1, 400_000)),
        Made::new("tiny", "1-r0").file("etc/tiny", noise(2, 5_000)),
        Made::new("small", small).file("etc/small", noise(3, 5_000)),
        Made::new("web", "1-r0").file("usr/bin/web", noise(4, 500_000)),
        Made::new("api", "1-r0").file("usr/bin/api", noise(5, 6_000)),
        Made::new("log", "1-r0").file("usr/bin/log", noise(6, 7_000)),
    ]
}

/// A project with the images `web` and `api`, locked.
fn project() -> Project {
    let project = Project::new();
    project.write("apk-locks/made-up/channel.toml", channel("repository"));
    project.write(
        "mailimg.toml",
        "hostname = \"mail.example.org\"\ndomains = [\"example.org\"]\npostmaster = \"admin@example.org\"\n\
         channel = \"made-up\"\nimages = [\"web\", \"api\"]\n",
    );
    project.write("recipes/web.toml", recipe("\"libc\", \"tiny\", \"small\", \"web\""));
    project.write("recipes/api.toml", recipe("\"libc\", \"tiny\", \"small\", \"api\", \"log\""));
    for image in ["web", "api"] {
        project.write(format!("images/{image}/rootfs/etc/motd.hbs"), "welcome to {{site.hostname}}\n");
    }
    lock(&project, "1-r0");
    project
}

/// Publishes the packages, with this version of `small`, and locks them.
fn lock(project: &Project, small: &str) {
    MadeRepository::new(project.path().join("repository"), &packages(small));
    let keys = project.root().join("keys");
    write_key(&keys, key());
    project.run(["lock", "--keys-dir", keys.to_str().unwrap()]);
}

struct Built {
    image: String,
    digest: String,
    /// Digests without their algorithm, and sizes.
    layers: Vec<(String, u64)>,
}

fn built(project: &Project, args: &[&str]) -> Vec<Built> {
    let json = project.run([&["build", "--json"], args].concat());
    let images: Vec<Value> = serde_json::from_str(&json).unwrap();
    let text = |value: &Value| value.as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let layer = |layer: &Value| (text(&layer["digest"]), layer["size"].as_u64().unwrap());
    let image = |image: &Value| Built {
        image: text(&image["image"]),
        digest: text(&image["digest"]),
        layers: image["layers"].as_array().unwrap().iter().map(layer).collect(),
    };
    images.iter().map(image).collect()
}

fn locked(project: &Project, image: &str) -> Lock {
    project.read(format!("apk-locks/made-up/{image}.x86_64.lock")).parse().unwrap()
}

/// The SHA-256 of each locked package's data member: the `datahash` in its control member.
fn data_members(project: &Project, image: &str) -> BTreeSet<String> {
    locked(project, image).packages.iter().map(|package| package.data.sha256.to_string()).collect()
}

/// Positions, from the bottom, of the layers that differ between two builds.
fn changed(before: &Built, after: &Built) -> Vec<usize> {
    assert_eq!(before.layers.len(), after.layers.len());
    let pairs = before.layers.iter().zip(&after.layers).enumerate();
    pairs.filter(|(_, (before, after))| before != after).map(|(position, _)| position).collect()
}

#[test]
fn big_packages_are_layers_as_they_are_and_common_ones_are_shared() {
    let project = project();
    let [web, api] = built(&project, &[]).try_into().ok().unwrap();
    assert_eq!((web.image.as_str(), api.image.as_str()), ("web", "api"));
    let verbatim = |built: &Built| {
        let members = data_members(&project, &built.image);
        built.layers.iter().map(|(digest, _)| members.contains(digest)).collect::<Vec<_>>()
    };
    // libc; tiny and small; the image's own packages (one in web, two in api); the top layer.
    assert_eq!(verbatim(&web), [true, false, true, false]);
    assert_eq!(verbatim(&api), [true, false, false, false]);
    assert_eq!(web.layers[..2], api.layers[..2]);
    assert!(web.layers[2] != api.layers[2] && web.layers[3] != api.layers[3]);
    for layers in ["2", "4"] {
        project.replace("mailimg.toml", "channel =", &format!("layers = {layers}\nchannel ="));
        assert!(built(&project, &[]).iter().all(|image| image.layers.len() <= layers.parse().unwrap()));
        project.replace("mailimg.toml", &format!("layers = {layers}\n"), "");
    }
}

#[test]
fn an_image_is_the_same_whether_it_is_built_alone_or_with_the_others() {
    let project = project();
    let together = built(&project, &[]);
    fs_err::remove_dir_all(project.cache()).unwrap();
    let alone = built(&project, &["api"]);
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0].digest, together[1].digest);
}

#[test]
fn an_image_that_is_turned_off_leaves_the_others_as_they_are() {
    let project = project();
    project.write("recipes/web.toml", format!("feature = \"antivirus\"\n{}", project.read("recipes/web.toml")));
    let [_, before] = built(&project, &[]).try_into().ok().unwrap();
    let site = project.read("mailimg.toml");
    project.write("mailimg.toml", format!("{site}[antivirus]\nenabled = false\n"));
    let [after] = built(&project, &[]).try_into().ok().unwrap();
    assert_eq!((&after.image, &after.digest), (&before.image, &before.digest));
    // An image that is never on needs no lock.
    fs_err::remove_file(project.path().join("apk-locks/made-up/web.x86_64.lock")).unwrap();
    assert_eq!(built(&project, &[]).len(), 1);
}

#[test]
fn a_changed_line_alters_the_top_layer_alone() {
    let project = project();
    let before = built(&project, &[]);
    project.replace("mailimg.toml", "mail.example.org", "mx.example.org");
    let after = built(&project, &[]);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(changed(before, after), [before.layers.len() - 1]);
        assert_ne!(before.digest, after.digest);
        assert!(after.layers.last().unwrap().1 < 10_000);
    }
    project.replace("mailimg.toml", "mx.example.org", "mail.example.org");
    let again = built(&project, &[]);
    assert_eq!(again.iter().map(|image| &image.digest).collect::<Vec<_>>(), [&before[0].digest, &before[1].digest]);
}

/// What the store knows of this kind.
fn facts(project: &Project, name: &str) -> BTreeMap<OsString, Vec<u8>> {
    let facts = fs_err::read_dir(project.cache().join("files-v2/facts")).unwrap().map(|fact| fact.unwrap());
    let facts = facts.map(|fact| (fact.file_name(), fs_err::read(fact.path()).unwrap()));
    facts.filter(|(_, fact)| fact.windows(name.len()).any(|bytes| bytes == name.as_bytes())).collect()
}

#[test]
fn a_bumped_package_alters_its_layer_and_the_top_and_compresses_no_other_package() {
    let project = project();
    let before = built(&project, &[]);
    let holds_tiny = |built: &Built| {
        let layer = fs_err::File::open(project.path().join("oci/blobs/sha256").join(&built.layers[1].0)).unwrap();
        let (mut archive, content) = (Vec::new(), noise(2, 5_000));
        MultiGzDecoder::new(layer).read_to_end(&mut archive).unwrap();
        archive.windows(content.len()).any(|window| window == content)
    };
    assert!(holds_tiny(&before[0]));
    // Whoever compresses a segment notes where it is.
    let segments = facts(&project, "segment");
    lock(&project, "2-r0");
    let after = built(&project, &[]);
    let segments_after = facts(&project, "segment");
    assert!(segments.iter().all(|(name, fact)| segments_after.get(name) == Some(fact)), "compressed again");
    assert_eq!(segments_after.len(), segments.len() + 1);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(changed(before, after), [1, before.layers.len() - 1]);
    }
    assert!(holds_tiny(&after[0]));
}

/// A project that was built, then locked to bumped packages. In its store, `changed` was applied to the layer that the
/// new one takes segments from. Also returns that layer's name in the store.
fn bumped_with_old_layer(changed: impl Fn(Vec<u8>) -> Vec<u8>) -> (Project, String) {
    let project = project();
    let old = built(&project, &[])[0].layers[1].0.clone();
    let stored = project.cache().join("files-v2/sha256").join(&old);
    let bytes = changed(fs_err::read(&stored).unwrap());
    fs_err::remove_file(&stored).unwrap();
    fs_err::write(&stored, bytes).unwrap();
    lock(&project, "2-r0");
    (project, old)
}

#[test]
fn a_layer_that_was_cut_short_or_damaged_is_no_source() {
    let (sound, _) = bumped_with_old_layer(|bytes| bytes);
    let expected = built(&sound, &[])[0].digest.clone();

    for change in [|bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec(), |bytes: Vec<u8>| vec![0; bytes.len()]] {
        let (damaged, old) = bumped_with_old_layer(change);
        let output = damaged.mailimg(["build"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains(&old) && said.contains("and is not used"), "{said}");
        assert_eq!(built(&damaged, &[])[0].digest, expected);
    }
}

/// Changes a file of the store.
type Change = fn(&Path, &Path);

/// Flips a bit in place, and sets the times back.
fn written_to(path: &Path, _: &Path) {
    let before = fs_err::metadata(path).unwrap();
    let mut bytes = fs_err::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs_err::OpenOptions::new().write(true).open(path).unwrap().write_all(&bytes).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    fs_err::OpenOptions::new().write(true).open(path).unwrap().file().set_times(times).unwrap();
    fs_err::set_permissions(path, before.permissions()).unwrap();
}

/// Writes a file of the same length elsewhere.
fn write_zeros(path: &Path, elsewhere: &Path) {
    fs_err::write(elsewhere, vec![0; fs_err::read(path).unwrap().len()]).unwrap();
}

fn replaced(path: &Path, elsewhere: &Path) {
    write_zeros(path, elsewhere);
    fs_err::rename(elsewhere, path).unwrap();
}

fn linked_elsewhere(path: &Path, elsewhere: &Path) {
    write_zeros(path, elsewhere);
    fs_err::remove_file(path).unwrap();
    fs_err::hard_link(elsewhere, path).unwrap();
}

#[test]
fn what_was_changed_in_the_store_is_named_and_made_or_fetched_again() {
    let project = project();
    let before = built(&project, &[]);
    let stored = project.cache().join("files-v2/sha256");
    let blobs = project.path().join("oci/blobs/sha256");
    let ways: [(Change, bool); 4] =
        [(written_to, false), (replaced, false), (linked_elsewhere, false), (written_to, true)];
    for (number, (change, keeps_layout)) in ways.into_iter().enumerate() {
        // Within a tick of the clock, a change leaves the times as they are.
        std::thread::sleep(std::time::Duration::from_millis(40));
        if !keeps_layout {
            fs_err::remove_dir_all(project.path().join("oci")).unwrap();
        }
        let files: Vec<_> = fs_err::read_dir(&stored).unwrap().map(|file| file.unwrap().path()).collect();
        for (count, file) in files.iter().enumerate() {
            change(file, &project.root().join(format!("elsewhere-{number}-{count}")));
        }
        let output = project.mailimg(["build", "--json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let after = built(&project, &[]);
        assert_eq!(
            after.iter().map(|it| &it.digest).collect::<Vec<_>>(),
            before.iter().map(|it| &it.digest).collect::<Vec<_>>()
        );
        assert!(said.starts_with("warning: ") && said.contains(" was changed by something else"), "{number}: {said}");
        for blob in fs_err::read_dir(&blobs).unwrap() {
            let blob = blob.unwrap();
            let found = Sha256::of(fs_err::read(blob.path()).unwrap()).to_string();
            assert_eq!(blob.file_name().to_str(), Some(found.as_str()), "{number}");
        }
    }
}

#[test]
fn an_image_is_not_known_without_the_list_of_its_packages() {
    let project = project();
    built(&project, &[]);
    let contents = || -> Vec<std::path::PathBuf> {
        let entries = fs_err::read_dir(project.cache().join("files-v2/sha256")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let lists =
        |path: &std::path::PathBuf| String::from_utf8_lossy(&fs_err::read(path).unwrap()).contains("\"subject\"");
    let manifests: Vec<_> = contents().into_iter().filter(lists).collect();
    assert_eq!(manifests.len(), 2, "one an image");
    for manifest in &manifests {
        fs_err::remove_file(manifest).unwrap();
    }
    built(&project, &[]);
    assert!(manifests.iter().all(|manifest| manifest.exists()));
}

#[test]
fn what_has_changed_in_the_store_is_found_and_made_again() {
    let project = project();
    let before = built(&project, &[]);
    assert_eq!(project.run(["store", "verify"]), "");
    let digest = &before[0].layers[1].0;
    let damaged = project.cache().join("files-v2/sha256").join(digest);
    fs_err::remove_file(&damaged).unwrap();
    fs_err::write(&damaged, "rotten").unwrap();
    let output = project.mailimg(["store", "verify"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with(damaged.to_str().unwrap()) && said.lines().count() == 1, "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--remove"));
    project.run(["store", "verify", "--remove"]);
    assert_eq!(project.run(["store", "verify"]), "");
    assert_eq!(built(&project, &[])[0].digest, before[0].digest);
    assert_ne!(fs_err::read(damaged).unwrap(), b"rotten");
}

#[test]
fn a_manifest_that_was_changed_in_the_store_is_made_again() {
    let project = project();
    let before = built(&project, &[]);
    let stored = project.cache().join("files-v2/sha256").join(&before[0].digest);
    let right = fs_err::read(&stored).unwrap();
    let mut wrong = right.clone();
    wrong[30] ^= 1;
    fs_err::remove_file(&stored).unwrap();
    fs_err::write(&stored, &wrong).unwrap();
    fs_err::remove_dir_all(project.path().join("oci")).unwrap();
    assert_eq!(built(&project, &[])[0].digest, before[0].digest);
    let in_layout = project.path().join("oci/blobs/sha256").join(&before[0].digest);
    for path in [stored, in_layout] {
        assert_eq!(fs_err::read(path).unwrap(), right);
    }
}
