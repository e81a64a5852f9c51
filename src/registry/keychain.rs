//! Credentials for registries, as stored by `docker login` and `podman login`.
//!
//! Source of the files: docker's documentation of `config.json`, and containers-auth.json(5).

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::Mutex;

use super::Repository;
use super::helper::{self, HelperError};

/// The credentials for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// A user and a password, in whatever encoding the registry expects.
    Login { user: String, password: Vec<u8> },
    /// What the token service accepts instead of a password.
    IdentityToken(String),
    /// What the registry itself accepts.
    RegistryToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login { .. } => "Login",
            Self::IdentityToken(_) => "IdentityToken",
            Self::RegistryToken(_) => "RegistryToken",
        })
    }
}

/// The name of Docker Hub in `docker login`'s configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Credentials from files, and cached ones.
#[derive(Debug)]
pub(super) struct Keychain {
    files: Vec<PathBuf>,
    found: Mutex<HashMap<String, Option<Credential>>>,
    /// What credential helpers answered, by helper and registry.
    answers: Mutex<HashMap<(String, String), Option<Credential>>>,
}

/// The file that a login writes.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: Option<BTreeMap<String, Lenient<Entry>>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, Lenient<String>>>,
}

/// An entry of any form: one for another registry doesn't matter.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Known(T),
    Odd(IgnoredAny),
}

impl<T> Lenient<T> {
    fn known(&self, key: &str) -> Option<&T> {
        match self {
            Self::Known(entry) => Some(entry),
            Self::Odd(_) => {
                tracing::warn!("ignoring the credentials for {key}: an entry of an unknown form");
                None
            }
        }
    }
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Default for Keychain {
    /// The credentials of the user who runs the program.
    fn default() -> Self {
        Self::new(files())
    }
}

impl Keychain {
    /// The first file that has credentials for a repository counts.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self { files, found: Mutex::default(), answers: Mutex::default() }
    }

    /// The credentials for a repository.
    pub(super) async fn find(&self, repository: &Repository) -> Option<Credential> {
        let name = repository.to_string();
        let mut found = self.found.lock().await;
        if let Some(known) = found.get(&name) {
            return known.clone();
        }
        let credential = self.look_up(repository).await;
        found.insert(name, credential.clone());
        credential
    }

