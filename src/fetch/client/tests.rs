use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use camino::Utf8PathBuf;

use super::*;
use crate::http;
use crate::progress::Silent;

/// Answers each connection with the next of `answers`, then no more. Returns its URL.
fn server(answers: Vec<Vec<u8>>) -> Url {
    recording_server(answers).0
}

/// As [`server`], and what it was asked.
fn recording_server(answers: Vec<Vec<u8>>) -> (Url, Receiver<String>) {
    let (sender, requests) = channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x86_64/a.apk", listener.local_addr().unwrap()).parse().unwrap();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let _ = sender.send(String::from_utf8_lossy(&request[..length]).to_ascii_lowercase());
            stream.write_all(&answer).unwrap();
        }
    });
    (url, requests)
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}").into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

fn found(target: &Url) -> Vec<u8> {
    answer("302 Found", &format!("Content-Length: 0\r\nLocation: {target}\r\n"), "")
}

fn request(url: &Url, body: &str) -> Request {
    Request {
        name: "a.apk".to_owned(),
        location: Location::Url(url.clone()),
        size: Size::Exactly(body.len() as u64),
        digest: Some(Sha256::of(body)),
    }
}

struct Setup {
    _keep: tempfile::TempDir,
    cache: Utf8PathBuf,
    client: Client,
}

fn setup(offline: bool) -> Setup {
    let keep = tempfile::tempdir().unwrap();
    let cache = Utf8PathBuf::try_from(keep.path().to_owned()).unwrap();
    let http = http::Client::new(http::Settings { backoff: Duration::from_millis(1), ..http::Settings::default() });
    let settings = Settings { http, offline, ..Settings::default() };
    let client = Client::new(Store::open(&cache).unwrap(), settings);
    Setup { _keep: keep, cache, client }
}

impl Setup {
    fn fetch(&self, request: &Request) -> Result<Entry, FetchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.client.fetch(request, &Silent))
    }

    fn is_empty(&self) -> bool {
        let bucket = self.cache.join("files-v2");
        ["tmp", "sha256"].iter().all(|part| bucket.join(part).read_dir_utf8().unwrap().count() == 0)
    }
}

#[test]
fn tries_again_after_passing_failures() {
    let setup = setup(false);
    let url = server(vec![
        answer("503 Service Unavailable", "Content-Length: 0\r\n", ""),
        answer("200 OK", "Content-Length: 7\r\n", "con"),
        ok("content"),
    ]);
    let entry = setup.fetch(&request(&url, "content")).unwrap();
    assert_eq!(std::fs::read_to_string(entry.path).unwrap(), "content");
}

#[test]
fn goes_on_where_the_connection_broke() {
    let setup = setup(false);
    let broken = answer("200 OK", "Content-Length: 7\r\n", "con");
    let rest = answer("206 Partial Content", "Content-Length: 4\r\nContent-Range: bytes 3-6/7\r\n", "tent");
    let (url, requests) = recording_server(vec![broken.clone(), rest, broken, ok("another")]);
    setup.fetch(&request(&url, "content")).unwrap();
    // A file without a known digest may have changed.
    let unknown = Request { digest: None, ..request(&url, "another") };
    setup.fetch(&unknown).unwrap();
    let ranges = requests.iter().take(4).map(|request| request.contains("\r\nrange: bytes=3-\r\n"));
    assert_eq!(ranges.collect::<Vec<_>>(), [false, true, false, false]);
}

#[test]
fn starts_again_if_the_server_sends_another_part() {
    let setup = setup(false);
    let broken = answer("200 OK", "Content-Length: 7\r\n", "con");
    for range in ["Content-Range: bytes 0-6/7\r\n", "Content-Range: bytes 4-6/7\r\n", ""] {
        let other = answer("206 Partial Content", &format!("Content-Length: 7\r\n{range}"), "content");
        let (url, requests) = recording_server(vec![broken.clone(), other, ok("content")]);
        assert_eq!(setup.fetch(&request(&url, "content")).unwrap().size, 7);
        std::fs::remove_file(setup.client.store().find(&Sha256::of("content")).unwrap()).unwrap();
        let ranges = requests.iter().take(3).map(|request| request.contains("\r\nrange: bytes=3-\r\n"));
        assert_eq!(ranges.collect::<Vec<_>>(), [false, true, false]);
    }
}

