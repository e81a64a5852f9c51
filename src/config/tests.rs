//! A whole project on disk: how it is read, and how each kind of mistake is reported.

use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::{ConfigError, Contents, Project, Role, bake};

const SITE: &str = r#"hostname = "mail.example.org"
domains = ["example.org"]
postmaster = "admin@example.org"
channel = "debian-13"
images = ["postfix", "clamav"]
"#;

const RECIPE: &str = r#"description = "Sends mail"
world = ["postfix"]

[channel.debian-13]
paths = { daemons = "/usr/lib/postfix/sbin" }

[channel.alpine-3_24]
paths = { daemons = "/usr/libexec/postfix", other = "/x" }

[[group]]
name = "postfix"
gid = 100

[[user]]
name = "postfix"
uid = 100
group = "postfix"
home = "/var/spool/postfix"

[[file]]
path = "/usr/sbin/postdrop"
mode = "2755"
group = "postdrop"

[image]
entrypoint = ["/usr/bin/supervisord"]

[service]
memory = 192
"#;

const CHANNEL: &str = r#"description = "Debian 13"
architectures = ["x86_64"]

[[repository]]
name = "debian"
url = "packages"
"#;

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { directory: tempfile::tempdir().unwrap() };
        fixture.write("mailimg.toml", SITE);
        fixture.write("recipes/postfix.toml", RECIPE);
        let clamav = RECIPE.replace("world", "feature = \"antivirus\"\nworld");
        fixture.write("recipes/clamav.toml", &clamav);
        fixture.write("apk-locks/debian-13/channel.toml", CHANNEL);
        fixture
    }

    fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.directory.path()).unwrap()
    }

    fn write(&self, path: &str, text: &str) -> Utf8PathBuf {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text).unwrap();
        path
    }

    fn replace(&self, path: &str, from: &str, to: &str) {
        let text = fs_err::read_to_string(self.root().join(path)).unwrap();
        assert!(text.contains(from), "{from}");
        self.write(path, &text.replacen(from, to, 1));
    }

    /// The error that opening gives, with the project's directory left out.
    fn error(&self) -> String {
        self.told(&Project::open(self.root()).unwrap_err())
    }

    fn told(&self, error: &ConfigError) -> String {
        error.to_string().replace(&format!("{}/", self.root()), "")
    }
}

#[test]
fn a_project_is_read() {
    let fixture = Fixture::new();
    let project = Project::open(fixture.root()).unwrap();
    assert_eq!(project.hostname("a test").unwrap().as_str(), "mail.example.org");
    assert_eq!(project.channel().name, "debian-13");
    let names: Vec<&str> = project.recipes().map(|recipe| recipe.name.as_str()).collect();
    assert_eq!(names, ["postfix", "clamav"]);
    let recipe = project.recipe("postfix").unwrap();
    assert_eq!(recipe.files[0].mode.bits(), 0o2755);
    assert_eq!(project.channel_of(recipe).unwrap().unwrap().paths["daemons"], "/usr/lib/postfix/sbin");
}

#[test]
fn the_number_of_layers_is_the_sites_to_choose() {
    let fixture = Fixture::new();
    assert_eq!(Project::open(fixture.root()).unwrap().site().layers, 12);
    for layers in [2, 125] {
        fixture.write("mailimg.toml", &format!("layers = {layers}\n{SITE}"));
        assert_eq!(Project::open(fixture.root()).unwrap().site().layers, layers);
    }
}

#[test]
fn the_site_has_a_name_that_compose_allows() {
    let fixture = Fixture::new();
    let error = Project::open(fixture.root()).unwrap().name("a test").unwrap_err();
    assert!(fixture.told(&error).contains("doesn't set `name`, which a test needs"), "{error}");
    fixture.write("mailimg.toml", &format!("name = \"example-org\"\n{SITE}"));
    assert_eq!(Project::open(fixture.root()).unwrap().name("a test").unwrap().as_str(), "example-org");
    fixture.write("mailimg.toml", &format!("name = \"example.org\"\n{SITE}"));
    assert!(fixture.error().starts_with("mailimg.toml:1:8: name: \"example.org\" is not the name of a site"));
}

