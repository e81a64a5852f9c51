//! `mailimg push`: into a real registry, with and without a login.

use base64::Engine as _;
use mailimg::digest::Sha256;
use mailimg::lock::Lock;

use super::build::{digests, packages, project};
use crate::common::project::Project;
use crate::common::registry::Registry;

fn failed(project: &Project, args: &[&str]) -> (i32, String) {
    let output = project.mailimg(["push"]).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What the registry has under the path, as Docker asks for it.
fn pull(registry: &Registry, path: &str, account: Option<(&str, &str)>) -> Vec<u8> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v2/{path}", registry.port());
    let mut request = client.get(url).header("accept", "application/vnd.oci.image.manifest.v1+json");
    if let Some((user, password)) = account {
        request = request.basic_auth(user, Some(password));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { request.send().await.unwrap().bytes().await.unwrap().to_vec() })
}

#[test]
fn the_registry_has_the_built_image_under_its_digest_and_compose_names_it_so() {
    let registry = Registry::start();
    let project = project(&packages());
    let prefix = registry.name("mail");
    let digest = digests(&project.run(["build", "--json"])).remove(0);
    project.write("mailimg.toml", project.read("mailimg.toml") + &format!("[registry]\nprefix = \"{prefix}\"\n"));

    let pinned = format!("{prefix}/web@{digest}");
    assert_eq!(project.run(["push", "--tag", "latest"]), format!("{pinned}\n"));
    for reference in [digest.as_str(), "latest"] {
        let manifest = pull(&registry, &format!("mail/web/manifests/{reference}"), None);
        assert_eq!(Sha256::of(&manifest).to_oci(), digest, "{reference}");
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let name = layer["digest"].as_str().unwrap();
            assert_eq!(Sha256::of(pull(&registry, &format!("mail/web/blobs/{name}"), None)).to_oci(), name);
        }
    }
    assert_eq!(project.run(["push"]), format!("{pinned}\n"), "again, nothing to send");
    assert!(project.run(["compose", "-o", "-"]).contains(&pinned));
}

