//! Sites of their own, from nothing to a running server and back, by `mailimg up`, `status` and `down`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::RwLockReadGuard;
use std::time::Instant;

use crate::common::engine;
use crate::common::imap::Mailbox;
use crate::common::project::Project;
use crate::common::smtp::Smtp;
use crate::stack::{self, DOMAIN, HOSTNAME, POSTMASTER, SERVICES, mark, message};

/// The exit code of a container that had to be killed.
const KILLED: i32 = 128 + 9;

/// A site under a name of its own, which is removed with all that it has on the engine.
struct Site {
    project: Project,
    name: String,
    ports: BTreeMap<u16, u16>,
    _machine: RwLockReadGuard<'static, ()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={}", self.name);
        for (list, remove) in [("ps -aq", "rm -fv"), ("volume ls -q", "volume rm"), ("network ls -q", "network rm")] {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let found = engine::try_docker([words(list), vec!["--filter".to_owned(), label.clone()]].concat());
            let found = words(&String::from_utf8_lossy(&found.stdout));
            if !found.is_empty() {
                engine::try_docker([words(remove), found].concat());
            }
        }
    }
}

impl Site {
    /// A site without virus signatures.
    fn new() -> Self {
        engine::require();
        let machine = stack::machine();
        let ports: BTreeMap<u16, u16> = [25, 465, 587, 993].map(|port| (port, stack::free_port())).into();
        let project = Project::with_shared_cache();
        project.run(["init", DOMAIN]);
        let name = mark("mailimg-test-up");
        stack::configure(&project, "http://127.0.0.1:9", &ports);
        let site = project.read("mailimg.toml").replace("name = \"example-test\"", &format!("name = \"{name}\""));
        project.write("mailimg.toml", site);
        project.replace("recipes/postfix.toml", "interval = 15\n", "interval = 5\n");
        stack::build(&project);
        Self { project, name, ports, _machine: machine }
    }

    /// From now on, containers are unhealthy when a check fails, without more time to start.
    fn be_impatient(&self) {
        for (recipe, start, retries) in [("clamav", 600, 6), ("postfix", 60, 4)] {
            let patient = format!("start-period = {start}\nretries = {retries}\n");
            self.project.replace(format!("recipes/{recipe}.toml"), &patient, "start-period = 5\nretries = 1\n");
        }
    }

    /// A site with virus signatures and a user, that is up.
    fn running() -> Self {
        let site = Self::new();
        site.add_signatures();
        site.succeeds(&["up"]);
        site.add_user();
        site
    }

    fn add_signatures(&self) {
        stack::bake_signature(&self.project);
        self.project.replace("mailimg.toml", "\"http://127.0.0.1:9/fetched.ndb\"", "");
    }

    fn add_user(&self) {
        let password = format!("{}\n", POSTMASTER.1);
        let (code, _, said) = self.run(&["user", "add", POSTMASTER.0, "--password-stdin"], &password);
        assert_eq!(code, 0, "{said}");
    }

    fn run(&self, args: &[&str], input: &str) -> (i32, String, String) {
        let began = Instant::now();
        let output = self.project.mailimg(args).write_stdin(input).output().unwrap();
        eprintln!("mailimg {args:?}: {:.1?}", began.elapsed());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn succeeds(&self, args: &[&str]) -> String {
        let (code, _, said) = self.run(args, "");
        assert_eq!(code, 0, "mailimg {args:?}: {said}");
        said
    }

    /// Container ids by service, and how often each was restarted by the engine.
    fn containers(&self) -> BTreeMap<String, (String, String)> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let ids = engine::docker(["ps", "-aq", "--no-trunc", "--filter", &label]);
        let inspect = |id: &str| {
            let service = engine::inspect(id, "{{index .Config.Labels \"com.docker.compose.service\"}}");
            (service, (id.to_owned(), engine::inspect(id, "{{.RestartCount}}")))
        };
        ids.split_whitespace().map(inspect).collect()
    }

    fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.ports[&port])
    }

    fn mailbox(&self) -> Mailbox {
        Mailbox {
            address: self.address(993),
            server_name: HOSTNAME.to_owned(),
            certificate_pem: self.project.read("secrets/tls/fullchain.pem"),
            user: POSTMASTER.0.to_owned(),
            password: POSTMASTER.1.to_owned(),
        }
    }

    fn turn_antivirus(&self, enabled: bool) {
        let mut site: toml::Table = self.project.read("mailimg.toml").parse().unwrap();
        let section = site.get_mut("antivirus").unwrap().as_table_mut().unwrap();
        section.insert("enabled".to_owned(), enabled.into());
        self.project.write("mailimg.toml", toml::to_string(&site).unwrap());
    }

    /// Sends a mail from outside, and waits for it in the mailbox. Returns its mark and itself.
    fn sends_and_receives(&self, what: &str) -> (String, String) {
        let mark = mark(what);
        let message = message("someone@outside.test", POSTMASTER.0, &mark);
        let reply = Smtp::open(self.address(25)).send("someone@outside.test", POSTMASTER.0, &message);
        assert_eq!(reply.code, 250, "{reply:?}");
        let arrived = self.mailbox().wait_for_message(&mark);
        (mark, arrived)
    }
}

