//! A registry's answers: HTTP as a server sends it, with a line `---` between two answers. Each connection gets the next
//! one. `@here@` stands for the server's address.
//!
//! Answers may name any other server, so this is only for a machine or a network namespace without a network.

use std::sync::LazyLock;
use std::time::Duration;

use camino::Utf8Path;
use mailimg::digest::Sha256;
use mailimg::http::{self, Settings};
use mailimg::registry::{Blob, Client, Push, Repository};
use mailimg::store::Store;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::common::{Outcome, Target};

pub const TARGET: Target = Target { check, seeds };

const BETWEEN: &[u8] = b"\n---\n";
const CONTENT: &[u8] = b"content";
const LIMIT: Duration = Duration::from_millis(300);

struct World {
    runtime: Runtime,
    http: http::Client,
    directory: TempDir,
    store: Store,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("blob"), CONTENT).expect("a file");
    let settings = Settings {
        attempts: 1,
        backoff: Duration::ZERO,
        longest_wait: Duration::ZERO,
        connect: LIMIT,
        answer: LIMIT,
        silence: LIMIT,
        digestion: LIMIT,
        ..Settings::default()
    };
    World {
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
        http: http::Client::new(settings),
        store: Store::open(Utf8Path::from_path(directory.path()).expect("UTF-8")).expect("a store"),
        directory,
    }
});

fn check(input: &[u8]) -> Outcome {
    let world = &*WORLD;
    world.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let answers = answers(input, &address);
        tokio::select! {
            outcome = talk(world, &address) => outcome,
            () = serve(&listener, answers) => Ok(()),
        }
    })
}

/// All that mailimg asks of a registry.
async fn talk(world: &World, address: &str) -> Outcome {
    let client = Client::new(world.http.clone());
    let repository: Repository = format!("{address}/web").parse()?;
    let digest = Sha256::of(CONTENT);
    let found = client.has_blob(&repository, digest).await;
    let pulled = client.pull_blob(&repository, digest, CONTENT.len() as u64, &world.store).await;
    if pulled.is_ok() {
        assert_eq!(std::fs::read(world.store.path(&digest))?, CONTENT);
        std::fs::remove_file(world.store.path(&digest))?;
    }
    let path = Utf8Path::from_path(world.directory.path()).ok_or("not UTF-8")?.join("blob");
    let image = Push {
        blobs: vec![Blob { digest, size: CONTENT.len() as u64, path }],
        media_type: mailimg::oci::MANIFEST,
        manifest: b"{}",
        tags: vec!["tag".parse()?],
    };
    client.push(&repository, &image, &|_, _| ()).await?;
    pulled?;
    found?;
    Ok(())
}

fn answers(input: &[u8], address: &str) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let mut rest = input;
    while let Some(end) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        answers.push(&rest[..end]);
        rest = &rest[end + BETWEEN.len()..];
    }
    answers.push(rest);
    let here = |answer: &[u8]| match std::str::from_utf8(answer) {
        Ok(text) => text.replace("@here@", address).into_bytes(),
        Err(_) => answer.to_vec(),
    };
    answers.into_iter().map(here).collect()
}

/// Gives each connection an answer, and none when there are no more.
async fn serve(listener: &TcpListener, answers: Vec<Vec<u8>>) {
    let mut answers = answers.into_iter();
    while let Ok((connection, _)) = listener.accept().await {
        let _ = answer(connection, &answers.next().unwrap_or_default()).await;
    }
}

async fn answer(mut connection: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match connection.read(&mut buffer).await? {
            0 => return Ok(()),
            n => request.extend_from_slice(&buffer[..n]),
        }
    }
    connection.write_all(answer).await?;
    connection.shutdown().await
}

fn seeds() -> Vec<Vec<u8>> {
    let digest = Sha256::of(CONTENT).to_oci();
    let manifest = Sha256::of("{}").to_oci();
    let answer = |status: &str, headers: &[&str], body: &str| {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    let bearer = r#"www-authenticate: Bearer realm="http://@here@/token",service="here",scope="repository:web:pull""#;
    let challenge = answer("401 Unauthorized", &[bearer], r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#);
    let token = answer("200 OK", &["content-type: application/json"], r#"{"token":"abc","expires_in":300}"#);
    let (ok, missing) = (answer("200 OK", &[], ""), answer("404 Not Found", &[], ""));
    let content = answer("200 OK", &[&format!("docker-content-digest: {digest}")], "content");
    let begun = answer(
        "202 Accepted",
        &["location: /v2/web/blobs/uploads/1?state=x", "range: 0-0", "oci-chunk-min-length: 1"],
        "",
    );
    let created =
        answer("201 Created", &[&format!("docker-content-digest: {manifest}"), "location: http://@here@/v2/web/x"], "");
    let moved = answer("307 Temporary Redirect", &["location: http://@here@/elsewhere"], "");
    let too_many =
        answer("429 Too Many Requests", &["retry-after: 5", "date: Mon, 01 Jun 2026 00:00:00 GMT"], "slowly");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\ncontent\r\n0\r\n\r\n".to_owned();
    let joined = |answers: &[&String]| answers.iter().map(|it| it.as_bytes()).collect::<Vec<_>>().join(BETWEEN);
    vec![
        joined(&[&ok, &content, &missing, &begun, &created, &missing, &created]),
        joined(&[&challenge, &token, &ok, &challenge, &token, &chunked, &missing, &begun, &begun, &created, &created]),
        joined(&[&moved, &ok, &moved, &content, &too_many, &missing, &begun, &moved, &begun, &created, &created]),
    ]
}
