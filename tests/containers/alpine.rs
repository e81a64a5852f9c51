//! Real Alpine: its packages, its keys, and its own check of the result (`apk audit`).

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mailimg::apk::package::PackageReader;
use serde_json::Value;
use testcontainers::core::IntoContainerPort as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{GenericImage, ImageExt as _};

use crate::common::http::HttpServer;
use crate::common::project::Project;
use crate::common::{alpine, engine, wait_for};
use crate::stack;

/// The project in `tests/alpine`, locked against the mirror over HTTP, with keys from next to it if they are there.
fn locked_project(mirror: &str) -> Project {
    let project = Project::new();
    project.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alpine"));
    let served = Path::new(mirror).is_dir().then(|| HttpServer::directory(mirror).url());
    let mut lock = vec!["lock".to_owned(), "--repository".to_owned()];
    lock.push(format!("main={}", served.as_deref().unwrap_or(mirror)));
    let keys = Path::new(mirror).join("../alpine-keys");
    if keys.is_dir() {
        lock.extend(["--keys-dir".to_owned(), keys.to_str().unwrap().to_owned()]);
    }
    project.run(&lock);
    project
}

/// An SSH key pair: the private key's file and the public key.
fn key_pair(directory: &Path) -> (PathBuf, String) {
    let file = directory.join("id_ed25519");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status().unwrap();
    assert!(made.success());
    let public = fs_err::read_to_string(file.with_extension("pub")).unwrap();
    (file, public.trim().to_owned())
}

fn ssh(port: u16, key: &Path, command: &str) -> (bool, String) {
    let output = Command::new("ssh")
        .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "IdentitiesOnly=yes", "-o", "PasswordAuthentication=no", "-F", "none", "-i"])
        .arg(key)
        .args(["-p", &port.to_string(), "root@127.0.0.1", command])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (
        output.status.success(),
        if output.status.success() { String::from_utf8_lossy(&output.stdout).into() } else { said },
    )
}

/// The first line from a port. Before sshd listens, the engine accepts connections and closes them.
fn greeting(port: u16) -> Option<String> {
    let mut line = String::new();
    BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?).read_line(&mut line).ok()?;
    Some(line)
}

#[test]
#[ignore = "needs a real Alpine repository, named by MAILIMG_ALPINE_MIRROR"]
fn real_alpine_runs_and_finds_nothing_wrong_with_itself() {
    let mirror = std::env::var("MAILIMG_ALPINE_MIRROR").expect("MAILIMG_ALPINE_MIRROR names an Alpine repository");
    engine::require();
    let _machine = stack::machine();
    let project = locked_project(&mirror);
    // The store has the packages from locking: their repository isn't asked again.
    let built = project.run(["build", "--offline", "--json"]);
    if Path::new(&mirror).is_dir() {
        layers_are_what_alpine_signed(&built);
    }
    let image = project.run(["load"]).trim().to_owned();
    engine::when_process_ends(&format!("docker image rm {image}"));
    let (repository, tag) = image.rsplit_once(':').unwrap();
    let (key, public) = key_pair(project.root());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    // A container is removed from within a runtime, even if a test fails.
    let _within = runtime.enter();
    let (container, port) = runtime.block_on(async {
        let container = GenericImage::new(repository, tag)
            .with_exposed_port(22.tcp())
            .with_env_var("AUTHORIZED_KEY", public)
            .with_label(engine::LABEL, engine::run())
            .start()
            .await
            .unwrap();
        let port = container.get_host_port_ipv4(22).await.unwrap();
        (container, port)
    });
    let id = container.id();

    assert_eq!(engine::exec(id, &["/bin/sh", "-c", "echo from $0"]), (true, "from /bin/sh\n".to_owned()));
    let (_, release) = engine::exec(id, &["cat", "/etc/os-release"]);
    assert!(release.contains("Alpine Linux"), "{release}");

    wait_for("sshd's greeting", Duration::from_secs(30), || greeting(port).filter(|text| text.starts_with("SSH-2.0-")));
    assert_eq!(ssh(port, &key, "doas id -un"), (true, "root\n".to_owned()));
    let stranger = tempfile::tempdir().unwrap();
    assert!(!ssh(port, &key_pair(stranger.path()).0, "true").0, "sshd lets a stranger's key in");

    audit(id);
    runtime.block_on(container.rm()).unwrap();
}

/// Most bytes are in verbatim layers: the digest of such a layer is the `datahash` in a control member that Alpine
/// signed.
fn layers_are_what_alpine_signed(built: &str) {
    let keyring = alpine::keyring();
    let signed = |path: &PathBuf| {
        let reader = PackageReader::new(fs_err::File::open(path).unwrap()).unwrap();
        reader.head().verify(&keyring).unwrap();
        reader.control().data_hash.to_oci()
    };
    let signed: BTreeSet<String> = alpine::packages().iter().map(signed).collect();
    let image = &serde_json::from_str::<Vec<Value>>(built).unwrap()[0];
    let layers: Vec<(&str, u64)> = (image["layers"].as_array().unwrap().iter())
        .map(|layer| (layer["digest"].as_str().unwrap(), layer["size"].as_u64().unwrap()))
        .collect();
    assert!((3..=12).contains(&layers.len()), "{layers:?}");
    let bytes = |verbatim: bool| -> u64 {
        layers.iter().filter(|(digest, _)| signed.contains(*digest) == verbatim).map(|(_, size)| size).sum()
    };
    let all = bytes(true) + bytes(false);
    assert!(bytes(true) * 10 >= all * 6, "{} of {all} bytes are verbatim: {layers:?}", bytes(true));
}

/// Runs `apk audit`. With `--system` it checks the packages' files, otherwise the configuration in /etc.
fn audit(container: &str) {
    assert_eq!(engine::exec(container, &["apk", "audit", "--system"]), (true, String::new()));
    let (succeeded, found) = engine::exec(container, &["apk", "audit"]);
    assert!(succeeded, "{found}");
    let found: Vec<&str> = found.lines().collect();
    // The recipe's accounts (U: changed), baked files and apk's own (A: added), and what sshd and the engine create.
    let declared =
        ["etc/apk/", "etc/doas.d/", "etc/group", "etc/passwd", "etc/shadow", "etc/ssh/ssh_host_", "etc/ssl/"];
    let by_engine = ["etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"];
    for line in &found {
        let path = line.split_once(' ').map_or(*line, |(_, path)| path);
        assert!(declared.iter().chain(&by_engine).any(|known| path.starts_with(known)), "{line} in {found:?}");
    }
    assert!(found.contains(&"U etc/passwd"), "the recipe's accounts are not there: {found:?}");
}
