use std::collections::BTreeMap;

use canon_json::CanonicalFormatter;
use serde::Serialize as _;
use serde_json::{Map, Value, json};

use super::Platform;
use crate::config::{Healthcheck, ImageConfig};
use crate::digest::Sha256;
use crate::layer::{ASSEMBLY_VERSION, Layer};
use crate::timestamp::Timestamp;

/// Media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image's configuration.
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of our layers.
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of an index.
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The parts of an image.
#[derive(Debug, Clone, Copy)]
pub struct ImageSpec<'a> {
    pub name: &'a str,
    pub description: &'a str,
    /// The architecture, as apk names it.
    pub arch: &'a str,
    /// The creation time that it states.
    pub created: Timestamp,
    /// The recipe's part of the configuration.
    pub config: &'a ImageConfig,
    /// Labels of its configuration. They go over those that every image has.
    pub labels: &'a BTreeMap<String, String>,
    /// Annotations of its manifest. They go over those that every image has.
    pub annotations: &'a BTreeMap<String, String>,
    /// Its layers, bottom to top.
    pub layers: &'a [Layer],
}

/// An image: its manifest and configuration, and references to its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub name: String,
    pub platform: Platform,
    /// The manifest; its digest is the image's.
    pub manifest: Document,
    pub config: Document,
    /// The layers, bottom to top.
    pub layers: Vec<Layer>,
}

/// Canonical JSON, with sorted keys and no white space, so that the same content has the same digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// SHA-256 of the bytes.
    pub digest: Sha256,
    pub bytes: Vec<u8>,
}

/// Why an image can't be described.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The architecture has no name in OCI.
    #[error("{arch:?} is not a supported architecture; supported are {known}")]
    Architecture { arch: String, known: String },
    /// The JSON can't be written in canonical form.
    #[error("can't write the image's description as JSON")]
    Json(#[from] serde_json::Error),
}

impl Document {
    /// Writes `json` in canonical form.
    pub fn new(json: &Value) -> Result<Self, serde_json::Error> {
        let mut bytes = Vec::new();
        json.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, CanonicalFormatter::new()))?;
        Ok(Self { digest: Sha256::of(&bytes), bytes })
    }
}

impl Image {
    /// Creates an image's manifest and configuration. The same input gives the same bytes.
    pub fn new(spec: &ImageSpec<'_>) -> Result<Self, ImageError> {
        let platform = Platform::of(spec.arch)?;
        let common = [
            ("org.opencontainers.image.created", spec.created.to_string()),
            ("org.opencontainers.image.description", spec.description.to_owned()),
            ("org.opencontainers.image.title", spec.name.to_owned()),
        ];
        let common: BTreeMap<String, String> = common.map(|(key, value)| (key.to_owned(), value)).into();
        let over_common = |own: &BTreeMap<String, String>| {
            let mut all = common.clone();
            all.extend(own.clone());
            all
        };
        let config = Document::new(&config(spec, platform, &over_common(spec.labels)))?;
        let layers: Vec<Value> = spec.layers.iter().map(|layer| descriptor(LAYER, layer.digest, layer.size)).collect();
        let manifest = Document::new(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config.digest, config.bytes.len() as u64),
            "layers": layers,
            "annotations": over_common(spec.annotations),
        }))?;
        Ok(Self { name: spec.name.to_owned(), platform, manifest, config, layers: spec.layers.to_vec() })
    }
}

/// A descriptor, as documents refer to a blob.
pub(super) fn descriptor(media_type: &str, digest: Sha256, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest.to_oci(), "size": size })
}

fn config(spec: &ImageSpec<'_>, platform: Platform, labels: &BTreeMap<String, String>) -> Value {
    let created = spec.created.to_string();
    let by = format!("mailimg, assembly version {ASSEMBLY_VERSION}");
    let history = |layer: &Layer| json!({ "created": created, "created_by": by, "comment": layer.title });
    let mut json = platform.to_json();
    set(&mut json, "created", Some(created.clone().into()));
    set(&mut json, "config", Some(run_config(spec.config, labels)));
    set(&mut json, "history", Some(spec.layers.iter().map(history).collect()));
    let diff_ids: Vec<String> = spec.layers.iter().map(|layer| layer.diff_id.to_oci()).collect();
    set(&mut json, "rootfs", Some(json!({ "type": "layers", "diff_ids": diff_ids })));
    json
}