#[test]
fn what_was_pushed_is_built_again_without_its_repository() {
    let registry = Registry::start();
    let project = project(&packages());
    let prefix = registry.name("mail");
    project.write("mailimg.toml", project.read("mailimg.toml") + &format!("[registry]\nprefix = \"{prefix}\"\n"));
    let digest = digests(&project.run(["build", "--json"])).remove(0);
    project.run(["push"]);

    // The artifact names the image, and holds all members of its packages.
    let tag = format!("{}.packages", digest.replace(':', "-"));
    let artifact = pull(&registry, &format!("mail/web/manifests/{tag}"), None);
    let artifact: serde_json::Value = serde_json::from_slice(&artifact).unwrap();
    assert_eq!(artifact["subject"]["digest"], digest.as_str());
    let lock: Lock = project.read("apk-locks/made-up/web.x86_64.lock").parse().unwrap();
    let mut expected: Vec<String> = lock
        .packages
        .iter()
        .flat_map(|package| package.signatures.iter().chain([&package.control, &package.data]))
        .map(|member| member.sha256.to_oci())
        .collect();
    let layers = artifact["layers"].as_array().unwrap().iter();
    let mut found: Vec<String> = layers.map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);

    // Two of three packages are nowhere but in the registry.
    let forget = || fs_err::remove_dir_all(project.cache().join("files-v2")).unwrap();
    let repository = project.path().join("repository/x86_64");
    for package in ["libc-1.2.5-r0.apk", "web-1.0-r0.apk"] {
        fs_err::remove_file(repository.join(package)).unwrap();
    }
    forget();
    let output = project.mailimg(["build", "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(digests(&String::from_utf8(output.stdout).unwrap()), [digest]);
    for package in ["libc-1.2.5-r0.apk", "web-1.0-r0.apk"] {
        assert!(said.contains(&format!("{package} comes from {prefix}/web")), "{said}");
    }
    assert!(!said.contains("small-3-r0.apk"), "{said}");

    let refused = |args: &[&str]| {
        forget();
        let output = project.mailimg(["build"]).args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, message) = refused(&["--offline"]);
    assert!(code == 4 && message.contains("2 locked packages are not in ./repository:"), "{code}: {message}");

    // A registry that gives something else.
    let blob = registry.blob(&lock.package("web").unwrap().data.sha256.to_string());
    let original = fs_err::read(&blob).unwrap();
    let mut tampered = original.clone();
    tampered[1000] ^= 1;
    fs_err::write(&blob, tampered).unwrap();
    let (code, message) = refused(&[]);
    assert_eq!(code, 3, "{message}");
    for text in ["pulling web-1.0-r0.apk from", "SHA-256 is ", "nothing of it was kept"] {
        assert!(message.contains(text), "{text:?} is not in:\n{message}");
    }
    fs_err::write(&blob, [&original[..], b"more"].concat()).unwrap();
    let (code, message) = refused(&[]);
    assert!(code == 3 && message.contains("larger than"), "{code}: {message}");

    // One that doesn't have it either, and none.
    fs_err::remove_file(&blob).unwrap();
    let (code, message) = refused(&[]);
    assert_eq!(code, 4, "{message}");
    for text in ["web-1.0-r0.apk does not exist, and ", "/mail/web does not have ", "lock anew with `mailimg lock`"] {
        assert!(message.contains(text), "{text:?} is not in:\n{message}");
    }
    drop(registry);
    let (code, message) = refused(&[]);
    assert!(code == 4 && message.contains("can't be reached"), "{code}: {message}");
}

#[test]
fn a_push_without_the_packages_says_so() {
    let registry = Registry::start();
    let project = project(&packages());
    project.run(["build"]);
    fs_err::remove_dir_all(project.cache().join("files-v2")).unwrap();
    let output = project.mailimg(["push", "--to", &registry.name("mail")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("but not the packages that it was made of"), "{said}");
}

#[test]
fn a_registry_that_knows_us_not_says_how_to_log_in() {
    let registry = Registry::start_for("admin", "correct horse");
    let project = project(&packages());
    project.run(["build"]);
    let prefix = registry.name("mail");

    let (code, message) = failed(&project, &["--to", &prefix]);
    assert_eq!(code, 4, "{message}");
    assert!(message.contains(&format!("docker login 127.0.0.1:{}", registry.port())), "{message}");

    let login = |password: &str| {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("admin:{password}"));
        let config = format!(r#"{{"auths":{{"127.0.0.1:{}":{{"auth":"{auth}"}}}}}}"#, registry.port());
        project.write("docker/config.json", config);
    };
    let push = || {
        let mut command = project.mailimg(["push", "--to", &prefix]);
        command.env("DOCKER_CONFIG", project.path().join("docker")).output().unwrap()
    };
    login("wrong");
    let output = push();
    assert_eq!(output.status.code(), Some(4));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("wrong"), "a password is never shown");
    login("correct horse");
    let output = push();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!pull(&registry, "mail/web/tags/list", Some(("admin", "correct horse"))).is_empty());
}

#[test]
fn says_what_is_missing() {
    let project = project(&packages());
    let (code, message) = failed(&project, &["--to", "127.0.0.1:1/mail"]);
    assert_eq!(code, 4, "{message}");
    assert!(message.contains("mailimg build"), "{message}");
    project.run(["build"]);
    for (args, code, said) in [
        (&[][..], 2, "registry.prefix"),
        (&["--to", "mail"], 2, "host[:port]/path"),
        (&["--to", "r.example.org/mail", "postfix"], 4, "mailimg build postfix"),
    ] {
        let (found, message) = failed(&project, args);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_name_that_no_registry_takes_is_refused_before_anything_is_read() {
    let project = project(&packages());
    for args in [
        ["--to", "r.example.org/mail", "--tag=feature/x"],
        ["--to", "r.example.org/mail", "--tag="],
        ["--to", "r.example.org/../mail", "--tag=latest"],
        ["--to", "r.example.org/mail?x", "--tag=latest"],
        ["--to", "https://r.example.org/mail", "--tag=latest"],
    ] {
        let (code, message) = failed(&project, &args);
        assert_eq!(code, 2, "{args:?}: {message}");
        let named = args[2].trim_start_matches("--tag=");
        let wrong = if named == "latest" { args[1] } else { named };
        assert!(message.contains(wrong), "{args:?}: {message}");
        assert!(!message.contains("mailimg build"), "there is nothing built, and nobody looked: {message}");
    }
}
