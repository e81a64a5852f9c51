use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use wiremock::ResponseTemplate;

use super::fake::{Asked, Fake, error, status};
use super::{setup, setup_with};
use crate::registry::RegistryError;

/// A `config.json` with a login at the fake.
pub(super) fn login(fake: &Fake, user: &str, password: &str) -> String {
    entry(fake, &format!(r#"{{"auth":"{}"}}"#, encode(&format!("{user}:{password}"))))
}

fn entry(fake: &Fake, entry: &str) -> String {
    format!(r#"{{"auths":{{"{}":{entry}}}}}"#, fake.server.address())
}

fn encode(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A registry that gives tokens by `token` and takes those that `is_good` knows.
async fn with_tokens(
    token: impl Fn(&Asked<'_>) -> ResponseTemplate + Send + Sync + 'static,
    is_good: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Fake {
    Fake::start_with(move |asked| {
        if asked.path == "/token" {
            return Some(token(asked));
        }
        let shown = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if shown.is_some_and(&is_good) {
            return None;
        }
        let host = asked.header("host").unwrap();
        let name = asked.path.trim_start_matches("/v2/").split("/blobs/").next().unwrap_or_default();
        let scope = format!("repository:{name}:pull");
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="here",scope="{scope}""#);
        Some(status(401).insert_header("www-authenticate", challenge.as_str()))
    })
    .await
}

fn token(name: &str) -> ResponseTemplate {
    status(200).set_body_string(format!(r#"{{"token":"{name}"}}"#))
}

fn count(fake: &Fake, line: &str) -> usize {
    fake.log().iter().filter(|logged| *logged == line).count()
}

#[tokio::test]
async fn anybody_may_get_a_token() {
    let fake = with_tokens(|_| token("anonymous"), |shown| shown == "anonymous").await;
    let setup = setup();
    let blobs = [b"one", b"two", b"six"].map(|content| setup.blob(content));
    setup.push(&fake.repository("mail/web"), &blobs, Some(b"{}")).await.unwrap();
    assert_eq!(count(&fake, "GET /token"), 1, "one for all, though several asked at once: {:?}", fake.log());
}

#[tokio::test]
async fn a_token_is_for_all_that_is_to_be_done() {
    let fake = with_tokens(
        |asked| {
            let pairs = asked.request.url.query_pairs();
            let scopes = pairs.filter(|(name, _)| name == "scope").map(|(_, scope)| scope.into_owned());
            token(&scopes.collect::<Vec<_>>().join(" "))
        },
        |shown| shown.contains("repository:mail/web:pull,push") || shown.contains("repository:mail/other:pull,push"),
    )
    .await;
    let setup = setup();
    let blob = setup.blob(b"shared");
    setup.push(&fake.repository("mail/web"), std::slice::from_ref(&blob), None).await.unwrap();
    let other = fake.repository("mail/other");
    setup.push(&other, std::slice::from_ref(&blob), None).await.unwrap();
    assert!(fake.has(&other, &blob));
    let shown = fake.last_header("authorization").unwrap();
    assert!(shown.contains("repository:mail/web:pull"), "{shown}");
    assert_eq!(fake.count("PUT"), 1, "linked: {:?}", fake.log());
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    let given = Arc::new(AtomicUsize::new(0));
    let last = Arc::clone(&given);
    let fake = with_tokens(
        move |_| token(&format!("t{}", given.fetch_add(1, Ordering::SeqCst) + 1)),
        // Each is good for five requests.
        {
            let uses = AtomicUsize::new(0);
            move |shown| {
                let current = last.load(Ordering::SeqCst);
                shown == format!("t{current}") && uses.fetch_add(1, Ordering::SeqCst) < current * 5
            }
        },
    )
    .await;
    let setup = setup();
    for n in 0..5 {
        setup.push(&fake.repository("mail/web"), &[setup.blob(format!("{n}").as_bytes())], Some(b"{}")).await.unwrap();
    }
    let asked_twice = fake.log().windows(3).filter(|lines| lines[1] == "GET /token" && lines[0] == lines[2]).count();
    assert_eq!((count(&fake, "GET /token"), asked_twice), (5, 5), "{:?}", fake.log());
}

#[tokio::test]
async fn a_password_goes_to_the_token_service_alone() {
    let expected = format!("Basic {}", encode("bob:secret"));
    let fake = with_tokens(
        move |asked| {
            if asked.header("authorization") == Some(&expected) { token("bobs") } else { error(401, "UNAUTHORIZED") }
        },
        |shown| shown == "bobs",
    )
    .await;
    let known = setup_with(&login(&fake, "bob", "secret"));
    known.push(&fake.repository("mail/web"), &[known.blob(b"layer")], None).await.unwrap();

    let wrong = setup_with(&login(&fake, "bob", "wrong"));
    let refused = wrong.push(&fake.repository("mail/web"), &[wrong.blob(b"layer")], None).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Denied { logged_in: true, status: 401, .. }), "{refused}");
    assert!(
        refused.to_string().contains("UNAUTHORIZED: so it is") && !refused.to_string().contains("wrong"),
        "{refused}"
    );

    let nobody = setup();
    let refused = nobody.push(&fake.repository("mail/web"), &[nobody.blob(b"layer")], None).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Denied { logged_in: false, .. }), "{refused}");
}

#[tokio::test]
async fn token_services_that_want_a_form_get_one() {
    for (config, expected) in [
        (format!(r#"{{"auth":"{}"}}"#, encode("bob:secret")), "grant_type=password&username=bob&password=secret"),
        (r#"{"identitytoken":"long"}"#.to_owned(), "grant_type=refresh_token&refresh_token=long"),
        ("{}".to_owned(), "client_id=mailimg"),
    ] {
        let fake = with_tokens(
            move |asked| {
                let form = String::from_utf8(asked.request.body.clone()).unwrap();
                let is_right = asked.method == "POST"
                    && form.ends_with(expected)
                    && form.contains("service=here&scope=repository%3Amail%2Fweb%3Apull%2Cpush&client_id=mailimg");
                if is_right { status(200).set_body_string(r#"{"access_token":"t"}"#) } else { status(405) }
            },
            |shown| shown == "t",
        )
        .await;
        let setup = setup_with(&entry(&fake, &config));
        setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap();
    }
}

#[tokio::test]
async fn a_busy_token_service_is_waited_for() {
    let fake = with_tokens(
        |asked| match asked.count {
            1 => status(429).insert_header("retry-after", "1"),
            _ => token("t"),
        },
        |shown| shown == "t",
    )
    .await;
    let (setup, began) = (setup(), std::time::Instant::now());
    setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap();
    assert!(began.elapsed().as_secs() >= 1);
}

#[tokio::test]
async fn a_token_of_the_registry_itself_is_used_as_it_is() {
    let fake = with_tokens(|_| status(500), |shown| shown == "given").await;
    let setup = setup_with(&entry(&fake, r#"{"registrytoken":"given"}"#));
    setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap();
}

#[tokio::test]
async fn a_token_service_that_makes_no_sense_is_an_error() {
    for answer in ["<html>", "{}", r#"{"token":"a\nb"}"#] {
        let fake = with_tokens(move |_| status(200).set_body_string(answer), |_| false).await;
        let setup = setup();
        let refused = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
        assert!(matches!(refused, RegistryError::Challenge { .. }), "{refused}");
    }
}

#[tokio::test]
async fn secrets_in_the_addresses_that_a_registry_gives_are_not_shown() {
    for realm in ["http://bob:secret@127.0.0.1:1/token?k=secret", "http://bob:secret@a.example/?secret"] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let fake =
            Fake::start_with(move |_| Some(status(401).insert_header("www-authenticate", challenge.as_str()))).await;
        let setup = setup();
        let error = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
        let shown = format!("{error} {:?}", error.source().map(ToString::to_string));
        assert!(!shown.contains("secret") && !shown.contains("bob"), "{shown}");
    }
    let location = "http://bob:secret@127.0.0.1:1/upload?k=secret";
    let fake = Fake::start_with(move |asked| {
        (asked.method == "POST").then(|| status(202).insert_header("location", location))
    });
    let (setup, fake) = (setup(), fake.await);
    let error = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
    assert_eq!(error.to_string(), "can't reach http://127.0.0.1:1/upload");
}

#[tokio::test]
async fn a_login_that_may_not_push_is_told_so() {
    let fake = Fake::start_with(|asked| match asked.header("authorization") {
        None => Some(status(401).insert_header("www-authenticate", "Basic")),
        Some(_) => (asked.method == "POST").then(|| error(403, "DENIED")),
    });
    let fake = fake.await;
    let setup = setup_with(&login(&fake, "bob", "secret"));
    let refused = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
    let (host, expected) = (fake.server.address(), "with the credentials given (403): DENIED: so it is");
    assert_eq!(refused.to_string(), format!("the registry denies access to {host}/mail/web {expected}"));
    assert_eq!(fake.count("POST"), 1);
}

#[tokio::test]
async fn a_registry_that_says_only_at_its_root_how_to_log_in_is_asked_there() {
    let expected = format!("Basic {}", encode("bob:secret"));
    for (code, only_to) in [(401, ""), (403, ""), (404, ""), (403, "POST"), (404, "PUT")] {
        let expected = expected.clone();
        let fake = Fake::start_with(move |asked| match asked.header("authorization") {
            Some(shown) if shown == expected => None,
            _ if asked.path == "/v2/" => Some(status(401).insert_header("www-authenticate", "Basic")),
            _ => asked.method.contains(only_to).then(|| error(code, "DENIED")),
        });
        let fake = fake.await;
        let known = setup_with(&login(&fake, "bob", "secret"));
        let blobs = [b"one", b"two", b"six"].map(|content| known.blob(content));
        known.push(&fake.repository("mail/web"), &blobs, Some(b"{}")).await.unwrap();
        assert_eq!(count(&fake, "GET /v2/"), 1, "{code}: {:?}", fake.log());

        let nobody = setup();
        let refused = nobody.push(&fake.repository("mail/other"), &blobs, Some(b"{}")).await.unwrap_err();
        let is_denied = matches!(refused, RegistryError::Denied { logged_in: false, .. });
        assert!(is_denied || code == 404, "{refused}");
    }
}

#[tokio::test]
async fn a_login_that_was_not_used_is_not_blamed() {
    let fake = Fake::start_with(|asked| (asked.method == "POST").then(|| error(403, "DENIED"))).await;
    let setup = setup_with(&login(&fake, "bob", "secret"));
    let refused = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
    assert!(refused.to_string().contains("without credentials (403)"), "{refused}");
}
