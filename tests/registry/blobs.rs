use mailimg::registry::RegistryError;

use super::common::faulty::{Fault, Faulty};
use super::common::registry::Registry;
use super::setup;

#[tokio::test]
async fn a_blob_is_there_when_it_has_been_pushed() {
    let (registry, setup) = (Registry::start(), setup());
    let repository = registry.name("mail/web").parse().unwrap();
    let blob = setup.blob(b"layer");
    assert!(!setup.client.has_blob(&repository, blob.digest).await.unwrap());
    setup.push(&repository, &[&blob]).await.unwrap();
    assert!(setup.client.has_blob(&repository, blob.digest).await.unwrap());
    assert_eq!(std::fs::read(registry.blob(&blob.digest.to_string())).unwrap(), b"layer");
}

#[tokio::test]
async fn an_empty_blob_and_a_large_one_are_blobs() {
    let (registry, setup) = (Registry::start(), setup());
    let repository = registry.name("web").parse().unwrap();
    let blobs = [setup.blob(b""), setup.large(1, 20_000_000)];
    setup.push(&repository, &blobs.each_ref()).await.unwrap();
    for blob in &blobs {
        assert_eq!(std::fs::metadata(registry.blob(&blob.digest.to_string())).unwrap().len(), blob.size);
    }
}

#[tokio::test]
async fn many_blobs_go_at_once() {
    let (registry, setup) = (Registry::start(), setup());
    let repository = registry.name("mail/web").parse().unwrap();
    let blobs: Vec<_> = (0..20).map(|seed| setup.large(seed, 100_000)).collect();
    setup.push(&repository, &blobs.iter().collect::<Vec<_>>()).await.unwrap();
    for blob in &blobs {
        assert!(setup.client.has_blob(&repository, blob.digest).await.unwrap());
    }
}

#[tokio::test]
async fn what_is_there_is_not_read() {
    let (registry, setup) = (Registry::start(), setup());
    let repository = registry.name("mail/web").parse().unwrap();
    let blob = setup.blob(b"layer");
    setup.push(&repository, &[&blob]).await.unwrap();
    std::fs::remove_file(&blob.path).unwrap();
    super::setup().push(&repository, &[&blob]).await.unwrap();
}

#[tokio::test]
async fn a_blob_is_linked_from_another_repository() {
    let (registry, setup) = (Registry::start(), setup());
    let [first, second] = ["mail/first", "mail/second"].map(|path| registry.name(path).parse().unwrap());
    let blob = setup.blob(b"layer");
    setup.push(&first, &[&blob]).await.unwrap();
    // The file can no longer be read.
    std::fs::remove_file(&blob.path).unwrap();
    setup.push(&second, &[&blob]).await.unwrap();
    assert!(setup.client.has_blob(&second, blob.digest).await.unwrap());
}

#[tokio::test]
async fn nothing_is_sent_of_a_file_that_is_not_the_blob() {
    let setup = setup();
    let blob = setup.blob(b"layer");
    let elsewhere = blob.path.with_extension("elsewhere");
    std::fs::write(&elsewhere, b"layer").unwrap();
    let refused = async || {
        let registry = Registry::start();
        let proxy = Faulty::before(registry.port(), |asked| {
            assert!(!matches!(asked.method.as_str(), "POST" | "PUT" | "PATCH"), "{}", asked.method);
            Fault::None
        });
        let error = setup.push(&proxy.name("mail/bad").parse().unwrap(), &[&blob]).await.unwrap_err();
        let RegistryError::Read { path, source } = error else { panic!("{error:?}") };
        assert_eq!(path, blob.path);
        source.to_string()
    };
    std::fs::write(&blob.path, b"loyer").unwrap();
    assert!(refused().await.starts_with("it was changed: its SHA-256 is "));
    std::fs::remove_file(&blob.path).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &blob.path).unwrap();
    assert_eq!(refused().await, "it is not a regular file");
}

#[tokio::test]
async fn a_blob_that_cannot_be_read_is_named() {
    let (registry, setup) = (Registry::start(), setup());
    let blob = setup.blob(b"layer");
    std::fs::remove_file(&blob.path).unwrap();
    let error = setup.push(&registry.name("mail/web").parse().unwrap(), &[&blob]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("can't read {}", blob.path));
}

#[tokio::test]
async fn a_proxy_that_fails_once_is_got_over() {
    for (method, count) in [("HEAD", 1), ("POST", 1), ("PUT", 1)] {
        let (registry, setup) = (Registry::start(), setup());
        let proxy = Faulty::before(registry.port(), move |asked| {
            let fails = asked.method == method && asked.count == count;
            if fails { Fault::Answer("502 Bad Gateway") } else { Fault::None }
        });
        let blob = setup.blob(b"layer");
        setup.push(&proxy.name("mail/web").parse().unwrap(), &[&blob]).await.unwrap();
        assert!(registry.blob(&blob.digest.to_string()).exists(), "{method}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_for() {
    let (registry, setup) = (Registry::start(), setup());
    // The registry has stored it, but its answer is lost.
    let proxy = Faulty::before(registry.port(), |asked| match asked.method.as_str() {
        "PUT" => Fault::Cut(0),
        _ => Fault::None,
    });
    let blob = setup.blob(b"layer");
    setup.push(&proxy.name("mail/web").parse().unwrap(), &[&blob]).await.unwrap();
    assert_eq!((proxy.count("PUT"), proxy.count("HEAD")), (1, 2), "{:?}", proxy.log());
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let setup = setup();
    let error = setup.push(&"127.0.0.1:1/mail/web".parse().unwrap(), &[&setup.blob(b"layer")]).await.unwrap_err();
    assert!(error.to_string().starts_with("can't reach http://127.0.0.1:1/v2/mail/web/blobs/sha256:"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("can't connect: Connection refused"), "{cause}");
}