/// The part of the configuration that says what an engine runs.
fn run_config(config: &ImageConfig, labels: &BTreeMap<String, String>) -> Value {
    let mut env: BTreeMap<&str, &str> = config.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    env.insert("PATH", config.search_path());
    let env: Vec<String> = env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let empty_objects = |keys: Vec<String>| keys.into_iter().map(|key| (key, json!({}))).collect::<Map<_, _>>();
    let ports = empty_objects(config.ports.iter().map(ToString::to_string).collect());
    let volumes = empty_objects(config.volumes.iter().map(ToString::to_string).collect());
    let mut json = json!({ "Entrypoint": config.entrypoint, "Env": env, "Labels": labels });
    set(&mut json, "Cmd", (!config.cmd.is_empty()).then(|| config.cmd.clone().into()));
    set(&mut json, "ExposedPorts", (!ports.is_empty()).then(|| ports.into()));
    set(&mut json, "Healthcheck", config.healthcheck.as_ref().map(healthcheck));
    set(&mut json, "StopSignal", config.stop_signal.clone().map(Into::into));
    set(&mut json, "User", config.user.clone().map(Into::into));
    set(&mut json, "Volumes", (!volumes.is_empty()).then(|| volumes.into()));
    set(&mut json, "WorkingDir", config.working_dir.clone().map(Into::into));
    json
}

/// Docker's health check, which the OCI specification lacks. Durations are in nanoseconds.
fn healthcheck(check: &Healthcheck) -> Value {
    let nanoseconds = |seconds: u32| u64::from(seconds) * 1_000_000_000;
    let test: Vec<&str> = std::iter::once("CMD").chain(check.command.iter().map(String::as_str)).collect();
    json!({
        "Test": test,
        "Interval": nanoseconds(check.interval),
        "Timeout": nanoseconds(check.timeout),
        "StartPeriod": nanoseconds(check.start_period),
        "Retries": check.retries,
    })
}

fn set(json: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (json.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::oci) fn image(layer: &[u8]) -> Image {
        let config: ImageConfig = toml::from_str(
            r#"
            entrypoint = ["/usr/local/bin/entry"]
            cmd = ["--flag"]
            ports = ["587/tcp", "25/tcp"]
            volumes = ["/var/spool/postfix"]
            stop-signal = "SIGTERM"
            user = "postfix"
            working-dir = "/"
            env = { ZONE = "z", A = "b" }
            healthcheck = { command = ["check", "-q"], interval = 15, timeout = 12, start-period = 60, retries = 4 }
            "#,
        )
        .unwrap();
        let layer = Layer {
            digest: Sha256::of(layer),
            size: layer.len() as u64,
            diff_id: Sha256::of("diff"),
            title: "packages".to_owned(),
        };
        Image::new(&ImageSpec {
            name: "postfix",
            description: "Takes mail",
            arch: "aarch64",
            created: Timestamp::from_unix(1_700_000_000),
            config: &config,
            labels: &BTreeMap::new(),
            annotations: &BTreeMap::new(),
            layers: &[layer],
        })
        .unwrap()
    }

    #[test]
    fn labels_and_annotations_go_over_those_that_every_image_has() {
        let config: ImageConfig = toml::from_str("entrypoint = [\"/entry\"]").unwrap();
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let (title, source) = ("org.opencontainers.image.title", "org.opencontainers.image.source");
        let image = Image::new(&ImageSpec {
            name: "web",
            description: "Serves",
            arch: "x86_64",
            created: Timestamp::from_unix(0),
            config: &config,
            labels: &pairs(&[(source, "https://example.org"), (title, "Web")]),
            annotations: &pairs(&[("org.example.team", "web")]),
            layers: &[],
        });
        let image = image.unwrap();
        let parsed = |document: &Document| serde_json::from_slice::<Value>(&document.bytes).unwrap();
        let labels = parsed(&image.config)["config"]["Labels"].clone();
        assert_eq!((&labels[source], &labels[title]), (&json!("https://example.org"), &json!("Web")));
        assert_eq!(labels["org.opencontainers.image.created"], "1970-01-01T00:00:00Z");
        let annotations = parsed(&image.manifest)["annotations"].clone();
        assert_eq!((&annotations["org.example.team"], &annotations[title]), (&json!("web"), &json!("web")));
        assert_eq!(annotations.get(source), None);
    }

    #[test]
    fn an_image_is_described_in_canonical_json() {
        let image = image(b"layer");
        insta::assert_snapshot!(String::from_utf8(image.config.bytes).unwrap());
        insta::assert_snapshot!(String::from_utf8(image.manifest.bytes).unwrap());
    }

    #[test]
    fn the_descriptions_are_what_oci_specifies() {
        let image = image(b"layer");
        let manifest: oci_spec::image::ImageManifest = serde_json::from_slice(&image.manifest.bytes).unwrap();
        assert_eq!(manifest.config().digest().digest(), image.config.digest.to_string());
        let config: oci_spec::image::ImageConfiguration = serde_json::from_slice(&image.config.bytes).unwrap();
        assert_eq!(config.architecture().to_string(), "arm64");
        assert_eq!(config.rootfs().diff_ids().len(), 1);
    }
}
