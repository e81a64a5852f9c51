use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::layout::{Layout, UNFINISHED, blob_path, entry, index};
use super::{Document, Image, NAME, local_reference, tag};
use crate::apk::tar::{self, Entry, EntryKind};
use crate::digest::{Hashing, Sha256};
use crate::store::{WriteError, check_blob, open_blob, persist};

/// The annotation with the name that containerd gives to a loaded image.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Writes an image of the layout at `layout` as a tar archive: an OCI layout of its own, with the `manifest.json` that
/// older versions of `docker load` need. The same image gives the same bytes.
pub fn archive(layout: &Utf8Path, image: &Image, out: &mut impl Write) -> io::Result<()> {
    let reference = local_reference(&image.name, image.manifest.digest);
    let tag = tag(image.manifest.digest);
    let full_name = format!("docker.io/{reference}");
    let entry = entry(image, &[(CONTAINERD_NAME, &full_name), (NAME, &tag)]);
    let blob = |digest: Sha256| format!("blobs/sha256/{digest}");
    let manifest = json!([{
        "Config": blob(image.config.digest),
        "Layers": image.layers.iter().map(|layer| blob(layer.digest)).collect::<Vec<_>>(),
        "RepoTags": [reference],
    }]);
    file(out, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    document(out, "index.json", &index(&[entry]))?;
    document(out, "manifest.json", &manifest)?;
    for directory in ["blobs", "blobs/sha256"] {
        out.write_all(&tar::header(&Entry::new(directory, EntryKind::Directory, 0o755)))?;
    }
    let documents = [&image.config, &image.manifest].map(|document| (document.digest, document.bytes.len() as u64));
    let layers = image.layers.iter().map(|layer| (layer.digest, layer.size));
    let blobs: BTreeMap<Sha256, u64> = documents.into_iter().chain(layers).collect();
    for (digest, size) in blobs {
        let path = blob_path(layout, digest);
        write_blob(out, &blob(digest), &path, (digest, size))
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
    }
    let mut end = Vec::new();
    tar::end(&mut end);
    out.write_all(&end)?;
    out.flush()
}

/// The path of an image's archive in the layout's directory. The architecture is part of the name if it isn't the
/// `usual` one.
#[must_use]
pub fn archive_path(layout: &Utf8Path, image: &Image, usual: &str) -> Utf8PathBuf {
    let Image { name, platform, .. } = image;
    layout.join(if platform.arch == usual { format!("{name}.tar") } else { format!("{name}.{platform}.tar") })
}

/// Writes an image as an archive at `path`, under a temporary name first, so that an interruption leaves the old one.
/// While the layout is open, no other process takes that for a leftover.
pub fn write_archive(layout: &Layout, image: &Image, path: &Utf8Path) -> Result<(), WriteError> {
    let layout = layout.path();
    let write = || {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(layout)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        archive(layout, image, &mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        persist(file, path, 0o644)
    };
    write().map_err(|source| WriteError { path: path.to_owned(), source })
}

fn document(out: &mut impl Write, name: &str, json: &Value) -> io::Result<()> {
    file(out, name, &Document::new(json)?.bytes)
}

fn file(out: &mut impl Write, name: &str, content: &[u8]) -> io::Result<()> {
    write_file(out, name, content, content.len() as u64)
}

/// The blob is hashed on the way. If it isn't what it should be, the archive is worthless, because its end is missing.
fn write_blob(out: &mut impl Write, name: &str, path: &Utf8Path, expected: (Sha256, u64)) -> io::Result<()> {
    let mut content = Hashing::new(open_blob(path)?);
    write_file(out, name, &mut content, expected.1)?;
    let (found, count, _) = content.finish();
    check_blob((found, count), expected)
}

fn write_file(out: &mut impl Write, name: &str, content: impl Read, size: u64) -> io::Result<()> {
    out.write_all(&tar::header(&Entry { size, ..Entry::new(name, EntryKind::File, 0o644) }))?;
    if io::copy(&mut content.take(size), out)? != size {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} is shorter than {size} bytes")));
    }
    let padding = size.next_multiple_of(tar::BLOCK as u64) - size;
    io::copy(&mut io::repeat(0).take(padding), out).map(drop)
}
