use mailimg::registry::Repository;

use super::common::faulty::{Asked, Fault, Faulty};
use super::common::registry::Registry;
use super::{Setup, setup};

const MIB: usize = 1 << 20;

/// A proxy that accepts at most this many bytes at once.
fn limited(most: usize) -> impl Fn(&Asked) -> Fault + Send + Sync + 'static {
    move |asked| if asked.body.len() > most { Fault::Answer("413 Payload Too Large") } else { Fault::None }
}

async fn arrives(setup: &Setup, registry: &Registry, proxy: &Faulty) {
    let repository: Repository = proxy.name("mail/web").parse().unwrap();
    let blob = setup.large(7, 9_000_000);
    setup.push(&repository, &[&blob]).await.unwrap();
    let stored = std::fs::read(registry.blob(&blob.digest.to_string())).unwrap();
    assert!(stored == std::fs::read(&blob.path).unwrap(), "{:?}", proxy.log());
}

#[tokio::test]
async fn a_blob_that_is_too_large_at_once_arrives_in_chunks() {
    let (registry, setup) = (Registry::start(), setup());
    let proxy = Faulty::before(registry.port(), limited(4 * MIB));
    arrives(&setup, &registry, &proxy).await;
    assert_eq!((proxy.count("PATCH"), proxy.count("PUT")), (3, 2), "{:?}", proxy.log());
}

#[tokio::test]
async fn chunks_become_as_small_as_they_have_to_be() {
    let (registry, setup) = (Registry::start(), setup());
    let proxy = Faulty::before(registry.port(), limited(MIB));
    arrives(&setup, &registry, &proxy).await;
    assert_eq!(proxy.count("PATCH"), 2 + 9, "{:?}", proxy.log());
}

#[tokio::test]
async fn a_chunk_that_does_not_arrive_is_sent_again() {
    let (registry, setup) = (Registry::start(), setup());
    let limit = limited(4 * MIB);
    let proxy = Faulty::before(registry.port(), move |asked| match (asked.method.as_str(), asked.count) {
        ("PATCH", 2) => Fault::Answer("502 Bad Gateway"),
        _ => limit(asked),
    });
    arrives(&setup, &registry, &proxy).await;
    assert_eq!((proxy.count("PATCH"), proxy.count("POST")), (4, 2), "{:?}", proxy.log());
}

#[tokio::test]
async fn an_upload_that_the_registry_counts_otherwise_begins_anew() {
    let (registry, setup) = (Registry::start(), setup());
    let limit = limited(4 * MIB);
    let proxy = Faulty::before(registry.port(), move |asked| match (asked.method.as_str(), asked.count) {
        // The registry has the chunk, but its answer, with the next URL, is lost.
        ("PATCH", 2) => Fault::Cut(0),
        _ => limit(asked),
    });
    arrives(&setup, &registry, &proxy).await;
    assert_eq!((proxy.count("PATCH"), proxy.count("POST")), (5, 3), "{:?}", proxy.log());
}

#[tokio::test]
async fn what_breaks_again_and_again_goes_in_chunks() {
    let (registry, setup) = (Registry::start(), setup());
    let proxy = Faulty::before(registry.port(), |asked| {
        if asked.body.len() > 5 * MIB { Fault::Answer("500 Internal Server Error") } else { Fault::None }
    });
    arrives(&setup, &registry, &proxy).await;
    assert_eq!((proxy.count("PATCH"), proxy.count("POST")), (3, 3), "{:?}", proxy.log());
}
