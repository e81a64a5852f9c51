use std::sync::{Arc, Mutex};

use super::fake::{Fake, error, status};
use super::{MANIFEST, setup};
use crate::digest::Sha256;
use crate::registry::{Push, RegistryError};

#[tokio::test]
async fn a_manifest_is_taken_with_any_success() {
    for code in [200, 201, 202, 204] {
        let fake = Fake::start_with(move |asked| asked.is("PUT", "/manifests/").then(|| status(code))).await;
        setup().push(&fake.repository("mail/web"), &[], Some(b"{}")).await.unwrap();
        assert_eq!(fake.last_header("content-type").as_deref(), Some(MANIFEST));
    }
}

async fn push_to_one_that_stores_it_as(digest: String) -> Result<(), RegistryError> {
    let fake = Fake::start_with(move |asked| {
        asked.is("PUT", "/manifests/").then(|| status(201).insert_header("docker-content-digest", digest.as_str()))
    });
    setup().push(&fake.await.repository("mail/web"), &[], Some(b"{}")).await
}

#[tokio::test]
async fn a_manifest_that_is_stored_as_another_is_an_error() {
    let error = push_to_one_that_stores_it_as(Sha256::of("other").to_oci()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Stored { .. }), "{error}");
    // None of these can be compared.
    let upper = format!("sha256:{}", Sha256::of("other").to_string().to_uppercase());
    for digest in ["", "sha256:0", &format!("sha512:{}", "0".repeat(128)), &upper] {
        push_to_one_that_stores_it_as(digest.to_owned()).await.unwrap();
    }
}

#[tokio::test]
async fn a_tag_is_not_written_again_with_what_it_has() {
    for says_digest in [true, false] {
        let fake = Fake::start_with(move |asked| {
            if asked.method != "PUT" && asked.header("accept") != Some(MANIFEST) {
                return Some(status(404));
            }
            (asked.is("HEAD", "/manifests/") && asked.count > 1 && !says_digest).then(|| status(200))
        });
        let (setup, fake) = (setup(), fake.await);
        let repository = fake.repository("mail/web");
        for (manifest, puts) in [(&b"{}"[..], 1), (b"{}", 1), (b"{ }", 2), (b"{ }", 2)] {
            setup.push(&repository, &[], Some(manifest)).await.unwrap();
            assert_eq!(fake.count("PUT"), puts, "{:?}", fake.log());
        }
    }
}

#[tokio::test]
async fn waits_where_it_is_told_to() {
    let fake = Fake::start_with(|asked| {
        let busy = |code| Some(status(code).insert_header("retry-after", "1"));
        match (asked.method, asked.count) {
            ("HEAD", 1) => busy(429),
            ("PUT", 1) => busy(503),
            _ => None,
        }
    });
    let (setup, fake, began) = (setup(), fake.await, std::time::Instant::now());
    setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], Some(b"{}")).await.unwrap();
    assert!(began.elapsed().as_secs() >= 2, "{:?}", began.elapsed());
    assert_eq!(fake.manifest("mail/web/manifests/latest").as_deref(), Some(&b"{}"[..]));
}

#[tokio::test]
async fn a_refused_manifest_is_told_from_a_registry_that_is_gone() {
    for code in [400, 403, 404, 405, 415, 422, 500, 501] {
        let fake = Fake::start_with(move |asked| asked.is("PUT", "/manifests/").then(|| error(code, "UNSUPPORTED")));
        let fake = fake.await;
        let error = setup().push(&fake.repository("mail/web"), &[], Some(b"{}")).await.unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains("UNSUPPORTED: so it is"), "{error}");
    }
    let gone = "127.0.0.1:1/mail/web".parse().unwrap();
    let error = setup().push(&gone, &[], Some(b"{}")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }) && !error.is_refusal(), "{error}");
}

#[tokio::test]
async fn blobs_are_linked_from_the_repository_that_has_them() {
    let (setup, fake) = (setup(), Fake::start().await);
    let (shared, own) = (setup.blob(b"shared"), setup.blob(b"own"));
    let [first, second, third] = ["mail/a", "mail/b", "mail/c"].map(|path| fake.repository(path));
    setup.push(&first, std::slice::from_ref(&shared), None).await.unwrap();
    setup.push(&second, std::slice::from_ref(&own), None).await.unwrap();
    setup.push(&third, &[shared.clone(), own.clone()], None).await.unwrap();
    assert!(fake.has(&third, &shared) && fake.has(&third, &own));
    assert_eq!(fake.count("PUT"), 2, "each was sent once: {:?}", fake.log());
}

