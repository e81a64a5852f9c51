//! Real Alpine packages, signed by Alpine, from the installation medium of 3.19.

use std::path::PathBuf;

use mailimg::lock::Lock;

use crate::common::http::HttpServer;
use crate::common::project::Project;

const RECIPE: &str = r#"description = "real packages"
world = ["alpine-base", "openssh-server", "chrony", "doas"]

[image]
entrypoint = ["/usr/sbin/sshd", "-D"]

[service]
memory = 10
"#;

fn project(url: &str) -> Project {
    let project = Project::new();
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("apk-locks/alpine-3.24");
    let channel = fs_err::read_to_string(ours.join("channel.toml")).unwrap();
    // The same keys from another place.
    let (_, keys) = channel.split_once("[keys]").unwrap();
    let head = "description = \"Alpine 3.19, its installation medium\"\narchitectures = [\"x86_64\"]\n";
    project.write(
        "apk-locks/alpine-3.19/channel.toml",
        format!("{head}\n[[repository]]\nname = \"iso\"\nurl = {url:?}\n\n[keys]{keys}"),
    );
    project.write("apk-locks/alpine-3.19/scripts.toml", fs_err::read(ours.join("scripts.toml")).unwrap());
    project.write(
        "mailimg.toml",
        "hostname = \"mail.example.org\"\ndomains = [\"example.org\"]\npostmaster = \"admin@example.org\"\n\
         channel = \"alpine-3.19\"\nimages = [\"ssh\"]\n",
    );
    project.write("recipes/ssh.toml", RECIPE);
    project
}

#[test]
#[ignore = "wants a real Alpine repository, named by MAILIMG_ALPINE_MIRROR"]
fn real_packages_are_verified_with_alpines_keys_and_classified() {
    let mirror = std::env::var("MAILIMG_ALPINE_MIRROR").expect("MAILIMG_ALPINE_MIRROR names an Alpine repository");
    let served = PathBuf::from(&mirror).is_dir().then(|| HttpServer::directory(&mirror));
    let project = project(&served.as_ref().map_or_else(|| mirror.clone(), HttpServer::url));
    // Alpine's own keys: from next to the recorded repository, or from Alpine.
    let beside = PathBuf::from(&mirror).join("../alpine-keys");
    let keys = if beside.is_dir() {
        beside
    } else {
        project.replace(
            "apk-locks/alpine-3.19/channel.toml",
            "description",
            "keys-url = \"https://alpinelinux.org/keys\"\ndescription",
        );
        PathBuf::new()
    };
    let mut command = project.mailimg(["lock"]);
    if keys.is_dir() {
        command.arg("--keys-dir").arg(keys);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = project.path().join("apk-locks/alpine-3.19/ssh.x86_64.lock");
    let lock: Lock = fs_err::read_to_string(&path).unwrap().parse().unwrap();
    assert!(lock.packages.len() > 25, "{}", lock.packages.len());
    assert!(lock.packages.iter().all(|package| package.signatures.len() == 1));
    assert!(!lock.keys.is_empty());
    let busybox = lock.package("busybox").unwrap();
    let scripts: Vec<_> = busybox.scripts.iter().map(|script| script.name.as_str()).collect();
    assert_eq!(scripts, ["post-install", "post-upgrade", "trigger"]);
    let order = |name: &str| lock.packages.iter().position(|package| package.name == name).unwrap();
    assert!(order("musl") < order("busybox") && order("busybox") < order("openssh-server"));
    if served.is_some() {
        // The recorded repository doesn't change, so its package is known.
        assert_eq!(busybox.checksum.to_string(), "Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=");
        assert_eq!(busybox.data.sha256.to_string(), "382c75e2d1a2e2b9d281e879b763b3b363508400d7cc796d9448c46a7b6ba342");
    }
}