#[test]
fn gives_credentials_to_a_server_that_asks_for_them() {
    let mut setup = setup(false);
    setup.client.credentials = Arc::new(Credentials::new("basic:*:bob:secretpw", ""));
    let wanted = || answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n", "");
    let (url, requests) = recording_server(vec![wanted(), ok("content"), ok("another"), wanted()]);
    setup.fetch(&request(&url, "content")).unwrap();
    setup.fetch(&request(&url, "another")).unwrap();
    let error = setup.fetch(&request(&url, "refused")).unwrap_err();
    assert_eq!(error.to_string(), format!("access to {url} is denied (the server answered 401)"));
    let shown = requests.iter().take(4).map(|request| request.contains("authorization: basic ym9ionnly3jldhb3"));
    assert_eq!(shown.collect::<Vec<_>>(), [false, true, true, true], "it is remembered who asked");
}

#[test]
fn a_redirect_is_followed_with_the_credentials_of_its_target() {
    let local = |url: &Url| url.as_str().replace("127.0.0.1", "localhost").parse::<Url>().unwrap();
    let refused = |status| answer(status, "Content-Length: 0\r\n", "");
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let mut setup = setup(false);
        let netrc = "machine 127.0.0.1 login a password b\nmachine localhost login c password d";
        setup.client.credentials = Arc::new(Credentials::new("", netrc));
        let (target, asked) = recording_server(vec![refused(status), ok("content"), refused(status), refused(status)]);
        let (url, first) = recording_server(vec![found(&local(&target)), found(&local(&target))]);
        setup.fetch(&request(&url, "content")).unwrap();
        let error = setup.fetch(&request(&url, "another")).unwrap_err();
        let is_named = error.to_string().contains("localhost, to which");
        assert_eq!(is_named, !status.starts_with("404"), "{error}");
        let logins = |requests: Receiver<String>, count, login: &str| {
            let requests = requests.iter().take(count).collect::<Vec<_>>();
            let has = |request: &String| (request.contains("authorization"), request.contains(login));
            requests.iter().map(has).collect::<Vec<_>>()
        };
        assert_eq!(logins(first, 2, "basic ytpi"), [(true, true); 2]);
        assert_eq!(logins(asked, 4, "basic yzpk"), [(false, false), (true, true), (false, false), (true, true)]);
    }
}

#[test]
fn what_object_storage_no_longer_has_is_forbidden() {
    let setup = setup(false);
    let url = server(vec![answer("403 Forbidden", "Content-Length: 0\r\n", "")]);
    let error = setup.fetch(&request(&url, "content")).unwrap_err();
    assert!(error.is_gone() && error.status() == Some(403), "{error}");
    let url = server(vec![answer("401 Unauthorized", "Content-Length: 0\r\n", "")]);
    assert!(!setup.fetch(&request(&url, "content")).unwrap_err().is_gone());
}

#[test]
fn gives_up_in_the_end() {
    let setup = setup(false);
    let url = server(vec![answer("500 Internal Server Error", "Content-Length: 0\r\n", ""); 4]);
    let error = setup.fetch(&request(&url, "content")).unwrap_err();
    assert_eq!(error.to_string(), format!("{url}: the server answered 500 after 4 attempts"));
}

#[test]
fn does_not_ask_twice_for_what_is_not_there() {
    let setup = setup(false);
    let url = server(vec![answer("404 Not Found", "Content-Length: 0\r\n", "")]);
    let error = setup.fetch(&request(&url, "content")).unwrap_err();
    assert_eq!(error.to_string(), format!("{url} does not exist (the server answered 404)"));
}

#[test]
fn keeps_nothing_of_another_length_or_content() {
    let setup = setup(false);
    let url = server(vec![ok("other content")]);
    let error = setup.fetch(&request(&url, "content")).unwrap_err();
    assert_eq!(error.to_string(), format!("{url} is 13 bytes long, expected 7"));

    let url = server(vec![answer("200 OK", "", "longer than told")]);
    let error = setup.fetch(&request(&url, "content")).unwrap_err();
    assert!(matches!(error, FetchError::Size { expected: 7, found, .. } if found > 7), "{error}");

    let url = server(vec![ok("c0ntent")]);
    let error = setup.fetch(&request(&url, "content")).unwrap_err();
    assert!(matches!(error, FetchError::Digest { .. }), "{error}");
    assert!(setup.is_empty());
}

