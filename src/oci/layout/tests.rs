use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Barrier;

use super::*;
use crate::oci::image::tests::image;
use crate::oci::{Built, Images};
use ocidir::OciRead as _;

/// A store with these layers, and room for a layout.
struct Fixture {
    directory: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new(layers: &[&[u8]]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Utf8Path::from_path(directory.path()).unwrap().join("cache")).unwrap();
        for layer in layers {
            store.insert(*layer, None, 1 << 20).unwrap();
        }
        Self { directory, store }
    }

    fn path(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path()).unwrap().join("oci")
    }
}

/// The images that a layout's index names, for the architecture of [`image`].
fn images(path: &Utf8Path) -> Vec<Built> {
    Images::read(path).unwrap().choose(&[], None, Some(Platform::of("aarch64").unwrap())).unwrap()
}

fn built(image: &Image) -> Built {
    Built { name: image.name.clone(), digest: image.manifest.digest }
}

#[test]
fn a_layout_has_what_was_committed_and_is_sound() {
    let fixture = Fixture::new(&[b"first", b"second"]);
    let path = fixture.path();
    let (first, second) = (image(b"first"), image(b"second"));
    let layout = Layout::open(&path).unwrap();
    layout.add(std::slice::from_ref(&first), &fixture.store).unwrap();
    layout.commit(std::slice::from_ref(&first), |_| true).unwrap();
    layout.add(std::slice::from_ref(&second), &fixture.store).unwrap();
    assert_eq!(images(&path), [built(&first)], "not before it is committed");
    let other = Image { name: "other".to_owned(), ..first.clone() };
    layout.commit(&[second.clone(), other.clone()], |_| true).unwrap();
    assert_eq!(images(&path), [built(&other), built(&second)]);
    assert!(layout.blob(first.layers[0].digest).exists(), "needed by the other one");
    std::fs::write(path.join(format!("{UNFINISHED}x")), "half").unwrap();
    layout.commit(&[], |name| name == "postfix").unwrap();
    assert_eq!(images(&path), [built(&second)]);
    assert!(!layout.blob(first.layers[0].digest).exists() && layout.blob(second.layers[0].digest).exists());
    assert!(!path.join(format!("{UNFINISHED}x")).exists());
    let directory = cap_std::fs::Dir::open_ambient_dir(&path, cap_std::ambient_authority()).unwrap();
    assert_eq!(OciDir::open(directory).unwrap().fsck().unwrap(), 3);
}

#[test]
fn another_architecture_of_an_image_stays_as_it_is() {
    let fixture = Fixture::new(&[b"arm", b"intel", b"newer"]);
    let (path, intel_platform) = (fixture.path(), Platform::of("x86_64").unwrap());
    let arm = image(b"arm");
    let [intel, newer] = [b"intel", b"newer"].map(|it| Image { platform: intel_platform, ..image(it) });
    let layout = Layout::open(&path).unwrap();
    for image in [&arm, &intel, &newer] {
        layout.add(std::slice::from_ref(image), &fixture.store).unwrap();
        layout.commit(std::slice::from_ref(image), |_| true).unwrap();
    }
    assert_eq!(images(&path), [built(&arm)]);
    let chosen = Images::read(&path).unwrap().choose(&[], Some(intel_platform), None).unwrap();
    assert_eq!(chosen, [built(&newer)]);
    assert!(layout.blob(arm.layers[0].digest).exists() && !layout.blob(intel.layers[0].digest).exists());
    let index = std::fs::read(path.join("index.json")).unwrap();
    layout.commit(&[arm, newer], |_| true).unwrap();
    assert_eq!(std::fs::read(path.join("index.json")).unwrap(), index, "in whatever order they were built");
}

#[test]
fn what_is_there_already_is_not_written_again() {
    let fixture = Fixture::new(&[b"layer"]);
    let image = image(b"layer");
    let build = || {
        let layout = Layout::open(&fixture.path()).unwrap();
        layout.add(std::slice::from_ref(&image), &fixture.store).unwrap();
        layout.commit(std::slice::from_ref(&image), |_| true).unwrap();
        let files = ["oci-layout".into(), "index.json".into(), format!("blobs/{}", image.manifest.digest.to_oci())];
        files.map(|name: String| fixture.path().join(name.replace(':', "/")).metadata().unwrap().ino())
    };
    assert_eq!(build(), build());
}

