use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use url::Url;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::digest::Sha256;
use crate::registry::{Blob, Repository};

/// A registry in memory that does what the specification says, unless a test has it do otherwise.
pub(super) struct Fake {
    pub(super) server: MockServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By repository and digest.
    blobs: HashMap<(String, String), Vec<u8>>,
    manifests: HashMap<String, Vec<u8>>,
    uploads: HashMap<String, Vec<u8>>,
    log: Vec<String>,
    headers: HashMap<String, String>,
}

/// A test's answer to a request; none for the normal answer.
type Hook = Box<dyn Fn(&Asked<'_>) -> Option<ResponseTemplate> + Send + Sync>;

/// A request, with the parts that tests check.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// The number of requests with this method so far, including this one.
    pub(super) count: usize,
}

impl Asked<'_> {
    pub(super) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.request.url.as_str().contains(part)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name)?.to_str().ok()
    }
}

struct Registry {
    state: Arc<Mutex<State>>,
    hook: Hook,
}

pub(super) fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| None).await
    }

    pub(super) async fn start_with(
        hook: impl Fn(&Asked<'_>) -> Option<ResponseTemplate> + Send + Sync + 'static,
    ) -> Self {
        let server = MockServer::start().await;
        let state = Arc::default();
        let registry = Registry { state: Arc::clone(&state), hook: Box::new(hook) };
        Mock::given(wiremock::matchers::any()).respond_with(registry).mount(&server).await;
        Self { server, state }
    }

    pub(super) fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.server.address()).parse().unwrap()
    }

    pub(super) fn has(&self, repository: &Repository, blob: &Blob) -> bool {
        let key = (repository.path().to_owned(), blob.digest.to_oci());
        self.state.lock().unwrap().blobs.get(&key).is_some_and(|bytes| bytes.len() as u64 == blob.size)
    }

    pub(super) fn put(&self, repository: &Repository, content: &[u8]) {
        let key = (repository.path().to_owned(), Sha256::of(content).to_oci());
        self.state.lock().unwrap().blobs.insert(key, content.to_vec());
    }

    pub(super) fn manifest(&self, path: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().manifests.get(path).cloned()
    }

    /// Methods and paths, in the order in which they came.
    pub(super) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(method)).count()
    }

    /// The header of the last request that had it.
    pub(super) fn last_header(&self, name: &str) -> Option<String> {
        self.state.lock().unwrap().headers.get(name).cloned()
    }
}

impl Respond for Registry {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.state.lock().unwrap();
        let (method, path) = (request.method.as_str(), request.url.path());
        state.log.push(format!("{method} {path}"));
        for (name, value) in &request.headers {
            state.headers.insert(name.to_string(), value.to_str().unwrap_or_default().to_owned());
        }
        let count = state.log.iter().filter(|line| line.starts_with(&format!("{method} "))).count();
        let asked = Asked { request, method, path, count };
        (self.hook)(&asked).unwrap_or_else(|| state.answer(request))
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let (method, path) = (request.method.as_str(), request.url.path().to_owned());
        let Some(path) = path.strip_prefix("/v2/") else { return status(404) };
        if let Some((repository, _)) = path.split_once("/blobs/uploads/") {
            return self.upload(method, repository, request);
        }
        if let Some((repository, digest)) = path.split_once("/blobs/") {
            let found = self.blobs.get(&(repository.to_owned(), digest.to_owned()));
            return found.map_or(status(404), |bytes| part_of(bytes, request));
        }
        if method == "PUT" && path.contains("/manifests/") {
            self.manifests.insert(path.to_owned(), request.body.clone());
            return status(201).insert_header("docker-content-digest", Sha256::of(&request.body).to_oci());
        }
        self.manifests.get(path).map_or(status(404), |bytes| {
            let digest = Sha256::of(bytes).to_oci();
            status(200).insert_header("docker-content-digest", digest).set_body_bytes(bytes.as_slice())
        })
    }

    fn upload(&mut self, method: &str, repository: &str, request: &Request) -> ResponseTemplate {
        let path = request.url.path().to_owned();
        let query: HashMap<String, String> = request.url.query_pairs().into_owned().collect();
        if method == "POST" {
            if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from"))
                && let Some(bytes) = self.blobs.get(&(from.clone(), digest.clone())).cloned()
            {
                self.blobs.insert((repository.to_owned(), digest.clone()), bytes);
                return status(201).insert_header("location", format!("/v2/{repository}/blobs/{digest}"));
            }
            let session = format!("/v2/{repository}/blobs/uploads/{}", self.uploads.len());
            self.uploads.insert(session.clone(), Vec::new());
            return status(202).insert_header("location", session);
        }
        let Some(upload) = self.uploads.get_mut(&path) else { return unknown_upload() };
        if method == "PATCH" {
            let range = request.headers.get("content-range").map(|value| value.to_str().unwrap());
            let last = (upload.len() + request.body.len()).saturating_sub(1);
            if range != Some(&format!("{}-{last}", upload.len())) {
                return status(416);
            }
        }
        upload.extend_from_slice(&request.body);
        if method == "PUT" {
            let (Some(bytes), Some(digest)) = (self.uploads.remove(&path), query.get("digest")) else {
                return status(400);
            };
            if Sha256::of(&bytes).to_oci() != *digest {
                return error(400, "DIGEST_INVALID");
            }
            self.blobs.insert((repository.to_owned(), digest.clone()), bytes);
            return status(201);
        }
        let range = format!("0-{}", upload.len().saturating_sub(1));
        status(if method == "GET" { 204 } else { 202 }).insert_header("location", path).insert_header("range", range)
    }
}

pub(super) fn error(code: u16, name: &str) -> ResponseTemplate {
    status(code).set_body_string(format!(r#"{{"errors":[{{"code":"{name}","message":"so it is"}}]}}"#))
}

pub(super) fn unknown_upload() -> ResponseTemplate {
    error(404, "BLOB_UPLOAD_UNKNOWN")
}

/// All of a body, or what a `Range` asks for.
pub(super) fn part_of(bytes: &[u8], request: &Request) -> ResponseTemplate {
    let range = request.headers.get("range").map(|value| value.to_str().unwrap());
    let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match start {
        None => status(200).set_body_bytes(bytes),
        Some(start) if start < bytes.len() => status(206)
            .insert_header("content-range", format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()))
            .set_body_bytes(&bytes[start..]),
        Some(_) => status(416),
    }
}

pub(super) fn url(fake: &Fake, path: &str) -> Url {
    format!("{}{path}", fake.server.uri()).parse().unwrap()
}
