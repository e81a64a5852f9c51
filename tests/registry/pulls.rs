use camino::Utf8Path;
use mailimg::registry::{RegistryError, Repository};
use mailimg::store::{Store, StoreError};

use super::common::faulty::{Fault, Faulty};
use super::common::registry::Registry;
use super::{Setup, setup};

fn store(setup: &Setup) -> Store {
    Store::open(Utf8Path::from_path(setup.folder.path()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_blob_comes_into_the_store_and_nothing_else() {
    let (registry, setup) = (Registry::start(), setup());
    let repository = registry.name("mail/web").parse().unwrap();
    let (client, store, layer) = (&setup.client, store(&setup), setup.blob(b"a layer"));
    let missing = client.pull_blob(&repository, layer.digest, layer.size, &store).await.unwrap_err();
    assert!(matches!(missing, RegistryError::Missing { .. }), "{missing:?}");

    setup.push(&repository, &[&layer]).await.unwrap();
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
async fn a_pull_goes_on_where_it_broke() {
    let (registry, setup) = (Registry::start(), setup());
    let layer = setup.large(3, 5_000_000);
    setup.push(&registry.name("mail/web").parse().unwrap(), &[&layer]).await.unwrap();
    let proxy = Faulty::before(registry.port(), |asked| match asked.count {
        1 | 2 => Fault::Cut(2_000_000),
        _ => Fault::None,
    });
    let repository: Repository = proxy.name("mail/web").parse().unwrap();
    let store = store(&setup);
    setup.client.pull_blob(&repository, layer.digest, layer.size, &store).await.unwrap();
    assert!(std::fs::read(store.find(&layer.digest).unwrap()).unwrap() == std::fs::read(&layer.path).unwrap());
    assert_eq!(proxy.count("GET"), 3, "5 MB in three parts: {:?}", proxy.log());
}
