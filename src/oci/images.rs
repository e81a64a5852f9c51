use std::collections::BTreeMap;
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use super::layout::blob_path;
use super::{Document, Image, Platform};
use crate::digest::Sha256;
use crate::layer::Layer;
use crate::store::open_blob;

/// The annotation with an image's name in a layout's index (OCI image-spec, `annotations.md`).
pub const NAME: &str = "org.opencontainers.image.ref.name";

/// Why an image of a layout can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// There is no layout.
    #[error("no images have been built: {path} does not exist")]
    Nothing { path: Utf8PathBuf },
    /// The index can't be read.
    #[error("can't read {path}")]
    Read { path: Utf8PathBuf, source: io::Error },
    /// The index is not one.
    #[error("{path} is not a valid part of an OCI layout")]
    Malformed { path: Utf8PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// It has no image of that name.
    #[error("{layout} has no image {name:?}; its images are {}", known.join(", "))]
    NoImage { layout: Utf8PathBuf, name: String, known: Vec<String> },
    /// It has the image for other architectures only.
    #[error("{layout} has {name} for {}, not for {arch}", known.join(" and "))]
    NoArchitecture { layout: Utf8PathBuf, name: String, arch: Platform, known: Vec<&'static str> },
    /// It has the image for several architectures, and nothing says which one is meant.
    #[error("{layout} has {name} for {}", known.join(" and "))]
    Ambiguous { layout: Utf8PathBuf, name: String, known: Vec<&'static str> },
}

/// The images that a layout's index names.
#[derive(Debug, Clone)]
pub struct Images {
    layout: Utf8PathBuf,
    /// Digests by name, then by architecture, if the index gives one that we know.
    all: BTreeMap<String, BTreeMap<Option<Platform>, Sha256>>,
}

/// One image of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub name: String,
    pub digest: Sha256,
}

impl Images {
    /// Reads the index of the layout at `layout`.
    pub fn read(layout: &Utf8Path) -> Result<Self, ImagesError> {
        let path = layout.join("index.json");
        let text = match read_limited(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ImagesError::Nothing { path }),
            Err(source) => return Err(ImagesError::Read { path, source }),
            Ok(text) => text,
        };
        let malformed = malformed(&path);
        let index: ImageIndex = serde_json::from_slice(&text).map_err(|error| malformed(error.into()))?;
        let mut all: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
        for manifest in index.manifests() {
            let name = manifest.annotations().as_ref().and_then(|annotations| annotations.get(NAME));
            if let Some(name) = name {
                let digits = manifest.digest().digest();
                let digest = digits.parse().map_err(|error: crate::digest::DigestError| malformed(error.into()))?;
                all.entry(name.clone()).or_default().insert(platform_of(manifest), digest);
            }
        }
        Ok(Self { layout: layout.to_owned(), all })
    }

    /// The images of these names, or of all names if there are none, each for one architecture: for `arch`; without
    /// that for the only one that there is, or else for `usual`.
    pub fn choose(
        &self,
        names: &[String],
        arch: Option<Platform>,
        usual: Option<Platform>,
    ) -> Result<Vec<Built>, ImagesError> {
        if let Some(name) = names.iter().find(|name| !self.all.contains_key(*name)) {
            let known = self.all.keys().cloned().collect();
            return Err(ImagesError::NoImage { layout: self.layout.clone(), name: name.clone(), known });
        }
        let mut chosen = Vec::new();
        for (name, builds) in self.all.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
            let digest = match (arch, builds.len()) {
                (Some(arch), _) => builds.get(&Some(arch)),
                (None, 1) => builds.values().next(),
                (None, _) => Some(builds.get(&usual).ok_or_else(|| self.ambiguous(name))?),
            };
            match (digest, arch) {
                (Some(digest), _) => chosen.push(Built { name: name.clone(), digest: *digest }),
                (None, Some(arch)) if !names.is_empty() => return Err(self.no_architecture(name, arch)),
                (None, _) => {}
            }
        }
        match (self.all.keys().next(), arch) {
            (Some(name), Some(arch)) if chosen.is_empty() => Err(self.no_architecture(name, arch)),
            _ => Ok(chosen),
        }
    }

    /// Whether it has this image.
    #[must_use]
    pub fn has(&self, name: &str, digest: Sha256) -> bool {
        self.all.get(name).is_some_and(|builds| builds.values().any(|known| *known == digest))
    }

    /// The architectures for which there is an image of this name.
    #[must_use]
    pub fn architectures(&self, name: &str) -> Vec<&'static str> {
        let builds = self.all.get(name).into_iter().flatten();
        builds.map(|(platform, _)| platform.map_or("an unknown architecture", |platform| platform.arch)).collect()
    }

    fn ambiguous(&self, name: &str) -> ImagesError {
        let known = self.architectures(name);
        ImagesError::Ambiguous { layout: self.layout.clone(), name: name.to_owned(), known }
    }

    fn no_architecture(&self, name: &str, arch: Platform) -> ImagesError {
        let known = self.architectures(name);
        ImagesError::NoArchitecture { layout: self.layout.clone(), name: name.to_owned(), arch, known }
    }
}