#[test]
fn bounds_what_it_knows_nothing_of() {
    let setup = setup(false);
    let url = server(vec![ok("content")]);
    let request = Request { size: Size::AtMost(6), digest: None, ..request(&url, "content") };
    let error = setup.fetch(&request).unwrap_err();
    assert_eq!(error.to_string(), format!("{url} is longer than the allowed 6 bytes"));
}

#[test]
fn does_not_decode_what_the_server_calls_an_encoding() {
    let setup = setup(false);
    let url = server(vec![answer("200 OK", "Content-Length: 7\r\nContent-Encoding: gzip\r\n", "content")]);
    assert_eq!(setup.fetch(&request(&url, "content")).unwrap().size, 7);
}

#[test]
fn needs_no_network_for_what_the_store_has() {
    let setup = setup(true);
    let url: Url = "http://127.0.0.1:1/x86_64/a.apk".parse().unwrap();
    let error = setup.fetch(&request(&url, "content")).unwrap_err();
    assert_eq!(error.to_string(), format!("{url} is not in the store"));
    setup.client.store().insert(&b"content"[..], None, 7).unwrap();
    assert_eq!(setup.fetch(&request(&url, "content")).unwrap().size, 7);
}

#[test]
fn names_a_file_that_is_missing_in_a_directory() {
    let setup = setup(false);
    let path = setup.cache.join("x86_64/a.apk");
    let request =
        Request { location: Location::File(path.clone()), ..request(&"http://127.0.0.1".parse().unwrap(), "content") };
    assert_eq!(setup.fetch(&request).unwrap_err().to_string(), format!("{path} does not exist"));
}

#[test]
fn follows_redirects_but_not_for_ever() {
    let setup = setup(false);
    let target = server(vec![ok("content")]);
    let redirect = |target: &Url| server(vec![found(target)]);
    let url = (0..10).fold(target, |target, _| redirect(&target));
    assert_eq!(setup.fetch(&request(&url, "content")).unwrap().size, 7);

    let url = server(vec![answer("302 Found", "Content-Length: 0\r\nLocation: /x86_64/a.apk\r\n", ""); 11]);
    let other = Request { digest: None, ..request(&url, "content") };
    let error = setup.fetch(&other).unwrap_err();
    assert!(matches!(error, FetchError::Network { attempts: 1, .. }), "{error:?}");
}

/// Counts names, bytes, and bytes that had to be repeated.
#[derive(Default)]
struct Counting(Mutex<(u32, u64, u64)>);

impl Step for Counting {
    fn advance(&self, amount: u64) {
        self.0.lock().unwrap().1 += amount;
    }
    fn retract(&self, amount: u64) {
        self.0.lock().unwrap().2 += amount;
    }
    fn item(&self, _: &str) {
        self.0.lock().unwrap().0 += 1;
    }
}

#[test]
fn what_is_received_again_is_counted_once() {
    let setup = setup(false);
    let broken = answer("200 OK", "Content-Length: 7\r\n", "con");
    let rest = answer("206 Partial Content", "Content-Length: 4\r\nContent-Range: bytes 3-6/7\r\n", "tent");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (second, expected) in [(rest, (1, 7, 0)), (ok("content"), (2, 10, 3))] {
        let (counting, url) = (Counting::default(), server(vec![broken.clone(), second]));
        runtime.block_on(setup.client.open(&request(&url, "content"), &counting)).unwrap();
        assert_eq!(*counting.0.lock().unwrap(), expected);
    }
}

#[test]
fn opens_many_at_once_and_tells_of_it() {
    let setup = setup(false);
    let bodies: Vec<String> = (0..20).map(|n| "x".repeat(n * 1000 + 1)).collect();
    let requests: Vec<_> = bodies.iter().map(|body| request(&server(vec![ok(body)]), body)).collect();
    let counting = Counting::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let opened: Vec<_> = runtime.block_on(setup.client.open_all(&requests, &counting).collect());
    assert_eq!(opened.len(), 20);
    for (position, fetched) in opened {
        let mut found = String::new();
        fetched.unwrap().read_to_string(&mut found).unwrap();
        assert_eq!(found, bodies[position]);
    }
    assert_eq!(*counting.0.lock().unwrap(), (20, bodies.iter().map(|body| body.len() as u64).sum(), 0));
    assert!(setup.is_empty());
}
