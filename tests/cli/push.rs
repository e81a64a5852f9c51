//! `mailimg push`: into a real registry, with and without a login.

use base64::Engine as _;
use mailimg::digest::Sha256;
use mailimg::lock::Lock;
use serde_json::json;

use super::build::{digests, packages, project};
use crate::common::faulty::{Fault, Faulty};
use crate::common::foreign;
use crate::common::project::Project;
use crate::common::registry::Registry;

fn failed(project: &Project, args: &[&str]) -> (i32, String) {
    let output = project.mailimg(["push"]).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The registry's content at the path, requested as Docker does.
pub(super) fn pull(registry: &Registry, path: &str, account: Option<(&str, &str)>) -> Vec<u8> {
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

    // The artifact refers to the image, and contains all members of its packages.
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

    // Two of three packages are only in the registry.
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
        assert!(said.contains(&format!("fetching {package} from {prefix}/web")), "{said}");
    }
    assert!(!said.contains("small-3-r0.apk"), "{said}");

    let refused = |args: &[&str]| {
        forget();
        let output = project.mailimg(["build"]).args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, message) = refused(&["--offline"]);
    assert!(code == 4 && message.contains("2 locked packages are not in ./repository:"), "{code}: {message}");

    // A registry that returns different content.
    let blob = registry.blob(&lock.package("web").unwrap().data.sha256.to_string());
    let original = fs_err::read(&blob).unwrap();
    let mut tampered = original.clone();
    tampered[1000] ^= 1;
    fs_err::write(&blob, tampered).unwrap();
    let (code, message) = refused(&[]);
    assert_eq!(code, 3, "{message}");
    for text in ["pulling web-1.0-r0.apk from", "SHA-256 is ", "nothing was kept"] {
        assert!(message.contains(text), "{text:?} is not in:\n{message}");
    }
    fs_err::write(&blob, [&original[..], b"more"].concat()).unwrap();
    let (code, message) = refused(&[]);
    assert!(code == 3 && message.contains("larger than"), "{code}: {message}");

    // A registry that doesn't have it either, and no registry.
    fs_err::remove_file(&blob).unwrap();
    let (code, message) = refused(&[]);
    assert_eq!(code, 4, "{message}");
    for text in
        ["web-1.0-r0.apk does not exist, and ", "/mail/web does not have ", "update the locks with `mailimg lock`"]
    {
        assert!(message.contains(text), "{text:?} is not in:\n{message}");
    }
    drop(registry);
    let (code, message) = refused(&[]);
    assert!(code == 4 && message.contains("can't reach "), "{code}: {message}");
}

