//! A mail server set up as its owner would: with `mailimg`'s commands and the compose file that they write.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;

use crate::common::dns::{DnsServer, Record};
use crate::common::http::HttpServer;
use crate::common::imap::Mailbox;
use crate::common::project::Project;
use crate::common::{engine, wait_for};
pub use crate::pool::{exclusive, machine, quiet, shared};

pub const DOMAIN: &str = "example.test";
/// Another domain of the same site.
pub const SECOND: &str = "second.test";
pub const HOSTNAME: &str = "mail.example.test";
pub const ALICE: (&str, &str) = ("alice@example.test", "alice-Password-1");
pub const BOB: (&str, &str) = ("bob@example.test", "bob-Password-2");
/// A domain elsewhere whose server is down.
pub const DEFERRED: &str = "down.test";
/// Receives mail for postmaster@ and abuse@.
pub const POSTMASTER: (&str, &str) = ("admin@example.test", "admin-Password-3");
/// The password of users that single tests add.
pub const PASSWORD: &str = "a-Password-of-a-test";
/// What Dovecot's container logs when it can't look up users, and when it can again.
pub const LOST: &str = "auth-watch: Dovecot can't look up users";
pub const FOUND: &str = "auth-watch: Dovecot can look up users again";

/// All services, in the order in which they are checked.
pub const SERVICES: [&str; 4] = ["mysql", "clamav", "dovecot", "postfix"];

/// A domain below ours that others may send mail in.
pub const EXEMPT: &str = "news.example.test";

/// Another domain of ours. OpenDKIM never asks for keys below `test`.
pub const SHOP: &str = "shop.example";

/// The domains that the tests' name server answers for. All other names below `test` don't exist.
const DOMAINS: [&str; 12] = [
    DOMAIN,
    SECOND,
    SHOP,
    DEFERRED,
    "outside.test",
    "outside.example",
    "bank.example",
    "quarantine.test",
    "silent-key.example",
    "silent-spf.test",
    "silent-policy.test",
    "unreachable.test",
];

const PORTS: [u16; 4] = [25, 465, 587, 993];

/// A running stack with two users.
pub struct Stack {
    pub project: Project,
    name: String,
    ports: BTreeMap<u16, u16>,
    pub dns: DnsServer,
}

/// A client in a container of its own, which goes when this is dropped.
pub struct Elsewhere {
    pub name: String,
}

impl Elsewhere {
    /// Its address in its only network, in a field of what the engine says about that.
    pub fn address<T: FromStr<Err: Debug>>(&self, field: &str) -> T {
        let format = format!("{{{{range .NetworkSettings.Networks}}}}{{{{.{field}}}}}{{{{end}}}}");
        engine::inspect(&self.name, &format).parse().unwrap()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        engine::try_docker(["rm", "-fv", &self.name]);
    }
}

impl Stack {
    /// `pause` is the number of seconds between health checks. No container is healthy before its first one, but each of
    /// them takes a tenth of a second of a processor.
    pub fn start(pause: u32) -> Self {
        engine::require();
        let host = engine::host_address();
        let dns = DnsServer::start(host);
        dns.add("outside.test", Record::A(Ipv4Addr::LOCALHOST));
        dns.add("outside.test", Record::Mx("client.outside.test".to_owned()));
        dns.add("client.outside.test", Record::A(Ipv4Addr::LOCALHOST));

        // Nobody listens there, so mail for it is deferred.
        let IpAddr::V4(silent) = host else { panic!("{host} is not an IPv4 address") };
        dns.add(DEFERRED, Record::A(silent));

        let ports: BTreeMap<u16, u16> = PORTS.iter().map(|port| (*port, free_port())).collect();
        let project = built_project(&signatures(host).url(), dns.address(), &ports);
        project.run(["compose"]);
        project.write("test.yaml", overrides(pause));
        let stack = Self { project, name: mark("mailimg-test"), ports, dns };
        // No stack is ever dropped, so its project would stay, too.
        let (sweep, list) = (sweep(&stack.name), stack.image_list().display().to_string());
        let directory = stack.project.root().display().to_string();
        engine::when_process_ends(&format!("{sweep}; xargs -r docker image rm <{list}; rm -rf {directory}"));
        stack.load();
        stack.compose(&["up", "-d", "--quiet-pull"]);
        for service in SERVICES {
            stack.wait_until_healthy(service);
        }
        for (user, password) in [ALICE, BOB, POSTMASTER] {
            stack.add_user(user, password);
        }
        stack
    }