#[test]
fn a_switch_publishes_further_ports() {
    let fixture = Fixture::new();
    fixture.replace(
        "recipes/postfix.toml",
        "memory = 192",
        "publish = [25]\npublish-if = { \"imap.managesieve\" = [4190] }",
    );
    let ports = || Project::open(fixture.root()).unwrap().recipe("postfix").unwrap().service.publish.clone();
    assert_eq!(ports(), [25]);
    fixture.write("mailimg.toml", &format!("{SITE}[imap]\nmanagesieve = true\n"));
    assert_eq!(ports(), [25, 4190]);
}

#[test]
fn a_switch_or_a_list_adds_a_folder_of_files() {
    let fixture = Fixture::new();
    fixture.replace("recipes/postfix.toml", "world =", "rootfs-if = { \"proxy.networks\" = [\"proxy\"] }\nworld =");
    fixture.write("images/proxy/rootfs/etc/more.hbs", "{{join site.proxy.networks \" \"}}");
    let baked = || {
        let project = Project::open(fixture.root()).unwrap();
        let files = bake(&project, project.recipe("postfix").unwrap()).unwrap();
        files.into_iter().find(|file| file.path.as_str() == "/etc/more").map(|file| file.contents)
    };
    assert_eq!(baked(), None);
    fixture.write("mailimg.toml", &format!("{SITE}[proxy]\nnetworks = []\n"));
    assert_eq!(baked(), None);
    fixture.write("mailimg.toml", &format!("{SITE}[proxy]\nnetworks = [\"10.1.2.0/28\", \"2001:db8::/64\"]\n"));
    let bytes = b"10.1.2.0/28 2001:db8::/64".to_vec();
    assert_eq!(baked(), Some(Contents::File { mode: 0o644, bytes }));

    fixture.replace("recipes/postfix.toml", "proxy.networks", "proxy.network");
    let said = fixture.error();
    assert!(said.contains("rootfs-if.proxy.network: there is no switch \"proxy.network\""), "{said}");
}

#[test]
fn a_site_chooses_the_ports_of_its_host() {
    let fixture = Fixture::new();
    fixture.replace("recipes/postfix.toml", "memory = 192", "publish = [25, 587]");
    let publish = |ports: &str| fixture.write("mailimg.toml", &format!("{SITE}[publish]\nports = {{ {ports} }}\n"));
    publish("25 = 2525");
    let site = Project::open(fixture.root()).unwrap().site().clone();
    assert_eq!([25, 587].map(|port| site.publish.host_port(port)), [2525, 587]);
    assert_eq!(site.publish.bind, ["0.0.0.0".parse::<std::net::IpAddr>().unwrap()]);
    publish("25 = 587, 587 = 25");
    assert_eq!(Project::open(fixture.root()).unwrap().site().publish.host_port(587), 25);
    for (ports, expected) in [
        ("26 = 2626", "publish.ports.26: no image publishes this port"),
        ("25 = 587", "publish.ports.25: port 587 of the host is already that of port 587"),
        ("25 = 70000", "publish.ports.25: invalid value: integer `70000`"),
        ("smtp = 25", "publish.ports.smtp: \"smtp\" is not a port"),
    ] {
        publish(ports);
        assert!(fixture.error().contains(expected), "{}", fixture.error());
    }
}

#[test]
fn an_image_whose_feature_is_off_is_left_out() {
    let fixture = Fixture::new();
    fixture.write("mailimg.toml", &format!("{SITE}[antivirus]\nenabled = false\n"));
    let project = Project::open(fixture.root()).unwrap();
    assert_eq!(project.recipes().count(), 1);
}

#[test]
fn unknown_keys_are_told_with_what_was_probably_meant() {
    let fixture = Fixture::new();
    fixture.replace("mailimg.toml", "hostname", "hostnam");
    let error = Project::open(fixture.root()).unwrap_err();
    let text = fixture.told(&error);
    assert!(text.starts_with("mailimg.toml:1:1: hostnam: unknown key \"hostnam\"\n"), "{text}");
    assert!(text.ends_with("1 | hostnam = \"mail.example.org\"\n  | ^^^^^^^"), "{text}");
    let ConfigError::Wrong(wrong) = error else { panic!("{error}") };
    assert!(wrong.advice.unwrap().starts_with("did you mean hostname?"));
}