#[test]
fn a_site_without_signatures_says_so_until_it_has_some() {
    let site = Site::new();
    site.be_impatient();

    // Without signatures, two services are unhealthy and say why; none is restarted.
    let (code, _, said) = site.run(&["up", "--timeout", "120"], "");
    assert_eq!(code, 1, "{said}");
    for reason in ["clamav is unhealthy: no virus signatures yet", "postfix is unhealthy: no virus signatures yet"] {
        assert!(said.contains(reason), "{said}");
    }
    let without = site.containers();
    assert!(without.keys().eq(["clamav", "dovecot", "mysql", "postfix"]), "{without:?}");
    assert!(without.values().all(|(_, restarts)| restarts == "0"), "{without:?}");
    let (code, out, said) = site.run(&["status"], "");
    assert!(code == 1 && out.contains("unhealthy: no virus signatures yet"), "{out}{said}");

    // If none will come, that is the reason.
    site.project.replace("mailimg.toml", "\"http://127.0.0.1:9/fetched.ndb\"", "");
    let (code, _, said) = site.run(&["up", "--timeout", "60"], "");
    assert!(code == 1 && said.contains("clamav is unhealthy: no virus signatures: mailimg.toml lists none"), "{said}");
    assert!(site.containers().values().all(|(_, restarts)| restarts == "0"), "{said}");

    // With signatures, only their image is built, and only its container is another one.
    let without = site.containers();
    stack::bake_signature(&site.project);
    let said = site.succeeds(&["up"]);
    assert!(said.contains("built clamav ") && !said.contains("built mysql "), "{said}");
    assert!(said.contains("all 4 services are healthy"), "{said}");
    assert!(said.contains("next: `mailimg user add admin@example.test`"), "{said}");
    let with = site.containers();
    let changed: Vec<_> = SERVICES.into_iter().filter(|service| with[*service].0 != without[*service].0).collect();
    assert_eq!(changed, ["clamav"]);
    site.add_user();
    site.sends_and_receives("up");

    // Again, there is nothing to do and nothing to say.
    let said = site.succeeds(&["up"]);
    assert!(said.starts_with("nothing changed: all 4 services are healthy") && !said.contains("next: "), "{said}");
    assert_eq!(site.containers(), with);
    site.succeeds(&["status"]);
}

#[test]
fn a_site_turns_its_scanner_off_and_on() {
    let site = Site::running();
    // Without the scanner, nothing else is another container but Postfix, which no longer asks it. The same when it is
    // turned on again.
    let mut scanned = site.containers();
    for (enabled, change) in [(false, "removed the container of clamav"), (true, "created the container of clamav")] {
        site.turn_antivirus(enabled);
        let said = site.succeeds(&["up"]);
        assert!(said.contains(change), "{said}");
        let now = site.containers();
        assert_eq!(now.contains_key("clamav"), enabled);
        let same: Vec<_> = SERVICES.into_iter().filter(|service| now.get(*service) == scanned.get(*service)).collect();
        assert_eq!(same, ["mysql", "dovecot"], "{said}");
        scanned = now;
        let arrived = site.sends_and_receives("antivirus").1;
        assert_eq!(arrived.contains("X-Virus-Status: Clean"), enabled, "{arrived}");
        site.succeeds(&["status"]);
    }
}

#[test]
fn a_site_gets_new_secrets_moves_and_goes_without_losing_mail() {
    let site = Site::running();
    let first = site.sends_and_receives("up").0;

    // New passwords and certificates, with the same users and mail.
    site.succeeds(&["secrets", "rotate"]);
    let (code, _, said) = site.run(&["status"], "");
    assert_eq!(code, 1);
    assert!(said.contains("running without the newest secrets: mysql, dovecot, postfix"), "{said}");
    let said = site.succeeds(&["up"]);
    assert!(said.contains("restarted the container of postfix") && !said.contains("of clamav"), "{said}");
    site.succeeds(&["status"]);
    site.sends_and_receives("rotated");
    site.mailbox().wait_for_message(&first);
    let password = site.project.read("secrets/database-password");
    for (id, _) in site.containers().values() {
        let known = [engine::docker(["inspect", id]), engine::docker(["top", id]), engine::logs(id)].concat();
        assert!(!known.contains(password.trim()), "{known}");
    }

    // Each service ends in the time that it has, without being killed. The site comes back with its mail, also from a
    // directory of another name.
    let count = site.containers().len();
    let codes = engine::exit_codes(&site.name, count, || drop(site.succeeds(&["down"])));
    assert!(codes.len() == count && !codes.contains(&KILLED), "{codes:?}");
    assert!(site.containers().is_empty());
    let moved = site.project.root().join("moved");
    fs_err::rename(site.project.path(), &moved).unwrap();
    fs_err::create_dir(site.project.path()).unwrap();
    site.succeeds(&["--project", moved.to_str().unwrap(), "up"]);
    fs_err::remove_dir(site.project.path()).unwrap();

    // Moved while it runs, it is still up, but its containers could not be started again.
    fs_err::rename(&moved, site.project.path()).unwrap();
    let (code, _, said) = site.run(&["status"], "");
    assert!(code == 1 && said.contains("not running as compose.yaml says: mysql, "), "{said}");
    let said = site.succeeds(&["up"]);
    for service in SERVICES {
        assert!(said.contains(&format!("recreated the container of {service}")), "{said}");
    }
    site.succeeds(&["status"]);
    site.mailbox().wait_for_message(&first);
    site.succeeds(&["down"]);
}
