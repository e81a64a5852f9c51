//! No secret in any image.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::stack;

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// The parts of a secret to search for: its own long lines, without those that every file shares.
fn needles(secrets: &Path) -> BTreeMap<Vec<u8>, PathBuf> {
    let mut needles = BTreeMap::new();
    for path in files_below(secrets) {
        let content = fs_err::read(&path).unwrap();
        for line in content.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if line.len() >= 16 && !line.starts_with(b"-----") {
                needles.insert(line.to_vec(), path.clone());
            }
        }
    }
    needles
}

/// All bytes of all images: every blob of the layout, and its decompressed content if it is gzip.
fn blobs(layout: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut blobs = Vec::new();
    for path in files_below(&layout.join("blobs")) {
        let bytes = fs_err::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
            blobs.push((path, unpacked));
        } else {
            blobs.push((path, bytes));
        }
    }
    blobs
}

#[test]
fn no_layer_and_no_configuration_holds_a_secret() {
    let stack = stack::shared();
    let needles = needles(&stack.project.path().join("secrets"));
    let from = |part: &str| needles.values().filter(|path| path.to_string_lossy().contains(part)).count();
    assert!(from("password") > 0 && from("dkim") > 10 && from("tls") > 4, "no secrets to look for: {needles:?}");

    let layout = stack.project.root().join("layout");
    stack.project.run(["build", "--output", layout.to_str().unwrap()]);
    let blobs = blobs(&layout);
    // The search must find something that is baked on purpose.
    let known = format!("myhostname = {}", stack::HOSTNAME);
    let patterns: Vec<&[u8]> = needles.keys().map(Vec::as_slice).chain([known.as_bytes()]).collect();
    let search = aho_corasick::AhoCorasick::new(&patterns).unwrap();
    let mut found_known = false;
    for (blob, bytes) in blobs {
        for found in search.find_iter(&bytes) {
            match needles.get(patterns[found.pattern().as_usize()]) {
                Some(secret) => panic!("{} is in {}", secret.display(), blob.display()),
                None => found_known = true,
            }
        }
    }
    assert!(found_known, "the search did not even find {known:?}");
}