fn platform_of(manifest: &Descriptor) -> Option<Platform> {
    let platform = manifest.platform().as_ref()?;
    Platform::of_oci(&platform.architecture().to_string(), platform.variant().as_deref())
}

/// Reads the image with this manifest digest from a layout.
pub fn read_image(layout: &Utf8Path, name: &str, manifest: Sha256) -> Result<Image, ImagesError> {
    read_image_at(&|digest| blob_path(layout, digest), name, manifest)
}

/// Reads the image with this manifest digest. `blob` returns the paths of manifest and configuration.
pub fn read_image_at(blob: &dyn Fn(Sha256) -> Utf8PathBuf, name: &str, manifest: Sha256) -> Result<Image, ImagesError> {
    let path = blob(manifest);
    let manifest = read_document(&path, manifest)?;
    let malformed = malformed(&path);
    let parsed: ImageManifest = serde_json::from_slice(&manifest.bytes).map_err(|error| malformed(error.into()))?;
    let digest = |text: &str| text.parse::<Sha256>().map_err(|error| malformed(error.into()));
    let config = digest(parsed.config().digest().digest())?;
    let config = read_document(&blob(config), config)?;
    let described: ImageConfiguration =
        serde_json::from_slice(&config.bytes).map_err(|error| malformed(error.into()))?;
    let diff_ids = described.rootfs().diff_ids();
    if diff_ids.len() != parsed.layers().len() {
        return Err(malformed("its configuration lists a different number of layers".into()));
    }
    let mut layers = Vec::new();
    for (layer, diff_id) in parsed.layers().iter().zip(diff_ids) {
        layers.push(Layer {
            digest: digest(layer.digest().digest())?,
            size: layer.size(),
            diff_id: digest(diff_id.strip_prefix("sha256:").unwrap_or(diff_id))?,
            title: String::new(),
        });
    }
    let platform = Platform::of_oci(&described.architecture().to_string(), described.variant().as_deref())
        .ok_or_else(|| malformed(format!("unknown architecture {}", described.architecture()).into()))?;
    Ok(Image { name: name.to_owned(), platform, manifest, config, layers })
}

/// For `map_err`: the file at `path` is not a valid part of a layout.
pub(super) fn malformed(path: &Utf8Path) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> ImagesError + use<> {
    let path = path.to_owned();
    move |source| ImagesError::Malformed { path: path.clone(), source }
}

/// The longest index, manifest or configuration, in bytes.
const DOCUMENT_LIMIT: u64 = 4 << 20;

