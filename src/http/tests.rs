use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use url::Url;

use super::client::{leads_to_plain_http, shown};
use super::{Client, HttpError, Part, Settings};

/// Gives each connection to `serve`.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap()).parse().unwrap();
    std::thread::spawn(move || {
        let serve = Arc::new(serve);
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    url
}

/// Reads a request's head, and answers.
fn answer(stream: &TcpStream, answer: &str) -> String {
    let mut stream = stream;
    let mut request = [0; 4096];
    let read = stream.read(&mut request).unwrap_or_default();
    let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n").as_bytes());
    String::from_utf8_lossy(&request[..read]).into_owned()
}

/// A client that gives up fast.
fn impatient() -> Client {
    let limit = Duration::from_millis(300);
    Client::new(Settings { answer: limit, silence: limit, least: 2, digestion: 2 * limit, ..Settings::default() })
}

fn is_silent<T>(result: &Result<T, HttpError>) -> bool {
    matches!(result, Err(HttpError::Silent(_)))
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let url = server(std::mem::forget);
    let client = impatient();
    let request = || client.request(Method::GET, &url).unwrap();
    assert!(is_silent(&client.send(request()).await) && is_silent(&client.open(request()).await));
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let url = server(|stream| {
        answer(&stream, "200 OK\r\nContent-Length: 9");
        std::mem::forget(stream);
    });
    let client = impatient();
    let mut body = client.open(client.request(Method::GET, &url).unwrap()).await.unwrap();
    assert!(matches!(body.chunk().await.map(drop), Err(HttpError::Silent(_))));
}

#[tokio::test]
async fn a_short_answer_that_trickles_is_given_up_and_a_long_one_is_not() {
    let url = server(|mut stream| {
        answer(&stream, "200 OK\r\nContent-Length: 9");
        for byte in b"trickling" {
            std::thread::sleep(Duration::from_millis(100));
            let _ = stream.write_all(&[*byte]);
        }
    });
    let client = impatient();
    let short = client.send(client.request(Method::GET, &url).unwrap()).await.unwrap();
    assert!(is_silent(&short.bytes().await));
    let long = client.open(client.request(Method::GET, &url).unwrap()).await.unwrap();
    assert_eq!(long.bytes().await.unwrap(), b"trickling");
}

#[tokio::test]
async fn a_long_answer_that_trickles_slower_than_anything_is_given_up() {
    let url = server(|mut stream| {
        answer(&stream, "200 OK\r\nContent-Length: 1000");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let limit = Duration::from_millis(300);
    let client = Client::new(Settings { silence: limit, least: 100, ..Settings::default() });
    let began = Instant::now();
    let long = client.open(client.request(Method::GET, &url).unwrap()).await.unwrap();
    let error = long.bytes().await.unwrap_err();
    assert!(matches!(error, HttpError::Slow { bytes, within, .. } if bytes < 100 && within >= limit), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_that_should_be_short_is_bounded() {
    let url = server(|mut stream| {
        answer(&stream, "200 OK");
        while stream.write_all(&[b'x'; 1 << 14]).is_ok() {}
    });
    let client = Client::default();
    let answer = client.send(client.request(Method::GET, &url).unwrap()).await.unwrap();
    assert!(matches!(answer.bytes().await, Err(HttpError::TooLong { .. })));
}

async fn upload(url: &Url, size: usize) -> (Result<u16, HttpError>, Vec<u64>) {
    upload_by(&impatient(), url, size).await
}

async fn upload_by(client: &Client, url: &Url, size: usize) -> (Result<u16, HttpError>, Vec<u64>) {
    let mut sent = Vec::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![1; size]).unwrap();
    let part = Part { file: tokio::fs::File::open(file.path()).await.unwrap(), length: size as u64 };
    let request = client.request(Method::PUT, url).unwrap();
    let answer = client.upload(request, part, &mut |bytes| sent.push(bytes)).await;
    (answer.map(|answer| answer.status().as_u16()), sent)
}

#[tokio::test]
async fn an_upload_takes_as_long_as_it_moves() {
    // More than the kernel buffers, in more time than a server may be silent.
    let size: usize = 30_000_000;
    let url = server(move |mut stream| {
        let (mut block, mut left) = (vec![0; 2_000_000], size);
        while left > 0 {
            std::thread::sleep(Duration::from_millis(40));
            match stream.read(&mut block) {
                Ok(read) if read > 0 => left = left.saturating_sub(read),
                _ => return,
            }
        }
        let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    });
    let began = Instant::now();
    let (status, sent) = upload(&url, size).await;
    assert_eq!(status.unwrap(), 201);
    assert!(began.elapsed() > Duration::from_millis(600), "else this shows nothing: {:?}", began.elapsed());
    assert!(sent.is_sorted() && sent.len() > 1, "{sent:?}");
}

#[tokio::test]
async fn an_upload_that_stands_still_is_given_up() {
    let url = server(std::mem::forget);
    let (outcome, _) = upload(&url, 30_000_000).await;
    assert!(matches!(outcome, Err(HttpError::Silent(limit)) if limit.as_millis() == 300));
    // All of it is gone, into the kernel: now the server has time to store it.
    let (outcome, sent) = upload(&url, 1000).await;
    assert!(matches!(outcome, Err(HttpError::Silent(limit)) if limit.as_millis() == 600));
    assert_eq!(sent, [1000]);
}

#[tokio::test]
async fn an_upload_that_moves_slower_than_any_is_given_up() {
    let url = server(|mut stream| {
        let mut block = vec![0; 300_000];
        while stream.read(&mut block).is_ok_and(|read| read > 0) {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    // The kernels take several million bytes at once, before the server does.
    let limit = Duration::from_millis(500);
    let client = Client::new(Settings { silence: limit, least: 50_000_000, ..Settings::default() });
    let began = Instant::now();
    let (outcome, sent) = upload_by(&client, &url, 60_000_000).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, HttpError::Slow { bytes, .. } if bytes < 50_000_000), "{error}");
    assert!(error.to_string().starts_with("the server took only "), "{error}");
    assert!(!sent.is_empty() && began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_upload_that_is_refused_at_once_is_told_so() {
    let url = server(|stream| {
        answer(&stream, "413 Payload Too Large\r\nContent-Length: 0");
        // A server that closes while much is under way may tear the connection down before its answer is read.
        std::thread::sleep(Duration::from_millis(200));
    });
    assert_eq!(upload(&url, 30_000_000).await.0.unwrap(), 413);
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told_as_that() {
    let url = server(|stream| drop(answer(&stream, "400 Bad Request\r\nContent-Length: 0")));
    let client = Client::default();
    let https = url.as_str().replace("http:", "https:").parse().unwrap();
    let error = client.send(client.request(Method::GET, &https).unwrap()).await.unwrap_err();
    assert!(error.is_not_tls() && !error.is_untrusted() && !error.is_passing(), "{error}");
}

#[tokio::test]
async fn authorization_stays_with_its_server() {
    let (sender, shown) = std::sync::mpsc::channel();
    let target = server(move |stream| {
        sender.send(answer(&stream, "200 OK\r\nContent-Length: 0")).unwrap();
    });
    let redirect = server(move |stream| {
        answer(&stream, &format!("307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: {target}"));
    });
    let client = Client::default();
    let request = client.request(Method::GET, &redirect).unwrap().header(AUTHORIZATION, "Basic secret");
    assert!(client.send(request).await.unwrap().status().is_success());
    let shown = shown.recv().unwrap().to_ascii_lowercase();
    assert!(shown.starts_with("get /x") && !shown.contains("secret") && !shown.contains("referer"), "{shown}");
    assert!(shown.contains("user-agent: mailimg/"), "{shown}");
}

#[test]
fn shows_no_secrets_of_a_url() {
    for (url, expected) in [
        ("https://a.example:5000/x/y?signature=secret#secret", "https://a.example:5000/x/y"),
        ("http://bob:secret@[::1]/", "http://[::1]/"),
        ("https://secret@a.example", "https://a.example/"),
        ("mailto:x?secret", "mailto:x"),
    ] {
        assert_eq!(shown(&url.parse().unwrap()), expected);
    }
}

#[test]
fn refuses_to_be_led_from_https_to_http() {
    // Calls the function that the redirect policy uses, because there is no server with a certificate.
    let policy = |from: &str, to: &str| leads_to_plain_http(&[from.parse().unwrap()], &to.parse().unwrap());
    assert!(policy("https://a.example/", "http://a.example/"));
    assert!(!policy("https://a.example/", "https://b.example/"));
    assert!(!policy("http://a.example/", "http://b.example/"));
}
