use camino::Utf8Path;

use super::*;
use crate::config::Files;

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
        "name = \"example-org\"\nhostname = \"mail.example.org\"\ndomains = [\"example.org\"]\npostmaster = \"a@example.org\"\n\
         channel = \"c\"\nimages = [\"database\", \"scanner\", \"smtp\"]\n{more}"
    );
    fs_err::write(root.join("mailimg.toml"), site).unwrap();
    let project = Project::open(root).unwrap();
    (directory, project)
}

fn images() -> BTreeMap<String, Sha256> {
    ["database", "scanner", "smtp"].map(|name| (name.to_owned(), Sha256::of(name))).into()
}

#[test]
fn with_antivirus_from_the_local_engine() {
    let (_directory, project) = project("");
    insta::assert_snapshot!(compose(&project, &images()).unwrap());
}

#[test]
fn without_antivirus_from_a_registry_with_lets_encrypt() {
    let more = "[antivirus]\nenabled = false\n[registry]\nprefix = \"registry.example.org/mail\"\n\
                [tls]\ndirectory = \"/etc/letsencrypt/live/mail.example.org\"\n\
                [publish]\nbind = [\"127.0.0.1\", \"::1\"]\nports = { 25 = 2525 }\n";
    let (_directory, project) = project(more);
    insta::assert_snapshot!(compose(&project, &images()).unwrap());
}

#[test]
fn with_an_ipv6_address_the_outside_network_has_ipv6() {
    let with = |name: &str, bind: &str| {
        let (_directory, project) = project(&format!("[publish]\nbind = [{bind}]\n"));
        let site = project.root().join("mailimg.toml");
        let named = fs_err::read_to_string(&site).unwrap().replace("\"example-org\"", &format!("{name:?}"));
        fs_err::write(&site, named).unwrap();
        let file = compose(&Project::open(project.root()).unwrap(), &images()).unwrap();
        let (_, networks) = file.split_once("\nnetworks:\n").unwrap();
        networks.split_once("\nvolumes:").unwrap().0.to_owned()
    };
    assert_eq!(with("one", "\"0.0.0.0\""), "  internal:\n    internal: true\n  outside: {}");
    let one = with("one", "\"0.0.0.0\", \"::\"");
    let (start, subnet) = one.rsplit_once("- subnet: ").unwrap();
    let same =
        "  internal:\n    internal: true\n  outside-ipv6:\n    enable_ipv6: true\n    ipam:\n      config:\n      ";
    assert_eq!(start, same);
    assert_eq!(with("one", "\"2001:db8::1\""), one);
    assert_ne!(with("two", "\"::\""), one);
    // RFC 4193: fd, then 40 bits of one's own, then 16 for subnets.
    let address: Ipv6Addr = subnet.trim_matches('"').strip_suffix("/64").unwrap().parse().unwrap();
    assert_eq!((address.octets()[0], &address.octets()[6..]), (0xfd, [0; 10].as_slice()));
}

#[test]
fn every_difference_of_a_service_changes_its_label() {
    let label = |more: &str, digest: &str| {
        let (_directory, project) = project(more);
        let file = compose(&project, &images().into_iter().chain([("smtp".to_owned(), Sha256::of(digest))]).collect());
        let file = file.unwrap();
        let (_, smtp) = file.split_once("\n  smtp:").unwrap();
        smtp.lines().find(|line| line.contains(CONFIGURATION)).unwrap().to_owned()
    };
    let usual = label("", "smtp");
    assert_eq!(label("", "smtp"), usual);
    for (more, digest) in [("", "another"), ("[publish]\nbind = []\n", "smtp"), ("[tls]\ndirectory = \"/t\"\n", "smtp")]
    {
        assert_ne!(label(more, digest), usual, "{more} {digest}");
    }
    assert_eq!(label("[limits]\nquota = 1\n", "smtp"), usual);
}

#[test]
fn what_has_not_been_built_is_told() {
    let (_directory, project) = project("");
    let images = BTreeMap::from([("database".to_owned(), Sha256::of("d"))]);
    let error = compose(&project, &images).unwrap_err();
    assert_eq!(error.to_string(), "the image scanner has not been built");
}

#[test]
fn what_is_written_can_be_read() {
    let (directory, project) = project("");
    let path = Utf8Path::from_path(directory.path()).unwrap().join("compose.yaml");
    let files = Files::open(path.parent().unwrap()).unwrap();
    assert_eq!(read(&files, &path).unwrap(), None);
    fs_err::write(&path, compose(&project, &images()).unwrap()).unwrap();
    let file = read(&files, &path).unwrap().unwrap();
    assert_eq!(file.text, compose(&project, &images()).unwrap());
    let services = file.services;
    assert_eq!(services.keys().collect::<Vec<_>>(), ["database", "scanner", "smtp"]);
    assert_eq!(services["smtp"].image, local_reference("smtp", Sha256::of("smtp")));
    assert_eq!(services["smtp"].configuration.as_ref().map(String::len), Some(64));
    fs_err::write(&path, "services: [a]").unwrap();
    assert!(matches!(read(&files, &path), Err(ComposeError::Malformed { .. })));
}