#[test]
fn nested_keys_are_named_in_full() {
    let fixture = Fixture::new();
    fixture.write("mailimg.toml", &format!("{SITE}\n[limits]\nquota = \"lots\"\n"));
    let text = fixture.error();
    assert!(text.starts_with("mailimg.toml:8:9: limits.quota: \"lots\" is not a size: bytes, or"), "{text}");
    let fixture = Fixture::new();
    fixture.replace("recipes/postfix.toml", "uid = 100", "uid = -1");
    let text = fixture.error();
    assert!(text.starts_with("recipes/postfix.toml:16:7: user[0].uid: invalid value"), "{text}");
}

#[test]
fn values_are_checked_where_they_are_written() {
    for (file, from, to, told) in [
        ("mailimg.toml", "mail.example.org", "Mail", "mailimg.toml:1:12: hostname: \"Mail\" is not a full domain name"),
        (
            "mailimg.toml",
            "\"example.org\"",
            "\"a b\"",
            "mailimg.toml:2:12: domains[0]: \"a b\" is not a full domain name",
        ),
        ("mailimg.toml", "admin@", "a b@", "mailimg.toml:3:14: postmaster: \"a b@example.org\" is not a mail address"),
        ("mailimg.toml", "clamav", "postfix", "mailimg.toml:5:22: images[1]: is a duplicate"),
        ("mailimg.toml", "clamav", "calmav", "mailimg.toml:5:22: images[1]: there is no recipe \"calmav\""),
        (
            "mailimg.toml",
            "images",
            "layers = 1\nimages",
            "mailimg.toml:5:10: layers: must be from 2 to 125: an image has",
        ),
        ("mailimg.toml", "images", "layers = 126\nimages", "mailimg.toml:5:10: layers: must be from 2 to 125"),
        (
            "mailimg.toml",
            "images",
            "limits = { message-size = 209_715_201 }\nimages",
            "mailimg.toml:5:27: limits.message-size: must be from 1 to 200M: larger",
        ),
        (
            "recipes/clamav.toml",
            "memory = 192",
            "publish-if = { \"imap.manage\" = [4190] }",
            "recipes/clamav.toml:30:32: service.publish-if.imap.manage: there is no switch \"imap.manage\"",
        ),
        ("mailimg.toml", "images", "layers = \"12\"\nimages", "mailimg.toml:5:10: layers: invalid type: string"),
        ("mailimg.toml", "debian-13", "debian-31", "mailimg.toml:4:11: channel: there is no channel \"debian-31\""),
        (
            "recipes/postfix.toml",
            "\"2755\"",
            "\"2789\"",
            "recipes/postfix.toml:22:8: file[0].mode: \"2789\" is not a file",
        ),
        ("recipes/postfix.toml", "\"/usr/sbin/", "\"usr/sbin/", "recipes/postfix.toml:21:8: file[0].path: \"usr/sbin/"),
        (
            "recipes/postfix.toml",
            "[\"/usr/bin/supervisord\"]",
            "[]",
            "recipes/postfix.toml:26:14: image.entrypoint: needs",
        ),
        (
            "recipes/clamav.toml",
            "antivirus",
            "antivirvs",
            "recipes/clamav.toml:2:11: feature: there is no feature \"antivirvs\"",
        ),
        (
            "recipes/clamav.toml",
            "memory = 192",
            "secrets = { a = \"pasword\" }",
            "recipes/clamav.toml:30:17: service.secrets.a: unknown variant `pasword`, expected one of `password`",
        ),
        (
            "apk-locks/debian-13/channel.toml",
            "url",
            "uri",
            "apk-locks/debian-13/channel.toml:6:1: repository[0].uri: unk",
        ),
    ] {
        let fixture = Fixture::new();
        fixture.replace(file, from, to);
        let text = fixture.error();
        assert!(text.starts_with(told), "{text}");
    }
}

