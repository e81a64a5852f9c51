//! Real Alpine: a repository of its packages, its keys, and recordings of its own apk.

use std::path::PathBuf;

use mailimg::apk::Keyring;
use mailimg::apk::signature::Pins;

/// The folder with `x86_64/APKINDEX.tar.gz` and packages, and in `trees/` recordings of what apk leaves.
pub fn mirror() -> PathBuf {
    let help = "this test reads real Alpine packages: set MAILIMG_ALPINE_MIRROR to a folder with \
        x86_64/APKINDEX.tar.gz and packages (scripts/test does), or leave out `--test alpine`";
    let mirror: PathBuf = std::env::var_os("MAILIMG_ALPINE_MIRROR").expect(help).into();
    assert!(mirror.join("x86_64/APKINDEX.tar.gz").is_file(), "{help}; {} has none", mirror.display());
    mirror
}

/// The folder of Alpine's public keys: `MAILIMG_ALPINE_KEYS`, or `alpine-keys` next to the mirror.
pub fn keys() -> PathBuf {
    std::env::var_os("MAILIMG_ALPINE_KEYS").map_or_else(|| mirror().join("../alpine-keys"), Into::into)
}

/// These keys, trusted.
pub fn keyring() -> Keyring {
    let mut keyring = Keyring::new();
    for file in fs_err::read_dir(keys()).unwrap() {
        let file = file.unwrap();
        if file.path().extension().is_some_and(|it| it == "pub") {
            let name = file.file_name().into_string().unwrap();
            keyring.trust_pinned(&name, &fs_err::read(file.path()).unwrap(), &Pins::alpine()).unwrap();
        }
    }
    keyring
}

/// All packages of the mirror, sorted.
pub fn packages() -> Vec<PathBuf> {
    let files = fs_err::read_dir(mirror().join("x86_64")).unwrap().map(|file| file.unwrap().path());
    let mut packages: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "apk")).collect();
    packages.sort();
    assert!(packages.len() > 10, "the mirror has only {} packages", packages.len());
    packages
}

/// The index of the mirror.
pub fn index() -> Vec<u8> {
    fs_err::read(mirror().join("x86_64/APKINDEX.tar.gz")).unwrap()
}

/// The worlds that apk installed: name and packages.
pub fn worlds() -> Vec<(String, Vec<String>)> {
    let text = fs_err::read_to_string(mirror().join("trees/worlds.txt")).unwrap();
    let world = |line: &str| {
        let (name, packages) = line.split_once('\t').unwrap();
        (name.to_owned(), packages.split(' ').map(str::to_owned).collect())
    };
    text.lines().map(world).collect()
}

/// A file of `trees/`, unpacked.
pub fn tree_file(name: &str) -> Vec<u8> {
    use std::io::Read;
    let mut text = Vec::new();
    let file = fs_err::File::open(mirror().join("trees").join(name)).unwrap();
    flate2::read::GzDecoder::new(file).read_to_end(&mut text).unwrap();
    text
}