#[test]
fn a_push_without_the_packages_says_so() {
    let registry = Registry::start();
    let project = project(&packages());
    project.run(["build"]);
    fs_err::remove_dir_all(project.cache().join("files-v2")).unwrap();
    let output = project.mailimg(["push", "--to", &registry.name("mail")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("the packages of web were not pushed"), "{said}");
}

#[test]
fn json_has_what_was_pushed_under_which_names() {
    let registry = Registry::start();
    let project = project_with_two_images();
    let prefix = registry.name("mail");
    let built = digests(&project.run(["build", "--json"]));
    let push = |args: &[&str]| {
        let output = project.mailimg(["push", "--json", "--to", &prefix]).args(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("compose.yaml doesn't use these images: for that, set registry.prefix"), "{said}");
        assert_eq!(said.lines().count(), 1, "there is no terminal to show progress on: {said}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let object = |image: &str, digest: &str, tags: &[&str], packages: bool| {
        let tags = [&[&digest["sha256:".len()..][..16]], tags].concat();
        let reference = format!("{prefix}/{image}@{digest}");
        json!({
            "image": image, "reference": reference, "digest": digest, "tags": tags, "packages_pushed": packages
        })
    };
    let mut images: Vec<_> = ["web", "site"].into_iter().zip(&built).collect();
    images.sort();
    let expected: Vec<_> =
        images.iter().map(|(image, digest)| object(image, digest, &["latest", "v1"], true)).collect();
    assert_eq!(push(&["--tag", "latest", "--tag", "v1"]), json!(expected));
    let (image, digest) = images[1];
    assert_eq!(push(&["--no-packages", image]), json!([object(image, digest, &[], false)]));
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
        // A query can hold a password, so it isn't shown.
        let wrong = if named == "latest" { args[1].replace("?x", "?*") } else { named.to_owned() };
        assert!(message.contains(&wrong), "{args:?}: {message}");
        assert!(!message.contains("mailimg build"), "there is nothing built, and nobody looked: {message}");
    }
}

/// Pushes with these variables, and returns the messages.
fn push_with(project: &Project, prefix: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = project.mailimg(["push", "--to", prefix]);
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The same image under two names.
fn project_with_two_images() -> Project {
    let project = project(&packages());
    project.replace("mailimg.toml", "images = [\"web\"]", "images = [\"web\", \"site\"]");
    project.write("recipes/site.toml", project.read("recipes/web.toml"));
    let keys = project.root().join("keys");
    project.run(["lock", "--keys-dir", keys.to_str().unwrap()]);
    project.run(["build"]);
    project
}

#[test]
fn skopeo_reads_what_was_pushed() {
    let registry = Registry::start();
    let project = project(&packages());
    let digest = digests(&project.run(["build", "--json"])).remove(0);
    project.run(["push", "--to", &registry.name("mail"), "--tag", "latest"]);
    let (source, copy) = (registry.name("mail/web:latest"), project.root().join("copy"));
    let mut skopeo = std::process::Command::new("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", &format!("docker://{source}")]);
    foreign::run(skopeo.arg(format!("dir:{}", copy.display())));
    assert_eq!(Sha256::of(fs_err::read(copy.join("manifest.json")).unwrap()).to_oci(), digest);
}

#[test]
fn nothing_is_sent_twice() {
    let registry = Registry::start();
    let proxy = Faulty::before(registry.port(), |_| Fault::None);
    let project = project_with_two_images();
    project.run(["push", "--to", &proxy.name("mail")]);
    let uploads = || proxy.count("PUT /v2/mail/web/blobs/") + proxy.count("PUT /v2/mail/site/blobs/");
    let (first, linked) = (uploads(), proxy.count("POST /v2/mail/web/blobs/uploads/?mount="));
    assert!(linked > 5, "what the second image shares is linked: {:?}", proxy.log());
    project.run(["push", "--to", &proxy.name("mail")]);
    assert_eq!(uploads(), first, "{:?}", proxy.log());
}

#[test]
fn images_go_without_their_packages_where_those_are_not_taken() {
    let registry = Registry::start();
    let proxy = Faulty::before(registry.port(), |asked| {
        let is_artifact =
            asked.path.contains("/manifests/") && asked.body.windows(14).any(|it| it == b"\"artifactType\"");
        if is_artifact { Fault::Answer("415 Unsupported Media Type") } else { Fault::None }
    });
    let project = project_with_two_images();
    let output = project.mailimg(["push", "--to", &proxy.name("mail")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2, "both images are there");
    for text in ["the registry doesn't accept the packages of site, web", "answered 415", "--no-packages"] {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
    let pushed = || proxy.log().iter().filter(|line| line.starts_with("PUT ") && line.contains(".packages")).count();
    assert_eq!(pushed(), 1, "the second image's packages aren't pushed: {:?}", proxy.log());
    project.run(["push", "--to", &proxy.name("mail"), "--no-packages"]);
    assert_eq!(pushed(), 1);
}

#[test]
fn credentials_come_from_wherever_a_login_keeps_them() {
    let registry = Registry::start_for("admin", "correct horse");
    let project = project(&packages());
    project.run(["build"]);
    let (prefix, host) = (registry.name("mail"), format!("127.0.0.1:{}", registry.port()));
    let auth = base64::engine::general_purpose::STANDARD.encode("admin:correct horse");
    let file = |path: &str, key: &str| {
        let path = project.write(path, format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#));
        path.to_str().unwrap().to_owned()
    };
    let named = file("auth.json", &host);
    file("runtime/containers/auth.json", &format!("{host}/mail"));
    file("config/containers/auth.json", &format!("{host}/mail/web"));
    let folder = |name: &str| project.path().join(name).to_str().unwrap().to_owned();
    let helper = project.write(
        "bin/docker-credential-made-up",
        "#!/bin/sh\nread server\necho \"{\\\"Username\\\":\\\"admin\\\",\\\"Secret\\\":\\\"correct horse\\\"}\"\n",
    );
    std::process::Command::new("chmod").arg("755").arg(helper).status().unwrap();
    project.write("docker/config.json", format!(r#"{{"credHelpers":{{"{host}":"made-up"}}}}"#));
    let path = format!("{}:{}", folder("bin"), std::env::var("PATH").unwrap());
    for variables in [
        &[("REGISTRY_AUTH_FILE", named.as_str())][..],
        &[("XDG_RUNTIME_DIR", &folder("runtime"))],
        &[("XDG_CONFIG_HOME", &folder("config"))],
        &[("DOCKER_CONFIG", &folder("docker")), ("PATH", &path)],
    ] {
        let (success, said) = push_with(&project, &prefix, variables);
        assert!(success, "{variables:?}: {said}");
    }
}

#[test]
fn credentials_that_cannot_be_read_are_a_warning() {
    let registry = Registry::start();
    let project = project(&packages());
    project.run(["build"]);
    for (config, warning) in [
        (r#"{"auths": }"#, "ignoring the credentials in "),
        (r#"{"credsStore":"that-is-not-there"}"#, "can't run docker-credential-that-is-not-there"),
    ] {
        project.write("docker/config.json", config);
        let folder = project.path().join("docker");
        // A registry that needs no credentials: the file doesn't matter, and isn't read.
        let variables = [("DOCKER_CONFIG", folder.to_str().unwrap())];
        let (success, said) = push_with(&project, &registry.name("mail"), &variables);
        assert!(success && !said.contains("ignoring"), "{said}");
        let closed = Registry::start_for("admin", "correct horse");
        let (success, said) = push_with(&project, &closed.name("mail"), &variables);
        assert!(!success && said.contains(warning) && said.contains("podman login"), "{said}");
    }
}

#[test]
fn a_proxy_is_not_for_this_machine() {
    let registry = Registry::start();
    let project = project(&packages());
    project.run(["build"]);
    let nobody = "http://127.0.0.1:1";
    let (success, said) =
        push_with(&project, &registry.name("mail"), &[("HTTP_PROXY", nobody), ("http_proxy", nobody)]);
    assert!(success, "{said}");
}
