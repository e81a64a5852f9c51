//! An image compared with what Alpine's own apk leaves after running all scripts and triggers.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use mailimg::digest::Sha256;
use serde_json::Value;

use crate::common::alpine;
use crate::common::project::Project;

/// The facts about a path. Only files have times, because apk doesn't set those of directories and links.
type Facts = BTreeMap<&'static str, String>;

fn facts(kind: &str, mode: u32, owner: &str, size: &str, time: &str, content: &str) -> Facts {
    let (mode, file) = (format!("{mode:o}"), kind == "f");
    let fields = [("type", kind), ("mode", &mode), ("owner", owner), ("content", content)];
    let of_files = [("size", size), ("time", time)].into_iter().filter(|_| file);
    fields.into_iter().chain(of_files).map(|(name, value)| (name, value.to_owned())).collect()
}

/// The tree that apk leaves for a world.
fn recorded(world: &str) -> BTreeMap<String, Facts> {
    let text = String::from_utf8(alpine::tree_file(&format!("{world}.scripts.tsv.gz"))).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, kind, mode, uid, gid, size, time, _, content] = fields[..] else { panic!("{line}") };
        let mode = u32::from_str_radix(mode, 8).unwrap();
        (path.to_owned(), facts(kind, mode, &format!("{uid}:{gid}"), size, time, content))
    };
    text.lines().map(line).collect()
}

/// The files in an image's layers, from the bottom up.
fn image(layout: &Path) -> BTreeMap<String, Facts> {
    let blob =
        |digest: &Value| fs_err::read(layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"))).unwrap();
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let index = json(&fs_err::read(layout.join("index.json")).unwrap());
    let manifest = json(&blob(&index["manifests"][0]["digest"]));
    let mut tree = BTreeMap::new();
    for layer in manifest["layers"].as_array().unwrap() {
        let bytes = blob(&layer["digest"]);
        let mut archive = tar::Archive::new(MultiGzDecoder::new(&bytes[..]));
        for entry in archive.entries().unwrap() {
            let (path, facts) = described(&mut entry.unwrap(), &tree);
            tree.insert(path, facts);
        }
    }
    tree
}

fn described(entry: &mut tar::Entry<'_, impl std::io::Read>, before: &BTreeMap<String, Facts>) -> (String, Facts) {
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let path = text(&entry.path_bytes()).trim_end_matches('/').to_owned();
    let target = entry.link_name_bytes().map(|target| text(&target)).unwrap_or_default();
    let header = entry.header();
    if header.entry_type().is_hard_link() {
        return (path, before[&target].clone());
    }
    let (kind, content) = match header.entry_type() {
        tar::EntryType::Directory => ("d", "-".to_owned()),
        tar::EntryType::Symlink => ("l", target),
        tar::EntryType::Regular => ("f", Sha256::of(&bytes).to_string()),
        other => panic!("{path}: {other:?}"),
    };
    let owner = format!("{}:{}", header.uid().unwrap(), header.gid().unwrap());
    let (size, time) = (bytes.len().to_string(), header.mtime().unwrap().to_string());
    (path, facts(kind, header.mode().unwrap(), &owner, &size, &time, &content))
}

/// The path and its differences, as listed in the documentation.
fn differences(apk: &BTreeMap<String, Facts>, image: &BTreeMap<String, Facts>) -> Vec<String> {
    let mut paths: Vec<&String> = apk.keys().chain(image.keys()).collect();
    paths.sort();
    paths.dedup();
    let differs = |path: &&String| match (apk.get(*path), image.get(*path)) {
        (Some(_), None) => Some("apk only".to_owned()),
        (None, Some(_)) => Some("image only".to_owned()),
        (apk, image) => {
            let (apk, image) = (apk.unwrap(), image.unwrap());
            let names = ["type", "mode", "owner", "size", "time", "content"];
            let names: Vec<_> = names.into_iter().filter(|name| apk.get(name) != image.get(name)).collect();
            (!names.is_empty()).then(|| names.join(", "))
        }
    };
    paths.iter().filter_map(|path| Some(format!("| `{path}` | {} |", differs(path)?))).collect()
}

#[test]
fn an_image_is_what_scripts_leave_but_for_the_documented_differences() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::new();
    project.copy(&root.join("tests/alpine"));
    let recipe = project.read("recipes/ssh.toml");
    let (_, packages) = alpine::worlds().into_iter().find(|(name, _)| name == "ssh").unwrap();
    for package in packages {
        assert!(recipe.contains(&format!("\"{package}\"")), "the recipe's world is another: {package} is not in it");
    }
    let repository = format!("main={}", alpine::mirror().display());
    project.run(["lock", "--keys-dir", alpine::keys().to_str().unwrap(), "--repository", &repository]);
    project.run(["build", "--offline", "--repository", &repository]);

    let (apk, image) = (recorded("ssh"), image(&project.path().join("oci")));
    assert!(apk.len() > 900, "{}", apk.len());
    let docs = fs_err::read_to_string(root.join("docs/file-tree.md")).unwrap();
    let (_, list) = docs.split_once("| path | differs in | why |\n| --- | --- | --- |\n").unwrap();
    let rows = list.lines().take_while(|line| line.starts_with('|'));
    let documented: Vec<String> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            assert!(cells.len() == 5 && cells[3].len() > 3, "no reason is given: {row}");
            format!("|{}|{}|", cells[1], cells[2])
        })
        .collect();
    assert_eq!(differences(&apk, &image), documented);
}
