use std::sync::Mutex;

use super::authentication::login;
use super::fake::{Asked, Fake, error, status, unknown_upload, url};
use super::{Setup, setup};
use crate::digest::Sha256;
use crate::http::MAX_REDIRECTS;
use crate::registry::{Blob, RegistryError};

/// Pushes one blob and checks that the registry has it.
async fn arrives(setup: &Setup, fake: &Fake, blob: &Blob) {
    let repository = fake.repository("mail/web");
    setup.push(&repository, std::slice::from_ref(blob), None).await.unwrap();
    assert!(fake.has(&repository, blob), "{:?}", fake.log());
}

fn large(setup: &Setup) -> Blob {
    let content: Vec<u8> = (0..9_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    setup.blob(&content)
}

#[tokio::test]
async fn what_is_there_is_not_sent() {
    let (setup, fake) = (setup(), Fake::start().await);
    let blob = setup.blob(b"layer");
    arrives(&setup, &fake, &blob).await;
    arrives(&setup, &fake, &blob).await;
    assert_eq!((fake.count("HEAD"), fake.count("POST"), fake.count("PUT")), (1, 1, 1), "nor asked for twice");
}

#[tokio::test]
async fn every_request_has_a_length() {
    let fake = Fake::start_with(|asked| {
        let lacks = matches!(asked.method, "POST" | "PUT" | "PATCH") && asked.header("content-length").is_none();
        lacks.then(|| status(411))
    });
    let (setup, fake) = (setup(), fake.await);
    arrives(&setup, &fake, &setup.blob(b"layer")).await;
}

#[tokio::test]
async fn a_registry_that_cannot_say_what_it_has_is_sent_it() {
    for code in [400, 401, 403, 405, 500] {
        let fake = Fake::start_with(move |asked| (asked.method == "HEAD").then(|| status(code))).await;
        let setup = setup();
        arrives(&setup, &fake, &setup.blob(b"layer")).await;
    }
}

#[tokio::test]
async fn any_success_is_one() {
    for (begun, ended) in [(200, 200), (201, 202), (202, 204), (204, 201)] {
        let fake = Fake::start_with(move |asked| match asked.method {
            "POST" => Some(status(begun).insert_header("location", "/v2/mail/web/blobs/uploads/here")),
            "PUT" => Some(status(ended)),
            _ => None,
        });
        let (setup, fake) = (setup(), fake.await);
        let blob = setup.blob(b"layer");
        setup.push(&fake.repository("mail/web"), &[blob], None).await.unwrap();
        assert_eq!(fake.count("PUT"), 1);
    }
}

/// Has a registry that asks for a login give this `Location`, in which HOST is its own. Returns the URL of the upload.
async fn uploaded_to(location: &str) -> String {
    let location = location.to_owned();
    let fake = Fake::start_with(move |asked| match asked.method {
        _ if asked.header("authorization").is_none() => {
            Some(status(401).insert_header("www-authenticate", "Basic realm=\"x\""))
        }
        "POST" => {
            let host = asked.header("host").unwrap();
            Some(status(202).insert_header("location", location.replace("HOST", host)))
        }
        "PUT" => Some(status(201)),
        _ => None,
    })
    .await;
    let setup = super::setup_with(&login(&fake, "bob", "secret"));
    setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap();
    let requests = fake.server.received_requests().await.unwrap();
    let put = requests.iter().find(|request| request.method.as_str() == "PUT");
    put.map(|put| put.url[url::Position::BeforePath..].to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn an_upload_goes_where_it_is_sent() {
    let digest = format!("digest=sha256%3A{}", Sha256::of("layer"));
    for (location, expected) in [
        ("/v2/mail/web/blobs/uploads/u", "/v2/mail/web/blobs/uploads/u?"),
        ("u?_state=a%2Bb", "/v2/mail/web/blobs/uploads/u?_state=a%2Bb&"),
        ("http://HOST/other/u?x", "/other/u?x&"),
    ] {
        assert_eq!(uploaded_to(location).await, format!("{expected}{digest}"), "{location}");
    }
}

#[tokio::test]
async fn an_upload_to_another_server_is_not_shown_the_password() {
    let elsewhere =
        Fake::start_with(|asked| Some(status(if asked.header("authorization").is_some() { 400 } else { 201 })));
    let elsewhere = elsewhere.await;
    assert_eq!(uploaded_to(url(&elsewhere, "/storage/x?signature=a%2Bb").as_str()).await, "", "not to the registry");
    assert_eq!(elsewhere.count("PUT"), 1);
}

#[tokio::test]
async fn a_lost_upload_begins_anew() {
    type Fault = fn(&Asked<'_>) -> Option<wiremock::ResponseTemplate>;
    let faults: [Fault; 10] = [
        |asked| (asked.method == "POST" && asked.count == 1).then(|| status(502)),
        |asked| (asked.method == "PUT" && asked.count == 1).then(|| status(502)),
        |asked| (asked.method == "PUT" && asked.count == 1).then(unknown_upload),
        |asked| (asked.method == "PUT" && asked.count == 1).then(|| status(410)),
        |asked| (asked.method == "PUT" && asked.count == 1).then(|| error(400, "BLOB_UPLOAD_INVALID")),
        |asked| (asked.method == "PUT" && asked.count <= 2).then(|| status(503)),
        |asked| (asked.method == "PUT" && asked.count == 1).then(|| status(499)),
        |asked| (asked.method == "PUT" && asked.count == 1).then(|| error(400, "RANGE_INVALID")),
        |asked| (asked.method == "PUT" && asked.count == 1).then(|| error(400, "DIGEST_INVALID")),
        |asked| (asked.method == "PUT" && asked.count == 1).then(|| error(400, "SIZE_INVALID")),
    ];
    for fault in faults {
        let (setup, fake) = (setup(), Fake::start_with(fault).await);
        arrives(&setup, &fake, &setup.blob(b"layer")).await;
        assert_eq!(fake.count("POST"), fake.count("PUT").max(2), "{:?}", fake.log());
    }
}

#[tokio::test]
async fn a_good_answer_that_got_lost_is_not_sent_for_again() {
    let stored = std::sync::Arc::new(Mutex::new(false));
    let flag = std::sync::Arc::clone(&stored);
    let fake = Fake::start_with(move |asked| {
        let mut stored = flag.lock().unwrap();
        if asked.method == "PUT" {
            *stored = true;
            return Some(status(504));
        }
        (asked.method == "HEAD" && *stored).then(|| status(200))
    });
    let (setup, fake) = (setup(), fake.await);
    setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap();
    assert_eq!(fake.count("PUT"), 1);
}

#[tokio::test]
async fn gives_up_on_what_stays_wrong() {
    for (code, attempts) in [(500, 4), (404, 4), (400, 1), (507, 4)] {
        let fake = Fake::start_with(move |asked| (asked.method == "PUT").then(|| status(code))).await;
        let setup = setup();
        let error = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unexpected { status, .. } if status == code), "{error}");
        assert_eq!(fake.count("PUT"), attempts, "{code}");
    }
}

#[tokio::test]
async fn what_arrives_damaged_is_sent_once_more() {
    let fake = Fake::start_with(|asked| (asked.method == "PUT").then(|| error(400, "DIGEST_INVALID"))).await;
    let setup = setup();
    let error = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
    assert!(error.to_string().contains("DIGEST_INVALID") && fake.count("PUT") == 2, "{error}");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told_with_the_registrys_words() {
    let fake = Fake::start_with(|asked| (asked.method == "POST").then(|| error(404, "NAME_UNKNOWN"))).await;
    let setup = setup();
    let error = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
    let place = url(&fake, "/v2/mail/web/blobs/uploads/");
    assert_eq!(error.to_string(), format!("{place} answered 404: NAME_UNKNOWN: so it is"));
    assert_eq!(fake.count("POST"), 1);
}

/// Refuses a body of more than `most` bytes, as a proxy in front of a registry does.
fn no_more_than(most: usize, code: u16) -> impl Fn(&Asked<'_>) -> Option<wiremock::ResponseTemplate> {
    move |asked| (asked.request.body.len() > most).then(|| status(code))
}

#[tokio::test]
async fn what_is_too_large_goes_in_chunks() {
    for (most, code, patches) in [(4 << 20, 413, 3), (4 << 20, 416, 3), (1 << 20, 413, 9 + 2)] {
        let (setup, fake) = (setup(), Fake::start_with(no_more_than(most, code)).await);
        let blob = large(&setup);
        arrives(&setup, &fake, &blob).await;
        assert_eq!(fake.count("PATCH"), patches, "{:?}", fake.log());
        // The registry's limit is known now.
        let puts = fake.count("PUT");
        let other = setup.blob(&vec![1; 9_000_001]);
        arrives(&setup, &fake, &other).await;
        assert_eq!(fake.count("PUT"), puts + 1, "no more tries to send it whole");
    }
}

#[tokio::test]
async fn chunks_are_no_smaller_than_the_registry_wants() {
    let fake = Fake::start_with(|asked| {
        if asked.method == "POST" {
            let session = "/v2/mail/web/blobs/uploads/0";
            // The fake begins an upload of this name, too.
            return (asked.count > 1).then(|| {
                status(202).insert_header("location", session).insert_header("oci-chunk-min-length", "5000000")
            });
        }
        no_more_than(6_000_000, 413)(asked)
    });
    let (setup, fake) = (setup(), fake.await);
    arrives(&setup, &fake, &large(&setup)).await;
    assert_eq!(fake.count("PATCH"), 2, "{:?}", fake.log());
}

#[tokio::test]
async fn chunks_go_on_where_the_registry_says() {
    // The second chunk breaks, and the registry has none of it.
    let fake = Fake::start_with(|asked| {
        if asked.method == "PATCH" && asked.count == 2 {
            return Some(status(502));
        }
        no_more_than(4 << 20, 413)(asked)
    });
    let (setup, fake) = (setup(), fake.await);
    arrives(&setup, &fake, &large(&setup)).await;
    let asked = fake.count("GET /v2/mail/web/");
    assert_eq!((fake.count("PATCH"), asked, fake.count("POST")), (4, 1, 2), "{:?}", fake.log());
}

#[tokio::test]
async fn chunks_that_the_registry_confuses_begin_anew() {
    let fake = Fake::start_with(|asked| match (asked.method, asked.count) {
        ("PATCH", 2) => Some(error(400, "RANGE_INVALID")),
        _ => no_more_than(4 << 20, 413)(asked),
    });
    let (setup, fake) = (setup(), fake.await);
    arrives(&setup, &fake, &large(&setup)).await;
    assert_eq!((fake.count("PATCH"), fake.count("POST")), (5, 3), "{:?}", fake.log());
}

#[tokio::test]
async fn an_upload_in_chunks_that_is_lost_begins_anew() {
    let fake = Fake::start_with(|asked| {
        if asked.method == "PATCH" && asked.count == 2 {
            return Some(unknown_upload());
        }
        no_more_than(4 << 20, 413)(asked)
    });
    let (setup, fake) = (setup(), fake.await);
    arrives(&setup, &fake, &large(&setup)).await;
    assert_eq!((fake.count("PATCH"), fake.count("POST")), (5, 3), "{:?}", fake.log());
}

#[tokio::test]
async fn a_registry_need_not_say_how_much_it_has() {
    for answer in [405, 501, 400, 403, 200] {
        for broken in [413, 416, 502] {
            let fake = Fake::start_with(move |asked| match (asked.method, asked.count) {
                ("GET", _) => Some(status(answer)),
                ("PATCH", 2) => Some(status(broken)),
                _ => no_more_than(4 << 20, 413)(asked),
            });
            let (setup, fake) = (setup(), fake.await);
            arrives(&setup, &fake, &large(&setup)).await;
            let begun = if broken == 416 { 3 } else { 2 };
            assert_eq!(fake.count("POST"), begun, "{answer} {broken}: {:?}", fake.log());
        }
    }
}

#[tokio::test]
async fn chunks_survive_a_registry_that_counts_badly() {
    type Count = fn(usize) -> String;
    let counts: [Count; 3] = [|had| format!("0-{had}"), |had| format!("0-{}", had + 9), |_| "?".to_owned()];
    for count in counts {
        let had = Mutex::new(0);
        let fake = Fake::start_with(move |asked| {
            let mut had = had.lock().unwrap();
            if asked.method == "PATCH" {
                *had += asked.request.body.len();
                let is_next = asked.header("content-range").unwrap().ends_with(&format!("-{}", *had - 1));
                let code = if is_next { 202 } else { 416 };
                return Some(status(code).insert_header("range", count(*had)));
            }
            match (asked.method, asked.request.body.len()) {
                ("PUT", 0) => Some(status(if *had == 9_000_000 { 201 } else { 400 })),
                _ => no_more_than(4 << 20, 413)(asked),
            }
        });
        let (setup, fake) = (setup(), fake.await);
        setup.push(&fake.repository("mail/web"), &[large(&setup)], None).await.unwrap();
        assert_eq!(fake.count("PATCH"), 3, "{:?}", fake.log());
    }
}

#[tokio::test]
async fn an_upload_that_has_nothing_yet_is_known_as_that() {
    for empty in ["0--1", "bytes=0-0", "0-0"] {
        let fake = Fake::start_with(move |asked| match (asked.method, asked.count) {
            ("GET", _) => Some(status(204).insert_header("range", empty)),
            ("PATCH", 1) => Some(status(502)),
            _ => no_more_than(4 << 20, 413)(asked),
        });
        let (setup, fake) = (setup(), fake.await);
        arrives(&setup, &fake, &large(&setup)).await;
        assert_eq!((fake.count("PATCH"), fake.count("POST")), (4, 2), "{empty}: {:?}", fake.log());
    }
}

#[tokio::test]
async fn what_is_sent_follows_redirects() {
    for code in [307, 308] {
        let storage =
            Fake::start_with(|asked| Some(status(if asked.header("authorization").is_some() { 400 } else { 201 })));
        let storage = storage.await;
        let target = url(&storage, "/there").to_string();
        let fake = Fake::start_with(move |asked| match asked.header("authorization") {
            None => Some(status(401).insert_header("www-authenticate", "Basic")),
            Some(_) if asked.method != "PUT" => None,
            Some(_) if asked.is("PUT", "moved") => Some(status(code).insert_header("location", target.as_str())),
            Some(_) => Some(status(code).insert_header("location", "moved")),
        });
        let fake = fake.await;
        let setup = super::setup_with(&login(&fake, "bob", "secret"));
        setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap();
        assert_eq!((fake.count("PUT"), storage.count("PUT")), (2, 1), "{:?}", fake.log());
        let requests = storage.server.received_requests().await.unwrap();
        assert_eq!(requests[0].body, b"layer");
    }
}

#[tokio::test]
async fn redirects_that_lead_nowhere_are_given_up() {
    let fake =
        Fake::start_with(|asked| (asked.method == "PUT").then(|| status(307).insert_header("location", asked.path)));
    let (setup, fake) = (setup(), fake.await);
    let error = setup.push(&fake.repository("mail/web"), &[setup.blob(b"layer")], None).await.unwrap_err();
    assert!(error.to_string().ends_with("answered 307: too many redirects"), "{error}");
    assert_eq!(fake.count("PUT"), MAX_REDIRECTS + 1);
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_given_up() {
    let fake = Fake::start_with(|asked| {
        if asked.method == "PATCH" {
            return Some(status(202).insert_header("range", "0-0"));
        }
        no_more_than(4 << 20, 413)(asked)
    });
    let (setup, fake) = (setup(), fake.await);
    let error = setup.push(&fake.repository("mail/web"), &[large(&setup)], None).await.unwrap_err();
    assert!(error.to_string().contains("it accepts only 1 of 9000000 bytes"), "{error}");
}
