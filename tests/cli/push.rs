//! `mailimg push`: into a real registry, with and without a login.

use base64::Engine as _;
use mailimg::digest::Sha256;

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
