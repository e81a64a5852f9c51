use mailimg::digest::Sha256;
use mailimg::registry::{Blob, RegistryError, Repository};

use super::common::registry::Registry;
use super::{MANIFEST, Setup, setup};

const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;

fn manifest(config: &Blob, more: &str) -> String {
    let media_type = "application/vnd.oci.image.config.v1+json";
    let config =
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, config.digest.to_oci(), config.size);
    format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[]{more}}}"#)
}

/// The registry's content at a reference, requested as Docker does.
async fn stored(registry: &Registry, reference: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v2/mail/web/manifests/{reference}", registry.port());
    client.get(url).header("accept", MANIFEST).send().await.unwrap().text().await.unwrap()
}

fn start() -> (Registry, Repository, Setup) {
    let registry = Registry::start();
    let repository = registry.name("mail/web").parse().unwrap();
    (registry, repository, setup())
}

#[tokio::test]
async fn a_manifest_has_its_digest_and_every_tag() {
    let (registry, repository, setup) = start();
    let config = setup.blob(CONFIG);
    let manifest = manifest(&config, "");
    let longest = "x".repeat(128);
    setup.push_manifest(&repository, &[&config], &manifest, &["v1", "_.-", &longest]).await.unwrap();
    for reference in ["v1", "_.-", &longest, &Sha256::of(&manifest).to_oci()] {
        assert_eq!(stored(&registry, reference).await, manifest, "{reference}");
    }
}

#[tokio::test]
async fn a_tag_moves() {
    let (registry, repository, setup) = start();
    let config = setup.blob(CONFIG);
    let [first, second] = ["", r#","annotations":{"a":"b"}"#].map(|more| manifest(&config, more));
    for manifest in [&first, &second, &first] {
        setup.push_manifest(&repository, &[&config], manifest, &["latest"]).await.unwrap();
        assert_eq!(&stored(&registry, "latest").await, manifest);
    }
    assert_eq!(stored(&registry, &Sha256::of(&second).to_oci()).await, second, "the other is still there");
}

#[tokio::test]
async fn an_artifact_about_an_image_is_taken() {
    let (registry, repository, setup) = start();
    let (config, empty) = (setup.blob(CONFIG), setup.blob(b"{}"));
    let image = manifest(&config, "");
    setup.push_manifest(&repository, &[&config], &image, &["image"]).await.unwrap();
    let subject = format!(
        r#","artifactType":"application/vnd.made-up","subject":{{"mediaType":"{MANIFEST}","digest":"{}","size":{}}}"#,
        Sha256::of(&image).to_oci(),
        image.len()
    );
    let artifact = manifest(&empty, &subject).replace("oci.image.config.v1", "oci.empty.v1");
    setup.push_manifest(&repository, &[&empty], &artifact, &["about-it"]).await.unwrap();
    assert_eq!(stored(&registry, "about-it").await, artifact);
}

#[tokio::test]
async fn a_manifest_without_its_blobs_is_refused_with_the_registrys_words() {
    let (_registry, repository, setup) = start();
    let config = setup.blob(CONFIG);
    let error = setup.push_manifest(&repository, &[], &manifest(&config, ""), &["v1"]).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("MANIFEST_BLOB_UNKNOWN: blob unknown"), "{error}");
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let (_registry, repository, setup) = start();
    let error = setup.push_manifest(&repository, &[], "not JSON", &["v1"]).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unexpected { status: 400, .. }), "{error}");
    assert!(error.to_string().contains("MANIFEST_INVALID"), "{error}");
}