#[test]
fn a_site_says_only_what_it_uses() {
    let fixture = Fixture::new();
    fixture.write("mailimg.toml", "channel = \"debian-13\"\nimages = [\"postfix\"]\n");
    fixture.replace("recipes/postfix.toml", "[service]\nmemory = 192\n", "");
    let project = Project::open(fixture.root()).unwrap();
    let recipe = project.recipe("postfix").unwrap();
    assert!(bake(&project, recipe).unwrap().is_empty());
    assert_eq!(project.service_hostname(recipe).unwrap(), None);

    let error = project.hostname("a certificate").unwrap_err();
    assert_eq!(fixture.told(&error), "mailimg.toml doesn't set `hostname`, which a certificate needs");
    fixture.write("mailimg.toml", "domains = []\nchannel = \"debian-13\"\nimages = []\n");
    let project = Project::open(fixture.root()).unwrap();
    let error = project.domains("a DKIM key").unwrap_err();
    assert_eq!(fixture.told(&error), "mailimg.toml doesn't set `domains`, which a DKIM key needs");
}

#[test]
fn a_services_host_name_may_come_from_the_site() {
    let fixture = Fixture::new();
    let named = |text: &str| {
        let recipe = RECIPE.replace("memory = 192", &format!("hostname = \"{text}\""));
        fixture.write("recipes/postfix.toml", &recipe);
        let project = Project::open(fixture.root()).unwrap();
        let name = project.service_hostname(project.recipe("postfix").unwrap());
        name.map(Option::unwrap).map_err(|error| fixture.told(&error))
    };
    assert_eq!(named("{{site.hostname}}").unwrap(), "mail.example.org");
    assert_eq!(named("db.{{image}}").unwrap(), "db.postfix");
    for (text, told) in [
        ("a b", "service.hostname: \"a b\" is not a host name"),
        ("{{#if site.tls.outbound-required}}x{{/if}}", "service.hostname: \"\" is not a host name"),
        ("{{site.hostnam}}", "service.hostname: site.hostnam: no such value"),
        ("{{site.tls.directory}}", "service.hostname: site.tls.directory: isn't set in mailimg.toml"),
    ] {
        let said = named(text).unwrap_err();
        assert!(said.starts_with(&format!("recipes/postfix.toml:29:12: {told}\n")), "{said}");
    }
}

#[test]
fn recipes_declare_secrets_together() {
    let fixture = Fixture::new();
    let declare = |postfix: &str, clamav: &str| {
        for (image, secrets) in [("postfix", postfix), ("clamav", clamav)] {
            let recipe = RECIPE.replace("memory = 192", &format!("secrets = {{ {secrets} }}"));
            fixture.write(&format!("recipes/{image}.toml"), &recipe);
        }
        Project::open(fixture.root()).map_err(|error| fixture.told(&error))
    };
    let project =
        declare("a = \"password\", ca = \"authority\", p = \"certificate\"", "b = \"password\", a = \"password\"");
    let project = project.unwrap();
    let secrets: Vec<String> = project
        .secrets()
        .iter()
        .map(|secret| format!("{} {:?} {}", secret.name, secret.kind, secret.images.join("+")))
        .collect();
    assert_eq!(
        secrets,
        ["a Password postfix+clamav", "ca Authority postfix", "p Certificate postfix", "b Password clamav"]
    );
    for (postfix, clamav, told) in [
        ("a = \"password\"", "a = \"authority\"", "a: is another kind of secret in recipes/clamav.toml"),
        ("a = \"certificate\"", "a = \"certificate\"", "a: is the certificate of clamav: each service needs its own"),
        ("a = \"authority\"", "b = \"authority\"", "a: is a second authority next to b: a site can have only one"),
    ] {
        let said = declare(postfix, clamav).unwrap_err();
        assert!(said.starts_with(&format!("recipes/postfix.toml:29:17: service.secrets.{told}\n")), "{said}");
    }
}

#[test]
fn one_image_has_a_role() {
    let fixture = Fixture::new();
    fixture.replace("recipes/clamav.toml", "memory = 192", "role = \"accounts\"");
    let found = || Project::open(fixture.root()).unwrap().image_with(Role::Accounts).map(|recipe| recipe.name.clone());
    assert_eq!(found().unwrap(), "clamav");
    fixture.replace("recipes/postfix.toml", "memory = 192", "role = \"accounts\"");
    assert_eq!(found().unwrap_err().to_string(), "the images postfix, clamav all have `service.role = \"accounts\"`");
    let error = Project::open(fixture.root()).unwrap().image_with(Role::Mailboxes).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "none of the site's images has `service.role = \"mailboxes\"`");
}

