//! What is not trusted, not what the index means, or not there.

use super::*;

#[test]
fn refuses_an_unsigned_index() {
    let site = Site::new();
    site.repository.publish(&packages(), Some(key()), None);
    site.refused(&[], 3, &["the index http://", "APKINDEX.tar.gz was rejected", "it is not signed"]);
}

#[test]
fn refuses_a_tampered_index() {
    let site = Site::new();
    // In the index itself, not in the gzip trailer: nothing in it is read before the signature is checked.
    site.repository.tamper("APKINDEX.tar.gz", 40);
    site.refused(&[], 3, &["APKINDEX.tar.gz was rejected", "the content was changed after it was signed"]);
}

#[test]
fn refuses_an_unknown_key() {
    let site = Site::new();
    site.repository.publish(&packages(), Some(other_key()), Some(other_key()));
    // Even if its file is next to the others: the channel doesn't list it.
    write_key(&site.keys(), other_key());
    site.refused(&[], 3, &["APKINDEX.tar.gz was rejected", "other@mailimg-2.rsa.pub", "channel.toml"]);
}

#[test]
fn refuses_a_key_file_that_is_another() {
    let site = Site::new();
    fs_err::write(site.keys().join(key().name()), other_key().public_pem().unwrap()).unwrap();
    site.refused(&[], 3, &["can't use the key", "test@mailimg-1.rsa.pub", "expected SHA-256"]);
}

#[test]
fn needs_a_key() {
    let site = Site::new();
    fs_err::remove_file(site.keys().join(key().name())).unwrap();
    site.refused(&[], 4, &["no trusted key for channel \"made-up\" in ", "--keys-dir"]);
}

#[test]
fn fetches_keys_from_where_the_channel_says() {
    let site = Site::new();
    let text = channel(&site.server.url());
    let keys = format!("keys-url = \"{}/keys\"\n{text}", site.server.url());
    site.project.write("apk-locks/made-up/channel.toml", keys);
    write_key(&site.repository.path().join("keys"), key());
    site.project.run(["lock"]);
    assert!(
        site.server.requests().contains(&"/keys/test@mailimg-1.rsa.pub".to_owned()),
        "{:?}",
        site.server.requests()
    );
    assert_eq!(site.read().keys.len(), 1);
}

#[test]
fn without_network_says_what_else_there_is() {
    let site = Site::new();
    let text = channel("http://127.0.0.1:9");
    site.project.write("apk-locks/made-up/channel.toml", format!("keys-url = \"http://127.0.0.1:9/keys\"\n{text}"));
    let output = site.project.mailimg(["lock"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{error}");
    for text in
        ["can't fetch the keys of channel \"made-up\"", "127.0.0.1:9/keys", "--keys-dir", "--repository", "HTTPS_PROXY"]
    {
        assert!(error.contains(text), "{text:?} is not in:\n{error}");
    }
    assert!(!site.lock_path().exists());
    site.refused(&[], 4, &["127.0.0.1:9/x86_64/APKINDEX.tar.gz", "HTTPS_PROXY", "--repository"]);
}

#[test]
fn refuses_an_unsigned_package() {
    let site = Site::new();
    site.repository.publish(&packages(), None, Some(key()));
    site.refused(&[], 3, &[".apk was rejected", "it is not signed"]);
}

#[test]
fn refuses_a_tampered_package() {
    for from_end in [12, 100, 600] {
        let site = Site::new();
        site.repository.tamper("web-1.0-r0.apk", from_end);
        site.refused(&[], 3, &["web-1.0-r0.apk was rejected"]);
    }
}

#[test]
fn names_all_packages_that_the_index_lists_and_the_repository_lacks() {
    let site = Site::new();
    for name in ["libc-1.2.5-r0.apk", "web-1.0-r0.apk"] {
        fs_err::remove_file(site.repository.file(name)).unwrap();
    }
    let text = "the repository doesn't have 2 packages of its index:";
    site.refused(&[], 4, &[text, "libc-1.2.5-r0.apk", "web-1.0-r0.apk", "try again later"]);
}

#[test]
fn refuses_a_package_that_the_index_does_not_mean() {
    // Both are signed by the right key. The index was made for one, but the other has taken its place.
    let site = Site::new();
    let other = MadeRepository::new(
        site.project.root().join("other"),
        &[Made::new("web", "1.0-r0").depends("so:libc.so.1").file("usr/bin/web", "evil")],
    );
    fs_err::copy(other.file("web-1.0-r0.apk"), site.repository.file("web-1.0-r0.apk")).unwrap();
    site.refused(&[], 3, &["web-1.0-r0.apk is ", "bytes long, expected"]);
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_shown() {
    let site = Site::new();
    let (code, out, error) = site.lock(&["--repository", "main=http://bob:secret@127.0.0.1:1/"]);
    assert_eq!(code, 2, "{error}");
    for text in ["http://**********@127.0.0.1:1/ contains a user name or a password", ".netrc", "HTTP_AUTH"] {
        assert!(error.contains(text), "{text:?} is not in:\n{error}");
    }
    assert!(!format!("{out}{error}").contains("secret"), "{error}");
}

#[test]
fn says_which_package_is_not_there() {
    let site = Site::new();
    fs_err::remove_file(site.repository.file("tool-3.0-r0.apk")).unwrap();
    let url = format!("{}/x86_64/tool-3.0-r0.apk does not exist (the server answered 404)", site.server.url());
    site.refused(&[], 4, &[&url, "hint:"]);
}

#[test]
fn says_what_can_not_be_installed() {
    let libc = Made::new("libc", "1.2.5-r0").provides("so:libc.so.1=1.2.5");
    let site = Site::with(&[Made::new("web", "1.0-r0").depends("so:libc.so.2"), libc]);
    let explanation = [
        "web: the requested packages can't be installed together",
        "so:libc.so.2, which is needed by web-1.0-r0, which is asked for",
        "no package provides so:libc.so.2; libc-1.2.5-r0 provides so:libc.so.1",
    ];
    site.refused(&[], 5, &explanation);
}