    /// Where a service's port is published.
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.ports[&port])
    }

    /// The name of a service's container.
    pub fn container(&self, service: &str) -> String {
        // Tests ask often, and compose takes five times as long.
        let label = |key: &str, value: &str| format!("--filter=label=com.docker.compose.{key}={value}");
        let filters = [label("project", &self.name), label("service", service)];
        engine::docker(["ps", "-aq", "--no-trunc", &filters[0], &filters[1]]).trim().to_owned()
    }

    /// The image that a service runs.
    pub fn image(&self, service: &str) -> String {
        self.compose_file()["services"][service]["image"].as_str().unwrap().to_owned()
    }

    /// Where a secret is on the host.
    pub fn secret(&self, name: &str) -> String {
        self.compose_file()["secrets"][name]["file"].as_str().unwrap().to_owned()
    }

    /// The compose file with everything that compose fills in.
    pub fn compose_file(&self) -> serde_json::Value {
        serde_json::from_str(&self.compose(&["config", "--format", "json"])).unwrap()
    }

    /// Runs `docker compose` on this stack. If it fails, panics with its output and that of the services.
    pub fn compose(&self, args: &[&str]) -> String {
        let output = std::process::Command::new("docker")
            .arg("compose")
            .args(args)
            .envs(self.environment())
            .current_dir(self.project.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "docker compose {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn wait_until_healthy(&self, service: &str) {
        wait_for_health(&self.container(service), service);
    }

    /// Runs something while the database is stopped, and waits until Dovecot has got over it.
    pub fn without_database<T>(&self, work: impl FnOnce() -> T) -> T {
        self.compose(&["stop", "-t", "30", "mysql"]);
        let reason = wait_for("Dovecot to notice", Duration::from_mins(1), || {
            let (is_healthy, reason) = self.dovecots_health();
            (!is_healthy).then_some(reason)
        });
        assert!(reason.contains("Dovecot can't look up users: "), "{reason}");
        let result = work();
        self.compose(&["start", "mysql"]);
        self.wait_until_healthy("mysql");
        wait_for("Dovecot to get over it", Duration::from_mins(1), || self.dovecots_health().0.then_some(()));
        result
    }

    /// Whether Dovecot is healthy at this moment, which Docker learns later, and why not.
    pub fn dovecots_health(&self) -> (bool, String) {
        engine::exec(&self.container("dovecot"), &["/usr/local/libexec/mailimg/health"])
    }

    /// How often Dovecot's container has logged something.
    pub fn said_in_dovecot(&self, text: &str) -> usize {
        engine::logs(&self.container("dovecot")).matches(text).count()
    }

    /// Runs a Python program in a container that has just joined the stack's outside network: a client whose address the
    /// server has never seen, and that may take further ones. Returns its output.
    pub fn run_elsewhere(&self, program: &str) -> String {
        engine::docker(self.elsewhere(&self.outside_network(), &["--rm"], program))
    }

    /// Starts such a program and leaves it running.
    pub fn start_elsewhere(&self, program: &str) -> Elsewhere {
        self.start_in(&self.outside_network(), program)
    }

    /// The same in another network.
    pub fn start_in(&self, network: &str, program: &str) -> Elsewhere {
        let name = mark("elsewhere");
        engine::docker(self.elsewhere(network, &["--detach", "--name", &name], program));
        Elsewhere { name }
    }

    fn elsewhere(&self, network: &str, options: &[&str], program: &str) -> Vec<String> {
        let network = format!("--network={network}");
        let label = format!("--label={}={}", engine::LABEL, engine::run());
        let all =
            ["--user=0", "--cap-add=NET_ADMIN", "--ulimit=nofile=16384", "--entrypoint=python3", &network, &label];
        let image = self.image("dovecot");
        let words = [["run"].as_slice(), options, &all, &[&image, "-c", program]].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    /// The network whose members can be reached from outside. Tests ask often, so compose isn't asked.
    pub fn outside_network(&self) -> String {
        let has_ipv6 = self.project.read("compose.yaml").contains("\n  outside-ipv6:\n");
        format!("{}_{}", self.name, if has_ipv6 { "outside-ipv6" } else { "outside" })
    }

    /// Builds and loads the images again, and recreates the containers whose images have changed.
    pub fn rebuild(&self) {
        build(&self.project);
        self.load();
        self.project.run(["compose"]);
        self.compose(&["up", "-d", "--quiet-pull"]);
        for service in SERVICES {
            self.wait_until_healthy(service);
        }
    }

    /// Loads the images. They stay until the process ends, because another stack may be about to run the same ones.
    fn load(&self) {
        let images = self.project.run(["load"]);
        assert_eq!(images.lines().count(), SERVICES.len(), "{images}");
        let mut list = fs_err::OpenOptions::new().create(true).append(true).open(self.image_list()).unwrap();
        list.write_all(images.as_bytes()).unwrap();
    }

    /// Where the names of all images are kept that this stack has loaded.
    fn image_list(&self) -> PathBuf {
        self.project.root().join("images")
    }

    /// Removes the containers with all that they have, except for the images and the project.
    pub fn discard(self) {
        std::process::Command::new("sh").args(["-c", &sweep(&self.name)]).stdout(Stdio::null()).status().unwrap();
        std::mem::forget(self);
    }

    /// Changes settings of the site, each by section and key, and rebuilds. Returns the site's file as it was before.
    pub fn set<const N: usize>(&self, settings: [(&str, &str, toml::Value); N]) -> String {
        let before = self.project.read("mailimg.toml");
        let mut site: toml::Table = before.parse().unwrap();
        for (section, key, value) in settings {
            let section = site.entry(section).or_insert_with(|| toml::Table::new().into());
            section.as_table_mut().unwrap().insert(key.to_owned(), value);
        }
        self.restore(&toml::to_string(&site).unwrap());
        before
    }

    /// Gives the site such a file, and rebuilds.
    pub fn restore(&self, site: &str) {
        self.project.write("mailimg.toml", site);
        self.rebuild();
    }

    /// The certificate for clients to trust.
    pub fn certificate(&self) -> String {
        self.project.read("secrets/tls/fullchain.pem")
    }

    pub fn mailbox(&self, (user, password): (&str, &str)) -> Mailbox {
        Mailbox {
            address: self.address(993),
            server_name: HOSTNAME.to_owned(),
            certificate_pem: self.certificate(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    pub fn add_user(&self, user: &str, password: &str) {
        self.mailimg(&["user", "add", user, "--password-stdin"], &format!("{password}\n"));
    }

    /// Adds a user that no other test knows, and returns its address and password.
    pub fn new_user(&self, name: &str) -> (String, &'static str) {
        let user = new_address(name);
        self.add_user(&user, PASSWORD);
        (user, PASSWORD)
    }

    /// Makes a Sieve script that of a user, from the next mail on.
    pub fn install_script(&self, user: &str, script: &str) {
        let home = home(user);
        let write = r#"mkdir -p "$0" && printf '%s' "$1" >"$0/.dovecot.sieve""#;
        engine::docker(["exec", "--user", "vmail", &self.container("dovecot"), "sh", "-c", write, &home, script]);
    }

    /// When each service's container was last started.
    pub fn started(&self) -> [String; 4] {
        SERVICES.map(|service| engine::inspect(&self.container(service), "{{.State.StartedAt}}"))
    }

    /// Runs `mailimg` on this stack and returns its output. If it fails, panics with its messages.
    pub fn mailimg(&self, args: &[&str], input: &str) -> String {
        let (succeeded, out, said) = self.try_mailimg(args, input);
        assert!(succeeded, "mailimg {args:?}: {said}");
        out
    }

    /// The same, but also returns whether it succeeded, and its messages.
    pub fn try_mailimg(&self, args: &[&str], input: &str) -> (bool, String, String) {
        let mut command = self.project.mailimg(args);
        let output = command.envs(self.environment()).write_stdin(input.to_owned()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// What `mailimg` prints with `--json`.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.mailimg(&[args, &["--json"]].concat(), "")).unwrap()
    }

    fn environment(&self) -> [(&'static str, String); 2] {
        [("COMPOSE_PROJECT_NAME", self.name.clone()), ("COMPOSE_FILE", "compose.yaml:test.yaml".to_owned())]
    }
}

/// A project made by `mailimg init`, with secrets and its images built. It asks `dns` for all names, and its ports are
/// published on the loopback address.
pub fn built_project(signatures: &str, dns: SocketAddr, ports: &BTreeMap<u16, u16>) -> Project {
    let project = Project::with_shared_cache();
    project.run(["init", DOMAIN]);
    configure(&project, signatures, ports);
    adapt(&project, dns);
    bake_signature(&project);
    project.run(["secrets", "init"]);
    build(&project);
    project
}

/// Fetches signatures from there alone, and publishes ports on the loopback address.
pub fn configure(project: &Project, signatures: &str, ports: &BTreeMap<u16, u16>) {
    let site = project.read("mailimg.toml");
    let mut site: toml::Table = site.parse().unwrap();
    let antivirus = site.entry("antivirus").or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
    antivirus.insert("official".to_owned(), false.into());
    antivirus.insert("databases".to_owned(), vec![format!("{signatures}/fetched.ndb")].into());
    let published: toml::Table = ports.iter().map(|(port, host)| (port.to_string(), i64::from(*host).into())).collect();
    let publish = [("bind".to_owned(), vec!["127.0.0.1"].into()), ("ports".to_owned(), published.into())];
    site.insert("publish".to_owned(), toml::Table::from_iter(publish).into());
    project.write("mailimg.toml", toml::to_string(&site).unwrap());
}

/// Gives a site more domains, a name server that knows them, and users without a limit.
fn adapt(project: &Project, dns: SocketAddr) {
    let mut site: toml::Table = project.read("mailimg.toml").parse().unwrap();
    site.insert("domains".to_owned(), vec![DOMAIN, SHOP, SECOND].into());
    let resolver: toml::Table = [("forward", vec![dns.to_string()]), ("insecure", DOMAINS.map(str::to_owned).into())]
        .map(|(key, list)| (key.to_owned(), list.into()))
        .into_iter()
        .collect();
    site.insert("dns".to_owned(), resolver.into());
    let dmarc = site.entry("dmarc").or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
    dmarc.insert("exempt".to_owned(), vec![EXEMPT.to_owned()].into());
    // Users of the tests send more than any real one.
    let limits = site.entry("limits").or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
    limits.insert("recipients-per-hour".to_owned(), 0.into());
    project.write("mailimg.toml", toml::to_string(&site).unwrap());
}

/// A signature of the image itself, for the EICAR test file, and a domain that phishers pretend to be, as ClamAV's own
/// databases list some.
pub fn bake_signature(project: &Project) {
    let directory = std::path::Path::new("images/clamav/rootfs/etc/mailimg/signatures");
    project.write(directory.join("baked.ndb"), signature("Eicar-Test", &eicar()));
    project.write(directory.join("phished.pdb"), "H:bank.example\n");
}

/// Builds the images. If Debian has replaced a locked package (exit code 4), locks again, as an owner would.
pub fn build(project: &Project) {
    let output = project.mailimg(["build"]).output().unwrap();
    if output.status.code() == Some(4) {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        eprintln!("locking anew:\n{}", project.run(["lock"]));
        project.run(["build"]);
    } else {
        assert!(output.status.success(), "build: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A process in a container.
#[derive(Debug, PartialEq, Eq)]
pub struct Process {
    pub id: String,
    user: String,
    name: String,
    /// What it calls itself, or its arguments.
    pub title: String,
}

/// The processes of a container, without `ps`, which an image may lack.
pub fn processes(container: &str) -> Vec<Process> {
    let list = r#"for p in /proc/[0-9]*; do
        name=
        while read -r key value _; do
            case $key in Name:) name=$value ;; Uid:) user=$value ;; esac
        done <$p/status
        [ -z "$name" ] || echo "${p#/proc/} $user $name $(tr '\0\n' '  ' <$p/cmdline)"
    done 2>/dev/null"#;
    let listed = engine::docker(["exec", container, "sh", "-c", list]);
    let process = |line: &str| {
        let mut fields = line.splitn(4, ' ').map(str::to_owned);
        Some(Process { id: fields.next()?, user: fields.next()?, name: fields.next()?, title: fields.next()? })
    };
    listed.lines().filter_map(process).collect()
}

/// Sends a signal to a process as its own user: the container's root may not be allowed to.
pub fn signal(container: &str, signal: &str, process: &Process) {
    let command = format!("kill -{signal} {}", process.id);
    engine::docker(["exec", "--user", &process.user, container, "sh", "-c", &command]);
}

/// Kills all processes of a program in a container.
pub fn kill(container: &str, program: &str) {
    let processes = processes(container);
    let mut found = processes.iter().filter(|process| process.name == program).peekable();
    assert!(found.peek().is_some(), "no {program} to kill among {processes:?}");
    found.for_each(|process| signal(container, "KILL", process));
}

/// Waits for the result of the image's health check.
pub fn wait_for_health(container: &str, service: &str) {
    let start = std::time::Instant::now();
    loop {
        let state = engine::inspect(container, "{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}");
        if state == "running healthy" {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(150),
            "{service} is {state:?} after 150 s:\n{}\n{}",
            engine::inspect(container, "{{json .State.Health}}"),
            engine::logs(container)
        );
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The EICAR test file, assembled here so that no scanner takes this source for a virus.
pub fn eicar() -> String {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

/// A text that the fetched signature detects; the signature baked into the image detects EICAR.
pub const FETCHED_VIRUS: &str = "this stands for a virus whose signature is fetched";

/// Serves it to all stacks, which then run the same image.
fn signatures(host: IpAddr) -> &'static HttpServer {
    static SERVER: OnceLock<HttpServer> = OnceLock::new();
    let files = || [("/fetched.ndb".to_owned(), signature("Fetched", FETCHED_VIRUS))].into();
    SERVER.get_or_init(|| HttpServer::files(host, files()))
}

/// A signature database with one signature: a text, anywhere in any file (ClamAV's extended format).
fn signature(name: &str, text: &str) -> Vec<u8> {
    format!("{name}:0:*:{}\n", hex::encode(text)).into_bytes()
}

/// Additions to an owner's stack for tests: labels to find its containers, and health checks with so many seconds between
/// them.
fn overrides(pause: u32) -> String {
    let labels = serde_json::json!({ engine::LABEL: engine::run() });
    let service = serde_json::json!({ "labels": labels, "healthcheck": { "interval": format!("{pause}s") } });
    let services: serde_json::Map<_, _> = SERVICES.iter().map(|name| ((*name).to_owned(), service.clone())).collect();
    // JSON is YAML, too.
    serde_json::json!({ "services": services }).to_string()
}

/// Removes whatever carries the compose project's label.
fn sweep(name: &str) -> String {
    let label = format!("label=com.docker.compose.project={name}");
    format!(
        "docker ps -aq --filter {label} | xargs -r docker rm -fv; \
         docker volume ls -q --filter {label} | xargs -r docker volume rm -f; \
         docker network ls -q --filter {label} | xargs -r docker network rm"
    )
}

/// A port that nobody listens on now, another one each time. It is below the ephemeral ports: another test or a client
/// could be given one of those before it is used.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 15_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    let mut ports = std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap()
}

/// Sends a message from outside through port 25, and fails unless it is accepted; `mark` identifies it.
pub fn deliver(stack: &Stack, to: &str, mark: &str) {
    let mut smtp = crate::common::smtp::Smtp::open(stack.address(25));
    let reply = smtp.send("someone@outside.test", to, &message("someone@outside.test", to, mark));
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// A short message with a subject.
pub fn message(from: &str, to: &str, subject: &str) -> String {
    format!("{}\nHello.\n", headers(from, to, subject))
}

/// The headers that every message needs.
pub fn headers(from: &str, to: &str, subject: &str) -> String {
    format!(
        "From: <{from}>\nTo: <{to}>\nSubject: {subject}\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n\
         Message-ID: <{subject}@outside.test>\n"
    )
}

/// An attachment's content, in Base64.
pub fn base64_lines(content: &[u8]) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(content);
    let lines: Vec<_> = encoded.as_bytes().chunks(76).map(String::from_utf8_lossy).collect();
    lines.join("\n")
}

/// An address of the first domain that no other test uses.
pub fn new_address(name: &str) -> String {
    format!("{}@{DOMAIN}", mark(name))
}

/// Where a user's mail is, in the container of Dovecot.
pub fn home(user: &str) -> String {
    let (name, domain) = user.split_once('@').unwrap();
    format!("/srv/mail/{domain}/{name}")
}

/// A unique text.
pub fn mark(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until a container's log contains a line for which `wanted` is true.
pub fn wait_for_log(container: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    wait_for(what, Duration::from_secs(20), || {
        engine::logs(container).lines().find(|line| wanted(line)).map(str::to_owned)
    })
}