#[test]
fn accounts_are_unique() {
    let fixture = Fixture::new();
    let second = "[[user]]\nname = \"other\"\nuid = 100\ngroup = \"postfix\"\nhome = \"/\"\n\n[image]";
    fixture.replace("recipes/postfix.toml", "[image]", second);
    let text = fixture.error();
    assert!(text.starts_with("recipes/postfix.toml:27:7: user[1].uid: is a duplicate"), "{text}");
}

#[test]
fn syntax_errors_are_told() {
    let fixture = Fixture::new();
    fixture.replace("mailimg.toml", "domains = [", "domains = [[");
    let text = fixture.error();
    assert!(text.starts_with("mailimg.toml:"), "{text}");
}

#[test]
fn a_channel_holds_no_password_and_no_message_shows_one() {
    let url = |line: &str| format!("{}{line}", CHANNEL.replace("url = \"packages\"\n", ""));
    for (channel, expected) in [
        (
            url("url = \"https://bob:secret@example.org/main\"\n"),
            "6:7: repository[0].url: contains a user name or a password\n  |\n6 | url = \
             \"https://**********@example.org/main\"\n",
        ),
        (
            url("url = \"https://bob:it's 12/secret@example.org\"\n"),
            "6:7: repository[0].url: contains a user name or a password\n  |\n6 | url = \
             \"https://******************@example.org\"\n",
        ),
        (
            format!("keys-url = \"https://secret@example.org\"\n{CHANNEL}"),
            "1:12: keys-url: contains a user name or a password\n  |\n1 | keys-url = \"https://******@example.org\"\n",
        ),
        (
            url("urls = \"https://bob:secret@example.org/main\"\n"),
            "6:1: repository[0].urls: unknown key \"urls\"\n  |\n6 | urls = \"https://**********@example.org/main\"\n",
        ),
    ] {
        let fixture = Fixture::new();
        fixture.write("apk-locks/debian-13/channel.toml", &channel);
        let error = fixture.error();
        assert!(error.starts_with(&format!("apk-locks/debian-13/channel.toml:{expected}")), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_site_puts_no_password_into_images() {
    for key in ["mirrors", "databases"] {
        let fixture = Fixture::new();
        let urls = format!("{key} = [\"https://a.example\", \"https://bob:secret@b.example/x\"]");
        fixture.write("mailimg.toml", &format!("{SITE}[antivirus]\n{urls}\n"));
        let error = fixture.error();
        let expected = format!("antivirus.{key}[1]: contains a user name or a password");
        assert!(error.contains(&expected) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn lines_may_end_with_cr_lf() {
    let fixture = Fixture::new();
    for path in ["mailimg.toml", "recipes/postfix.toml", "apk-locks/debian-13/channel.toml"] {
        let text = fs_err::read_to_string(fixture.root().join(path)).unwrap();
        fixture.write(path, &text.replace('\n', "\r\n"));
    }
    Project::open(fixture.root()).unwrap();
}

#[test]
fn what_is_missing_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = Project::open(Utf8Path::from_path(empty.path()).unwrap()).unwrap_err();
    assert!(matches!(error, ConfigError::NoProject { .. }));
    let fixture = Fixture::new();
    let project = Project::open(fixture.root()).unwrap();
    assert_eq!(
        project.recipe("dovecot").unwrap_err().to_string(),
        "there is no image \"dovecot\"; the recipes are clamav, postfix"
    );
    assert!(matches!(
        Project::open_with(fixture.root(), Some("alpine-3.24")).unwrap_err(),
        ConfigError::UnknownChannel { known, .. } if known == ["debian-13"]
    ));
    fixture.write("apk-locks/other/channel.toml", CHANNEL);
    let project = Project::open_with(fixture.root(), Some("other")).unwrap();
    let error = bake(&project, project.recipe("postfix").unwrap()).unwrap_err();
    assert!(matches!(error, ConfigError::ForeignChannel { .. }), "{error}");
}

#[test]
fn files_are_baked_in_order_with_modes_of_their_own() {
    let fixture = Fixture::new();
    fixture.replace("recipes/postfix.toml", "world", "rootfs = [\"common\"]\nworld");
    fixture.write("images/postfix/rootfs/etc/postfix/main.cf.hbs", "x = {{site.hostname}} {{paths.daemons}}\n");
    let program = fixture.write("images/postfix/rootfs/usr/bin/run", "#!/bin/sh\n");
    fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let plain = fixture.write("images/postfix/rootfs/etc/a", "{{not a template}}");
    fs_err::set_permissions(&plain, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("../x", fixture.root().join("images/postfix/rootfs/etc/link")).unwrap();
    fixture.write("images/common/rootfs/etc/a", "common");
    fixture.write("images/common/rootfs/etc/b", "common");
    let project = Project::open(fixture.root()).unwrap();
    let baked = bake(&project, project.recipe("postfix").unwrap()).unwrap();
    let shown: Vec<(&str, String)> = baked
        .iter()
        .map(|file| {
            let contents = match &file.contents {
                Contents::File { mode, bytes } => format!("{mode:o} {}", String::from_utf8_lossy(bytes)),
                Contents::Link { target } => format!("-> {target}"),
            };
            (file.path.as_str(), contents)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("/etc/a", "644 {{not a template}}".to_owned()),
            ("/etc/b", "644 common".to_owned()),
            ("/etc/link", "-> ../x".to_owned()),
            ("/etc/postfix/main.cf", "644 x = mail.example.org /usr/lib/postfix/sbin\n".to_owned()),
            ("/usr/bin/run", "755 #!/bin/sh\n".to_owned()),
        ]
    );
}

#[test]
fn a_missing_template_value_names_file_line_and_key() {
    let fixture = Fixture::new();
    fixture.write("images/postfix/rootfs/etc/main.cf.hbs", "a\nb = {{site.limits.messagesize}}\n");
    let project = Project::open(fixture.root()).unwrap();
    let error = bake(&project, project.recipe("postfix").unwrap()).unwrap_err();
    let text = fixture.told(&error);
    assert!(
        text.starts_with("images/postfix/rootfs/etc/main.cf.hbs:2:5: site.limits.messagesize: no such value\n"),
        "{text}"
    );
}

#[test]
fn a_file_beside_its_own_template_is_an_error() {
    let fixture = Fixture::new();
    fixture.write("images/postfix/rootfs/etc/a", "");
    fixture.write("images/postfix/rootfs/etc/a.hbs", "");
    let project = Project::open(fixture.root()).unwrap();
    let error = bake(&project, project.recipe("postfix").unwrap()).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn scripts_are_replaced_or_ignored_and_one_says_which() {
    let fixture = Fixture::new();
    let path = "apk-locks/debian-13/scripts.toml";
    let rule = |rest: &str| fixture.write(path, &format!("[[script]]\npackage = \"busybox\"\n{rest}\n"));
    rule("scripts = [\"post-install\", \"trigger\"]\nreplaced-by = \"applet links\"");
    let project = Project::open(fixture.root()).unwrap();
    let [rule_read] = project.channel().scripts.as_slice() else { panic!("one rule") };
    assert!(rule_read.covers("busybox", "trigger"));
    assert!(!rule_read.covers("busybox", "pre-install") && !rule_read.covers("musl", "trigger"));

    let error = || Project::open(fixture.root()).unwrap_err().to_string();
    rule("scripts = [\"post-instal\"]\nreplaced-by = \"applet links\"");
    assert!(error().contains("there is no script \"post-instal\""), "{}", error());
    rule("scripts = [\"post-install\"]");
    assert!(error().contains("set either `replaced-by`"), "{}", error());
    assert!(error().contains("scripts.toml:2"), "{}", error());
}

#[test]
fn the_projects_own_templates_can_be_rendered() {
    let project = Project::open(env!("CARGO_MANIFEST_DIR").into()).unwrap();
    assert_eq!(project.recipes().count(), 4);
    for recipe in project.recipes() {
        bake(&project, recipe).unwrap_or_else(|error| panic!("{error}"));
    }
}