#[tokio::test]
async fn what_is_not_linked_is_uploaded() {
    for code in [200, 202, 400, 401, 403, 404, 405, 429, 500] {
        let fake = Fake::start_with(move |asked| {
            asked.is("POST", "mount=").then(|| status(code).insert_header("www-authenticate", "Basic realm=\"x\""))
        });
        let (setup, fake) = (setup(), fake.await);
        let blob = setup.blob(b"shared");
        for path in ["mail/a", "mail/b"] {
            let repository = fake.repository(path);
            setup.push(&repository, std::slice::from_ref(&blob), None).await.unwrap();
            assert!(fake.has(&repository, &blob), "{code}");
        }
    }
    // Says that it has made something, and means an upload.
    let fake = Fake::start_with(|asked| {
        let session = "/v2/mail/b/blobs/uploads/x";
        asked.is("POST", "mount=").then(|| status(201).insert_header("location", session))
    });
    let (setup, fake) = (setup(), fake.await);
    let blob = setup.blob(b"shared");
    for path in ["mail/a", "mail/b"] {
        let repository = fake.repository(path);
        setup.push(&repository, std::slice::from_ref(&blob), None).await.unwrap();
        assert!(fake.has(&repository, &blob));
    }
}

#[tokio::test]
async fn what_was_linked_but_is_not_there_is_uploaded() {
    let arrived = Arc::new(Mutex::new(0));
    let uploads = Arc::clone(&arrived);
    let fake = Fake::start_with(move |asked| {
        if asked.is("PUT", "/mail/b/blobs/") {
            *uploads.lock().unwrap() += 1;
        }
        if asked.is("PUT", "/mail/b/manifests/") {
            let is_missing = *uploads.lock().unwrap() == 0;
            return is_missing.then(|| error(404, "MANIFEST_BLOB_UNKNOWN"));
        }
        asked.is("POST", "mount=").then(|| status(201))
    });
    let (setup, fake) = (setup(), fake.await);
    let blob = setup.blob(b"shared");
    setup.push(&fake.repository("mail/a"), std::slice::from_ref(&blob), None).await.unwrap();
    setup.push(&fake.repository("mail/b"), std::slice::from_ref(&blob), Some(b"{}")).await.unwrap();
    assert!(fake.has(&fake.repository("mail/b"), &blob));

    let fake = Fake::start_with(|asked| asked.is("PUT", "/manifests/").then(|| error(404, "MANIFEST_BLOB_UNKNOWN")));
    let (setup, fake) = (super::setup(), fake.await);
    let error = setup.push(&fake.repository("mail/a"), &[setup.blob(b"own")], Some(b"{}")).await.unwrap_err();
    assert!(error.is_refusal() && fake.count("PUT /v2/mail/a/manifests/") == 2, "once more, not again and again");
}

#[tokio::test]
async fn tells_how_much_is_there() {
    let fake = Fake::start_with(|asked| (asked.method == "PUT" && asked.count == 1).then(|| status(502))).await;
    let setup = setup();
    let (large, there) = (setup.blob(&vec![7; 3_000_000]), setup.blob(b"there"));
    fake.put(&fake.repository("mail/web"), b"there");
    let push =
        Push { blobs: vec![large.clone(), there.clone()], media_type: MANIFEST, manifest: b"", tags: Vec::new() };
    let told = Mutex::new(Vec::new());
    let sent = |blob: &crate::registry::Blob, bytes| told.lock().unwrap().push((blob.digest, bytes));
    setup.client.push(&fake.repository("mail/web"), &push, &sent).await.unwrap();
    let told = told.into_inner().unwrap();
    let of = |digest| told.iter().filter(|(of, _)| *of == digest).map(|(_, bytes)| *bytes).collect::<Vec<u64>>();
    assert_eq!(of(there.digest), [5]);
    let large = of(large.digest);
    assert_eq!((large[0], large.last()), (0, Some(&3_000_000)));
    assert_eq!(
        large.iter().filter(|bytes| **bytes == 0).count(),
        2,
        "from the beginning, when it is sent again: {large:?}"
    );
}