    async fn look_up(&self, repository: &Repository) -> Option<Credential> {
        for path in &self.files {
            let Some(file) = read(path) else { continue };
            let asked = match file.helper(repository) {
                Some(helper) => self.ask(helper, repository).await,
                None => None,
            };
            let found = asked.or_else(|| file.find(repository));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Asks a helper, once per registry. A failure causes only a warning, because the registry may not need
    /// credentials.
    async fn ask(&self, helper: &str, repository: &Repository) -> Option<Credential> {
        let server = if repository.is_on_docker_hub() { DOCKER_HUB } else { repository.host() };
        let mut answers = self.answers.lock().await;
        let key = (helper.to_owned(), server.to_owned());
        if let Some(known) = answers.get(&key) {
            return known.clone();
        }
        let answer = helper::ask(helper, server).await.unwrap_or_else(|error: HelperError| {
            tracing::warn!("no credentials for {server}: {error}");
            None
        });
        answers.insert(key, answer.clone());
        answer
    }
}

/// The files with logins, the most specific first: the one in the environment, docker's, podman's for this session,
/// podman's.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME");
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    [
        variable("REGISTRY_AUTH_FILE"),
        variable("DOCKER_CONFIG").or_else(|| below_home(".docker")).map(|folder| folder.join("config.json")),
        variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
        variable("XDG_CONFIG_HOME").or_else(|| below_home(".config")).map(|folder| folder.join("containers/auth.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// An unreadable file causes only a warning: it may not matter.
fn read(path: &std::path::Path) -> Option<File> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => return None,
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("ignoring the credentials in {}: {error}", path.display());
            return None;
        }
    };
    serde_json::from_slice(without_bom(&bytes))
        .map_err(|error| tracing::warn!("ignoring the credentials in {}: {error}", path.display()))
        .ok()
}

/// Some editors, and Windows' programs, mark UTF-8.
pub(super) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

impl File {
    /// The helper for the repository's registry.
    fn helper(&self, repository: &Repository) -> Option<&str> {
        let own = self.cred_helpers.iter().flatten().find(|(key, _)| normal(key) == registry_of(repository));
        own.and_then(|(key, helper)| helper.known(key))
            .map(String::as_str)
            .or(self.creds_store.as_deref())
            .filter(|helper| !helper.is_empty())
    }

    /// The entry of the repository, of a namespace above it, or of its registry.
    fn find(&self, repository: &Repository) -> Option<Credential> {
        let mut name = format!("{}/{}", registry_of(repository), repository.path());
        loop {
            let mut entries = self.auths.iter().flatten().filter(|(key, _)| normal(key) == name);
            if let Some(credential) = entries.find_map(|(key, entry)| entry.known(key)?.credential(key)) {
                return Some(credential);
            }
            let above = name.rfind('/')?;
            name.truncate(above);
        }
    }
}

/// The host, normalised for comparison.
fn registry_of(repository: &Repository) -> String {
    normal(repository.host())
}

/// `https://HOST/v1/` is HOST, and Docker Hub has one name.
fn normal(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = match bare {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key.trim_end_matches('/'),
    };
    let (host, path) = key.split_once('/').map_or((key, None), |(host, path)| (host, Some(path)));
    let host = match host.to_ascii_lowercase() {
        host if super::repository::is_docker_hub(&host) => "docker.io".to_owned(),
        host => host,
    };
    match path {
        Some("v1" | "v2") | None => host,
        Some(path) => format!("{host}/{path}"),
    }
}

impl Entry {
    fn credential(&self, key: &str) -> Option<Credential> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Some(Credential::IdentityToken(token));
        }
        if let Some(token) = filled(&self.registrytoken) {
            return Some(Credential::RegistryToken(token));
        }
        if let Some(auth) = filled(&self.auth) {
            let login = decode(&auth);
            if login.is_none() {
                tracing::warn!("ignoring the credentials for {key}: not USER:PASSWORD in base64");
            }
            return login;
        }
        Some(Credential::Login { user: filled(&self.username)?, password: filled(&self.password)?.into_bytes() })
    }
}