#[test]
fn blobs_are_shared_with_the_store_and_read_only() {
    let fixture = Fixture::new(&[b"layer"]);
    let (image, layout) = (image(b"layer"), Layout::open(&fixture.path()).unwrap());
    fixture.store.insert(image.config.bytes.as_slice(), None, 1 << 20).unwrap();
    // As where the file system makes no reflinks, which most don't.
    let layout = Layout { sharing: Sharing::without_reflinks(), ..layout };
    layout.add(std::slice::from_ref(&image), &fixture.store).unwrap();
    for digest in [image.layers[0].digest, image.config.digest] {
        let stored = fixture.store.find(&digest).unwrap().metadata().unwrap();
        let blob = layout.blob(digest).metadata().unwrap();
        assert_eq!((blob.dev(), blob.ino()), (stored.dev(), stored.ino()));
        assert_eq!(blob.permissions().mode() & 0o777, 0o444);
    }
    assert_eq!(std::fs::read(layout.blob(image.manifest.digest)).unwrap(), image.manifest.bytes, "not in the store");
}

#[test]
fn blobs_are_copied_to_another_file_system_and_checked() {
    let fixture = Fixture::new(&[b"layer"]);
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let layout = Layout::open(Utf8Path::from_path(memory.path()).unwrap()).unwrap();
    let image = image(b"layer");
    layout.add(std::slice::from_ref(&image), &fixture.store).unwrap();
    assert_eq!(std::fs::read(layout.blob(image.layers[0].digest)).unwrap(), b"layer");
    std::fs::remove_file(layout.blob(image.layers[0].digest)).unwrap();
    rot(&fixture.store, image.layers[0].digest, "rot10");
    assert!(matches!(layout.add(&[image], &fixture.store), Err(LayoutError::Blob { .. })));
}

/// Damages a file of the store.
fn rot(store: &Store, digest: Sha256, content: &str) {
    let path = store.find(&digest).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_blob_that_was_cut_short_is_replaced_and_not_written_into() {
    let fixture = Fixture::new(&[b"layer"]);
    let (image, layout) = (image(b"layer"), Layout::open(&fixture.path()).unwrap());
    let blob = layout.blob(image.layers[0].digest);
    std::fs::write(&blob, b"lay").unwrap();
    let witness = fixture.path().join("witness");
    std::fs::hard_link(&blob, &witness).unwrap();
    layout.add(&[image], &fixture.store).unwrap();
    assert_eq!(std::fs::read(blob).unwrap(), b"layer");
    assert_eq!(std::fs::read(witness).unwrap(), b"lay");
}

#[test]
fn a_layer_that_the_store_lacks_is_told() {
    let fixture = Fixture::new(&[b"layer"]);
    let (image, layout) = (image(b"layer"), Layout::open(&fixture.path()).unwrap());
    rot(&fixture.store, image.layers[0].digest, "lay");
    let error = layout.add(std::slice::from_ref(&image), &fixture.store).unwrap_err();
    let LayoutError::Blob { digest, source, .. } = error else { panic!("{error}") };
    assert_eq!((digest, source.to_string().as_str()), (image.layers[0].digest, "it is not in the store"));
}

#[test]
fn an_index_that_is_none_is_not_replaced() {
    let fixture = Fixture::new(&[]);
    let layout = Layout::open(&fixture.path()).unwrap();
    for text in ["not json", "{}", r#"{"manifests":"x"}"#] {
        std::fs::write(fixture.path().join("index.json"), text).unwrap();
        let error = layout.commit(&[], |_| true).unwrap_err();
        assert!(matches!(error, LayoutError::Malformed { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(fixture.path().join("index.json")).unwrap(), text);
    }
}

#[test]
fn other_directories_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.txt"), "precious").unwrap();
    let opened = Layout::open(Utf8Path::from_path(directory.path()).unwrap());
    assert!(matches!(opened, Err(LayoutError::Foreign { .. })));
}

#[test]
fn many_at_once_begin_one_layout() {
    let directory = tempfile::tempdir().unwrap();
    let directory = Utf8Path::from_path(directory.path()).unwrap();
    let together = Barrier::new(4);
    // A thread that panics would keep the others waiting.
    let open_all = || {
        let open = |round: i32| {
            together.wait();
            Layout::open(&directory.join(round.to_string())).map(drop)
        };
        (0..500).map(open).collect::<Vec<_>>()
    };
    let opened = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open_all)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let failed: Vec<_> = opened.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_layout_that_was_only_begun_is_finished() {
    let fixture = Fixture::new(&[]);
    let marker = fixture.path().join("oci-layout");
    std::fs::create_dir(fixture.path()).unwrap();
    std::fs::write(&marker, "").unwrap();
    drop(Layout::open(&fixture.path()).unwrap());
    assert_eq!(std::fs::read_to_string(&marker).unwrap(), r#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[test]
fn the_file_that_marks_a_layout_is_never_overwritten() {
    let fixture = Fixture::new(&[]);
    let marker = fixture.path().join("oci-layout");
    std::fs::create_dir(fixture.path()).unwrap();
    std::fs::write(&marker, "{}").unwrap();
    create(&marker).unwrap();
    drop(Layout::open(&fixture.path()).unwrap());
    assert_eq!(std::fs::read_to_string(&marker).unwrap(), "{}");
}
