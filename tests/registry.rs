//! Pushing to a real registry (Debian's `docker-registry`) and, for tokens, to one that asks for them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use camino::Utf8PathBuf;
use mailimg::digest::Sha256;
use mailimg::registry::{Client, RegistryError};
use mailimg::store::{Store, StoreError};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[path = "common/mod.rs"]
mod common;

use common::registry::Registry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Blob {
    _dir: tempfile::TempDir,
    path: Utf8PathBuf,
    digest: Sha256,
    size: u64,
}

fn blob(content: &[u8]) -> Blob {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(dir.path().join("blob")).unwrap();
    std::fs::write(&path, content).unwrap();
    Blob { _dir: dir, path, digest: Sha256::of(content), size: content.len() as u64 }
}

fn client() -> Client {
    Client::new(reqwest::Client::builder().no_proxy().build().unwrap())
}

#[tokio::test]
async fn pushes_an_image_that_the_registry_then_has() {
    let registry = Registry::start();
    let client = client();
    let repository = registry.name("mail/postfix").parse().unwrap();
    let config = blob(br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#);
    assert!(!client.has_blob(&repository, config.digest).await.unwrap());
    client.push_blob(&repository, config.digest, &config.path, config.size, None).await.unwrap();
    assert!(client.has_blob(&repository, config.digest).await.unwrap());

    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[]}}"#,
        config.digest.to_oci(),
        config.size
    );
    client.push_manifest(&repository, &"v1".parse().unwrap(), MANIFEST, manifest.as_bytes()).await.unwrap();

    let url = format!("http://127.0.0.1:{}/v2/mail/postfix/manifests/v1", registry.port());
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).header("accept", MANIFEST).send();
    assert_eq!(answer.await.unwrap().text().await.unwrap(), manifest);
}

#[tokio::test]
async fn links_a_blob_from_another_repository_instead_of_sending_it_again() {
    let registry = Registry::start();
    let client = client();
    let (first, second) = (registry.name("mail/first").parse().unwrap(), registry.name("mail/second").parse().unwrap());
    let layer = blob(b"layer");
    client.push_blob(&first, layer.digest, &layer.path, layer.size, None).await.unwrap();
    // A file that is not there shows that nothing was read.
    let gone = Utf8PathBuf::from("/nonexistent");
    client.push_blob(&second, layer.digest, &gone, layer.size, Some(&first)).await.unwrap();
    assert!(client.has_blob(&second, layer.digest).await.unwrap());
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_digest_says_is_refused_by_the_registry() {
    let registry = Registry::start();
    let layer = blob(b"layer");
    let error = client()
        .push_blob(&registry.name("mail/bad").parse().unwrap(), Sha256::of(b"other"), &layer.path, layer.size, None)
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::Unexpected { status: 400, .. }), "{error:?}");
}

#[tokio::test]
async fn pulls_a_blob_into_the_store_and_nothing_else() {
    let registry = Registry::start();
    let client = client();
    let repository = registry.name("mail/postfix").parse().unwrap();
    let layer = blob(b"a layer");
    let cache = tempfile::tempdir().unwrap();
    let store = Store::open(cache.path().try_into().unwrap()).unwrap();
    let missing = client.pull_blob(&repository, layer.digest, layer.size, &store).await.unwrap_err();
    assert!(matches!(missing, RegistryError::Missing { .. }), "{missing:?}");

    client.push_blob(&repository, layer.digest, &layer.path, layer.size, None).await.unwrap();
    let short = client.pull_blob(&repository, layer.digest, layer.size - 1, &store).await.unwrap_err();
    assert!(matches!(short, RegistryError::Blob { source: StoreError::TooLarge { limit: 6 }, .. }), "{short:?}");
    client.pull_blob(&repository, layer.digest, layer.size, &store).await.unwrap();
    assert_eq!(std::fs::read(store.find(&layer.digest).unwrap()).unwrap(), b"a layer");

    std::fs::remove_file(store.find(&layer.digest).unwrap()).unwrap();
    std::fs::write(registry.blob(&layer.digest.to_string()), "a l4yer").unwrap();
    let other = client.pull_blob(&repository, layer.digest, layer.size, &store).await.unwrap_err();
    assert!(matches!(other, RegistryError::Blob { source: StoreError::Digest { .. }, .. }), "{other:?}");
    assert_eq!(store.find(&layer.digest), None);
}

#[tokio::test]
async fn gets_a_token_where_the_registry_asks_for_one() {
    let server = MockServer::start().await;
    let digest = Sha256::of(b"");
    let blob = format!("/v2/mail/a/blobs/{}", digest.to_oci());
    let realm = format!("{}/token", server.uri());
    let challenge = format!(r#"Bearer realm="{realm}",service="here",scope="repository:mail/a:pull,push""#);
    Mock::given(path("/token"))
        .and(query_param("service", "here"))
        .and(query_param("scope", "repository:mail/a:pull,push"))
        .respond_with(ResponseTemplate::new(200).set_body_string(r#"{"token":"secret"}"#))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("HEAD"))
        .and(path(blob.clone()))
        .and(header("authorization", "Bearer secret"))
        .respond_with(ResponseTemplate::new(200))
        .expect(2)
        .mount(&server)
        .await;
    Mock::given(method("HEAD"))
        .and(path(blob))
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()))
        .expect(1)
        .mount(&server)
        .await;
    let repository = format!("{}/mail/a", server.address()).parse().unwrap();
    let client = client();
    assert!(client.has_blob(&repository, digest).await.unwrap());
    assert!(client.has_blob(&repository, digest).await.unwrap(), "the token is kept");
}

#[tokio::test]
async fn sends_no_password_in_the_clear() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD"))
        .respond_with(
            ResponseTemplate::new(401)
                .insert_header("www-authenticate", r#"Bearer realm="http://registry.example.org/token""#),
        )
        .mount(&server)
        .await;
    let repository = format!("{}/mail/a", server.address()).parse().unwrap();
    let error = client().has_blob(&repository, Sha256::of(b"")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Challenge { .. }), "{error:?}");
}

#[tokio::test]
async fn tries_again_when_the_registry_is_busy_and_gives_up_in_the_end() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&server).await;
    Mock::given(method("HEAD")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let repository = format!("{}/mail/a", server.address()).parse().unwrap();
    assert!(client().has_blob(&repository, Sha256::of(b"")).await.unwrap());
}