fn decode(auth: &str) -> Option<Credential> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(auth.trim()).ok()?;
    let (user, password) = bytes.split_at_checked(bytes.iter().position(|byte| *byte == b':')?)?;
    let user = str::from_utf8(user).ok()?.to_owned();
    let mut password = password.strip_prefix(b":")?.to_owned();
    while password.pop_if(|byte| *byte == 0).is_some() {}
    (!user.is_empty()).then_some(Credential::Login { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Credential {
        Credential::Login { user: user.to_owned(), password: password.as_bytes().to_vec() }
    }

    fn find(json: &str, repository: &str) -> Option<Credential> {
        serde_json::from_str::<File>(json).unwrap().find(&repository.parse().unwrap())
    }

    fn auth(text: impl AsRef<[u8]>) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn reads_every_form_of_an_entry() {
        let repository = "r.example.org/mail/web";
        for (entry, expected) in [
            (format!(r#"{{"auth":"{}"}}"#, auth("bob:a:b")), Some(login("bob", "a:b"))),
            (format!(r#"{{"auth":"{}"}}"#, auth("bob:pw").trim_end_matches('=')), Some(login("bob", "pw"))),
            (r#"{"username":"bob","password":"pw"}"#.to_owned(), Some(login("bob", "pw"))),
            (
                format!(r#"{{"auth":"{}","identitytoken":"t"}}"#, auth("bob:")),
                Some(Credential::IdentityToken("t".to_owned())),
            ),
            (r#"{"registrytoken":"t"}"#.to_owned(), Some(Credential::RegistryToken("t".to_owned()))),
            ("{}".to_owned(), None),
            ("null".to_owned(), None),
            (r#"{"auth":"!"}"#.to_owned(), None),
            (format!(r#"{{"auth":"{}"}}"#, auth("nobody")), None),
        ] {
            assert_eq!(find(&format!(r#"{{"auths":{{"r.example.org":{entry}}}}}"#), repository), expected, "{entry}");
        }
    }

    #[test]
    fn a_password_is_bytes() {
        let json = format!(r#"{{"auths":{{"r.example.org":{{"auth":"{}"}}}}}}"#, auth(b"bob:p\xe4\0"));
        let expected = Credential::Login { user: "bob".to_owned(), password: b"p\xe4".to_vec() };
        assert_eq!(find(&json, "r.example.org/web"), Some(expected));
    }

    #[test]
    fn an_odd_entry_for_another_registry_does_not_matter() {
        for odd in [r#"{"auth":5}"#, "null", "[1]", r#""x""#] {
            let json = format!(
                r#"{{"auths":{{"a.example":{odd},"r.example.org":{{"auth":"{}"}}}},"credHelpers":{{"a.example":{odd}}}}}"#,
                auth("bob:pw")
            );
            assert_eq!(find(&json, "r.example.org/web"), Some(login("bob", "pw")), "{odd}");
            assert_eq!(find(&json, "a.example/web"), None, "{odd}");
        }
    }

    #[test]
    fn knows_a_registry_by_all_its_names() {
        let entry = |key: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"{}"}}}}}}"#, auth("bob:pw"));
        for key in ["r.example.org:5000", "https://r.example.org:5000", "http://R.example.org:5000/v2/"] {
            assert_eq!(find(&entry(key), "r.example.org:5000/mail/web"), Some(login("bob", "pw")), "{key}");
            assert_eq!(find(&entry(key), "r.example.org/mail/web"), None, "another port");
        }
        for key in [DOCKER_HUB, "docker.io", "index.docker.io", "registry-1.docker.io"] {
            for name in ["docker.io/somebody/web", "index.docker.io/web"] {
                assert_eq!(find(&entry(key), name), Some(login("bob", "pw")), "{key}");
            }
        }
    }

    #[test]
    fn the_most_particular_namespace_counts() {
        let entry = |key: &str| format!(r#""{key}":{{"auth":"{}"}}"#, auth(format!("{key}:pw")));
        let keys = ["r.example.org", "r.example.org/mail", "r.example.org/mail/web", "docker.io/somebody"].map(entry);
        let json = format!(r#"{{"auths":{{{}}}}}"#, keys.join(","));
        for (name, user) in [
            ("r.example.org/mail/web", "r.example.org/mail/web"),
            ("r.example.org/mail/web2", "r.example.org/mail"),
            ("r.example.org/mailing/web", "r.example.org"),
            ("docker.io/somebody/web", "docker.io/somebody"),
        ] {
            assert_eq!(find(&json, name), Some(login(user, "pw")));
        }
        assert_eq!(find(&json, "docker.io/other/web"), None);
    }

    #[test]
    fn a_registrys_own_helper_comes_before_the_store() {
        let helper = |json: &str, name: &str| {
            let file = serde_json::from_str::<File>(json).unwrap();
            file.helper(&name.parse().unwrap()).map(str::to_owned)
        };
        let json =
            r#"{"credsStore":"desktop","credHelpers":{"gcr.example":"gcr","https://index.docker.io/v1/":"hub"}}"#;
        assert_eq!(helper(json, "gcr.example/a/b").as_deref(), Some("gcr"));
        assert_eq!(helper(json, "docker.io/b").as_deref(), Some("hub"));
        assert_eq!(helper(json, "r.example.org/b").as_deref(), Some("desktop"));
        assert_eq!(helper(r#"{"credsStore":""}"#, "r.example.org/b"), None);
        assert_eq!(helper(r#"{"auths":null}"#, "r.example.org/b"), None);
    }

    #[tokio::test]
    async fn the_first_file_with_an_entry_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let entry = |user: &str| format!(r#"{{"auths":{{"r.example.org":{{"auth":"{}"}}}}}}"#, auth(user));
        let paths = vec![
            folder.path().join("missing"),
            write("empty", ""),
            write("malformed", "{"),
            write("other", r#"{"auths":{"other.example.org":{}},"HttpHeaders":{"User-Agent":"x"}}"#),
            write("first", &format!("\u{feff}{}", entry("first:pw"))),
            write("second", &entry("second:pw")),
        ];
        let found = Keychain::new(paths).find(&"r.example.org/web".parse().unwrap()).await;
        assert_eq!(found, Some(login("first", "pw")));
    }
}