/// Reads a document of a layout, which somebody else may have written.
pub(super) fn read_limited(path: &Utf8Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_blob(path)?.take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > DOCUMENT_LIMIT { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

pub(super) fn read_document(path: &Utf8Path, digest: Sha256) -> Result<Document, ImagesError> {
    let read = read_limited(path);
    let bytes = read.map_err(|source| ImagesError::Read { path: path.to_owned(), source })?;
    let found = Sha256::of(&bytes);
    if found != digest {
        return Err(malformed(path)(format!("its SHA-256 is {found}").into()));
    }
    Ok(Document { digest, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(index: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("index.json"), index).unwrap();
        directory
    }

    fn read(directory: &tempfile::TempDir) -> Result<Images, ImagesError> {
        Images::read(Utf8Path::from_path(directory.path()).unwrap())
    }

    fn manifest(name: &str, platform: &serde_json::Value, content: &str) -> serde_json::Value {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Sha256::of(content).to_oci(),
            "size": content.len(),
            "platform": platform,
            "annotations": { NAME: name },
        })
    }

    fn arch(arch: &str) -> Platform {
        Platform::of(arch).unwrap()
    }

    /// `web` for two architectures, `db` for one, and one without a name.
    fn two_architectures() -> Images {
        let mut nameless = manifest("", &arch("x86_64").to_json(), "nameless");
        nameless.as_object_mut().unwrap().remove("annotations");
        let manifests = [
            manifest("web", &arch("x86_64").to_json(), "web x86_64"),
            manifest("web", &arch("aarch64").to_json(), "web aarch64"),
            manifest("db", &arch("x86_64").to_json(), "db x86_64"),
            nameless,
        ];
        read(&layout(&serde_json::json!({ "schemaVersion": 2, "manifests": manifests }).to_string())).unwrap()
    }

    fn built(contents: &[&str]) -> Vec<Built> {
        let built =
            |content: &&str| Built { name: content.split(' ').next().unwrap().to_owned(), digest: Sha256::of(content) };
        contents.iter().map(built).collect()
    }

    #[test]
    fn an_image_is_chosen_by_name_and_architecture() {
        let images = two_architectures();
        let (x86, arm) = (arch("x86_64"), arch("aarch64"));
        let choose = |names: &[&str], arch, usual| {
            images.choose(&names.iter().map(ToString::to_string).collect::<Vec<_>>(), arch, usual)
        };
        assert_eq!(choose(&[], None, Some(x86)).unwrap(), built(&["db x86_64", "web x86_64"]));
        assert_eq!(choose(&["web"], Some(arm), Some(x86)).unwrap(), built(&["web aarch64"]));
        assert_eq!(choose(&["db"], None, None).unwrap(), built(&["db x86_64"]), "the only one");
        assert_eq!(choose(&["db"], None, Some(arm)).unwrap(), built(&["db x86_64"]), "the only one");
        assert_eq!(choose(&[], Some(arm), None).unwrap(), built(&["web aarch64"]), "those that there are");
        let error = |result: Result<Vec<Built>, ImagesError>| result.unwrap_err().to_string();
        assert!(error(choose(&[], None, None)).ends_with("has web for x86_64 and aarch64"));
        assert!(error(choose(&["web"], None, Some(arch("s390x")))).ends_with("has web for x86_64 and aarch64"));
        assert!(error(choose(&["db"], Some(arm), None)).ends_with("has db for x86_64, not for aarch64"));
        assert!(error(choose(&[], Some(arch("s390x")), None)).ends_with("has db for x86_64, not for s390x"));
        assert!(error(choose(&["mail"], None, None)).ends_with(r#"has no image "mail"; its images are db, web"#));
    }

    #[test]
    fn an_image_of_an_unknown_platform_is_there_all_the_same() {
        let index = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [manifest("web", &serde_json::json!({ "architecture": "vax", "os": "vms" }), "web")],
        });
        let images = read(&layout(&index.to_string())).unwrap();
        assert_eq!(images.choose(&[], None, None).unwrap(), built(&["web"]));
    }

    #[test]
    fn what_is_no_layout_is_told() {
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(read(&empty), Err(ImagesError::Nothing { .. })));
        assert!(matches!(read(&layout("{}")), Err(ImagesError::Malformed { .. })));
        assert!(matches!(read(&layout("not json")), Err(ImagesError::Malformed { .. })));
    }

    #[test]
    fn an_index_that_is_a_link_or_endless_is_not_read() {
        let linked = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", linked.path().join("index.json")).unwrap();
        let spaces = usize::try_from(DOCUMENT_LIMIT).unwrap();
        let valid = |spaces| layout(&(r#"{"schemaVersion":2,"manifests":[]}"#.to_owned() + &" ".repeat(spaces)));
        read(&valid(spaces - 34)).unwrap();
        for (layout, why) in [(linked, "it is not a regular file"), (valid(spaces - 33), "file too large")] {
            let Err(ImagesError::Read { source, .. }) = read(&layout) else { panic!("it was read") };
            assert_eq!(source.to_string(), why);
        }
    }
}
