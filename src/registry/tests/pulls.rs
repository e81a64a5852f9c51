use camino::Utf8Path;

use super::authentication::login;
use super::fake::{Fake, status, url};
use super::{Setup, setup, setup_with};
use crate::digest::Sha256;
use crate::registry::RegistryError;
use crate::store::{Store, StoreError};

const CONTENT: &[u8] = b"the content of a layer";

async fn pull(setup: &Setup, fake: &Fake, digest: Sha256) -> Result<Vec<u8>, RegistryError> {
    let store = Store::open(Utf8Path::from_path(setup.folder.path()).unwrap()).unwrap();
    let repository = fake.repository("mail/web");
    setup.client.pull_blob(&repository, digest, CONTENT.len() as u64, &store).await?;
    Ok(std::fs::read(store.find(&digest).unwrap()).unwrap())
}

/// Serves these answers, one a connection, and returns the repository and what was asked for.
fn raw(answers: &'static [&'static str]) -> (super::Repository, std::thread::JoinHandle<Vec<String>>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let repository = format!("{}/mail/web", listener.local_addr().unwrap()).parse().unwrap();
    let served = std::thread::spawn(move || {
        let serve = |answer: &&str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        };
        answers.iter().map(serve).collect()
    });
    (repository, served)
}

#[tokio::test]
async fn goes_on_where_the_connection_broke() {
    let setup = setup();
    let store = Store::open(Utf8Path::from_path(setup.folder.path()).unwrap()).unwrap();
    for (answers, ranges) in [
        (
            &[
                "200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\nthe con",
                "206 Partial\r\nContent-Length: 15\r\nContent-Range: bytes 7-21/22\r\nConnection: close\r\n\r\ntent of ",
                "206 Partial\r\nContent-Length: 7\r\nContent-Range: bytes 15-21/22\r\nConnection: close\r\n\r\na layer",
            ][..],
            &[None, Some("bytes=7-"), Some("bytes=15-")][..],
        ),
        // Knows no ranges: from the beginning.
        (
            &[
                "200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\nthe con",
                "200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\nthe content of a layer",
            ],
            &[None, Some("bytes=7-")],
        ),
        // Sends another range than the one asked for, then says that there is none.
        (
            &[
                "200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\nthe con",
                "206 Partial\r\nContent-Length: 2\r\nContent-Range: bytes 0-1/22\r\nConnection: close\r\n\r\nth",
                "200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\nthe content of a layer",
            ],
            &[None, Some("bytes=7-"), None],
        ),
        (
            &[
                "200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\nthe con",
                "416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                "200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\nthe content of a layer",
            ],
            &[None, Some("bytes=7-"), None],
        ),
    ] {
        let (repository, served) = raw(answers);
        let digest = Sha256::of(CONTENT);
        setup.client.pull_blob(&repository, digest, CONTENT.len() as u64, &store).await.unwrap();
        let path = store.find(&digest).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), CONTENT);
        std::fs::remove_file(path).unwrap();
        let asked = served.join().unwrap();
        let range = |request: &String| {
            let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with("range: "))?;
            Some(line[7..].to_owned())
        };
        assert_eq!(
            asked.iter().map(range).collect::<Vec<_>>(),
            ranges.iter().map(|range| range.map(str::to_owned)).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_as_that() {
    let (setup, fake) = (setup(), Fake::start().await);
    let error = pull(&setup, &fake, Sha256::of(CONTENT)).await.unwrap_err();
    assert!(matches!(error, RegistryError::Missing { .. }), "{error}");
    assert_eq!(fake.count("GET /v2/mail/web/"), 1);
}

#[tokio::test]
async fn what_is_another_file_is_not_kept() {
    let content: &[u8] = b"some content of a leyer";
    let fake = Fake::start_with(move |_| Some(status(200).set_body_bytes(&content[1..]))).await;
    let error = pull(&setup(), &fake, Sha256::of(CONTENT)).await.unwrap_err();
    assert!(matches!(error, RegistryError::Blob { source: StoreError::Digest { .. }, .. }), "{error}");
    let fake = Fake::start_with(move |_| Some(status(200).set_body_bytes(content))).await;
    let error = pull(&setup(), &fake, Sha256::of(CONTENT)).await.unwrap_err();
    assert!(matches!(error, RegistryError::Blob { source: StoreError::TooLarge { .. }, .. }), "{error}");
}

#[tokio::test]
async fn storage_elsewhere_is_not_shown_the_password() {
    // Another port is another server.
    let storage = Fake::start_with(|asked| {
        let shown = asked.header("authorization").is_some();
        Some(if shown { status(400) } else { status(200).set_body_bytes(CONTENT) })
    });
    let storage = storage.await;
    let target = url(&storage, "/somewhere").to_string();
    let fake = Fake::start_with(move |asked| {
        Some(match asked.header("authorization") {
            None => status(401).insert_header("www-authenticate", "Basic realm=\"x\""),
            Some(_) => status(307).insert_header("location", target.as_str()),
        })
    })
    .await;
    let setup = setup_with(&login(&fake, "bob", "secret"));
    assert_eq!(pull(&setup, &fake, Sha256::of(CONTENT)).await.unwrap(), CONTENT);
}
