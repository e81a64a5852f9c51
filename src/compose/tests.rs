use camino::Utf8Path;

use super::*;

const RECIPES: [(&str, &str); 3] = [
    (
        "database",
        r#"description = "d"
world = ["mariadb"]
[image]
entrypoint = ["/entry"]
healthcheck = { command = ["ping", "$HOME"], interval = 5, timeout = 5, start-period = 120, retries = 6 }
[service]
networks = ["internal"]
secrets = { database-password = "password" }
memory = 192
volumes = { database = "/var/lib/mysql" }
tmpfs = { "/run" = "mode=0755,size=16m" }
"#,
    ),
    (
        "scanner",
        r#"description = "s"
feature = "antivirus"
world = ["clamav"]
[image]
entrypoint = ["/entry"]
[service]
networks = ["outside"]
memory = 1400
cpu-shares = 256
volumes = { signatures = "/var/lib/clamav", sockets = "/run/sockets" }
"#,
    ),
    (
        "smtp",
        r#"description = "p"
world = ["postfix"]
[image]
entrypoint = ["/entry"]
[service]
networks = ["internal", "outside"]
dns = ["127.0.0.1"]
publish = [25, 587]
depends-on = ["database", "scanner"]
hostname = "{{site.hostname}}"
secrets = { database-password = "password", "smtp.pem" = "certificate" }
capabilities = ["CHOWN", "SETUID"]
stop-grace-period = 45
memory = 224
volumes = { queue = "/var/spool/postfix" }
mounts = { dkim = "/etc/mailimg/dkim", tls = "/etc/mailimg/tls" }
"#,
    ),
];

fn project(more: &str) -> (tempfile::TempDir, Project) {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    fs_err::create_dir_all(root.join("recipes")).unwrap();
    fs_err::create_dir_all(root.join("apk-locks/c")).unwrap();
    for (name, recipe) in RECIPES {
        fs_err::write(root.join(format!("recipes/{name}.toml")), recipe).unwrap();
    }
    fs_err::write(root.join("apk-locks/c/channel.toml"), "description = \"c\"\narchitectures = [\"x86_64\"]\n")
        .unwrap();
    let site = format!(
        "hostname = \"mail.example.org\"\ndomains = [\"example.org\"]\npostmaster = \"a@example.org\"\n\
         channel = \"c\"\nimages = [\"database\", \"scanner\", \"smtp\"]\n{more}"
    );
    fs_err::write(root.join("mailimg.toml"), site).unwrap();
    let project = Project::open(root).unwrap();
    (directory, project)
}

fn options() -> Options {
    let images = ["database", "scanner", "smtp"].map(|name| (name.to_owned(), Sha256::of(name)));
    Options {
        images: images.into(),
        bind: vec![IpAddr::from([0, 0, 0, 0])],
        ports: BTreeMap::new(),
        secrets: "./secrets".into(),
    }
}

#[test]
fn with_antivirus_from_the_local_engine() {
    let (_directory, project) = project("");
    insta::assert_snapshot!(compose(&project, &options()).unwrap());
}

#[test]
fn without_antivirus_from_a_registry_with_lets_encrypt() {
    let more = "[antivirus]\nenabled = false\n[registry]\nprefix = \"registry.example.org/mail\"\n\
                [tls]\ndirectory = \"/etc/letsencrypt/live/mail.example.org\"\n";
    let (_directory, project) = project(more);
    let options = Options {
        bind: vec![IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()],
        ports: BTreeMap::from([(25, 2525)]),
        secrets: "/srv/mail/secrets".into(),
        ..options()
    };
    insta::assert_snapshot!(compose(&project, &options).unwrap());
}

#[test]
fn what_cannot_be_composed() {
    let (_directory, project) = project("");
    let images = BTreeMap::from([("database".to_owned(), Sha256::of("d"))]);
    let error = compose(&project, &Options { images, ..options() }).unwrap_err();
    assert_eq!(error.to_string(), "the image scanner has not been built");
    let error = compose(&project, &Options { ports: BTreeMap::from([(26, 2626)]), ..options() }).unwrap_err();
    assert_eq!(error.to_string(), "no image publishes port 26: the published ports are 25, 587");
    let error = compose(&project, &Options { ports: BTreeMap::from([(25, 587)]), ..options() }).unwrap_err();
    assert_eq!(error.to_string(), "host port 587 would be published twice");
}
