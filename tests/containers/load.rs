//! Many clients at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::smtp::{Reply, Smtp};
use crate::common::{count, engine};
use crate::stack::{self, ALICE, BOB, Stack, mark, message};

const SENDERS: usize = 20;

/// All at once ask for the same key, which doesn't exist.
#[test]
fn mail_of_many_servers_at_once_arrives_once() {
    let signature = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=shop.example; s=none; h=from:to;\n \
                     bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n";
    burst(|stack, mark| {
        let message = long_message("someone@outside.test", mark);
        let mut smtp = Smtp::open(stack.address(25));
        let reply = smtp.send("someone@outside.test", BOB.0, &format!("{signature}{message}"));
        smtp.say("QUIT");
        reply
    });
}

#[test]
fn mail_that_many_clients_submit_at_once_arrives_once() {
    burst(|stack, mark| {
        let mut smtp = Smtp::open(stack.address(587));
        smtp.starttls();
        let login = smtp.auth(ALICE.0, ALICE.1);
        if login.code != 235 {
            return login;
        }
        let reply = smtp.send(ALICE.0, BOB.0, &long_message(ALICE.0, mark));
        smtp.say("QUIT");
        reply
    });
}

/// Sends mails of 10 kB to one user, from as many senders as one address may have connections.
fn burst(send: impl Fn(&Stack, &str) -> Reply + Sync) {
    let stack = stack::quiet();
    let containers = stack::SERVICES.map(|service| stack.container(service));
    let before = stack.started();
    let (run, mails) = (mark("burst"), count(100, 500));
    let work = |sender| {
        let numbers = (0..mails).filter(|number| number % SENDERS == sender);
        numbers.map(|number| send(&stack, &format!("{run}-{number:04}"))).collect::<Vec<_>>()
    };
    let began = Instant::now();
    let (replies, memory) = memory_during(&containers, || in_parallel(SENDERS, work));
    let accepted = began.elapsed();
    let refused: Vec<_> = replies.iter().flatten().filter(|reply| reply.code != 250).collect();
    assert!(refused.is_empty(), "{} of {mails}: {:?}\n{}", refused.len(), refused.first(), complaints(&stack));
    let arrived = wait_until_all_arrived(&stack, &run, mails);
    assert!(arrived.values().all(|copies| *copies == 1), "{arrived:?}");
    eprintln!("{mails} mails accepted in {accepted:.1?}, delivered in {:.1?}; memory {memory:?}", began.elapsed());
    assert!(memory.iter().all(|share| *share < 90), "percent of the limits of {:?}: {memory:?}", stack::SERVICES);
    assert_eq!(stack.started(), before, "a container was restarted");
}

fn long_message(from: &str, mark: &str) -> String {
    let line = "A line of a mail that has many of them, and says nothing.\n";
    format!("{}{}", message(from, BOB.0, mark), line.repeat(10_000 / line.len()))
}

/// How many copies of each mail of a run have arrived, once all of them have, or none has for a minute.
fn wait_until_all_arrived(stack: &Stack, run: &str, mails: usize) -> BTreeMap<String, usize> {
    let mut progress = (0, Instant::now());
    loop {
        let arrived = subjects(stack, run);
        if arrived.len() == mails {
            return arrived;
        }
        if arrived.len() > progress.0 {
            progress = (arrived.len(), Instant::now());
        }
        assert!(
            progress.1.elapsed() < Duration::from_mins(1),
            "{} of {mails} mails arrived; {}",
            arrived.len(),
            deferrals(stack)
        );
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// What may say why mail was refused: the latest errors and warnings of Dovecot and Postfix.
fn complaints(stack: &Stack) -> String {
    let of_service = |service| {
        let log = engine::logs(&stack.container(service));
        let words = ["error", "warning", "fatal", "panic", "killed"];
        let is_complaint = |line: &&str| words.iter().any(|word| line.to_lowercase().contains(word));
        let lines: Vec<_> = log.lines().filter(is_complaint).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    };
    ["dovecot", "postfix"].map(of_service).join("\n")
}

/// Why Postfix has put off deliveries lately.
fn deferrals(stack: &Stack) -> String {
    let log = engine::logs(&stack.container("postfix"));
    let lines: Vec<_> = log.lines().filter(|line| line.contains("status=deferred")).collect();
    lines.into_iter().rev().take(5).collect::<Vec<_>>().join("\n")
}

/// The mails of a run in Bob's mailbox: subjects, and how often each is there.
pub fn subjects(stack: &Stack, run: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for headers in stack.mailbox(BOB).headers("INBOX") {
        let subject = headers.lines().find_map(|line| line.strip_prefix("Subject: "));
        if let Some(subject) = subject.filter(|it| it.starts_with(run)) {
            *found.entry(subject.trim_end().to_owned()).or_default() += 1;
        }
    }
    found
}

/// The results of `work(0)`, `work(1)`, … each on its own thread.
pub fn in_parallel<T: Send>(workers: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    })
}

/// Runs `work` and watches the memory of containers meanwhile. Also returns the most that each has used, in percent of
/// its limit.
pub fn memory_during<T>(containers: &[String], work: impl FnOnce() -> T) -> (T, Vec<u64>) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut highest = vec![0; containers.len()];
            while !ended.load(Ordering::Relaxed) {
                for (highest, container) in highest.iter_mut().zip(containers) {
                    *highest = memory(container).unwrap_or_default().max(*highest);
                }
                std::thread::sleep(Duration::from_millis(500));
            }
            highest
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        ended.store(true, Ordering::Relaxed);
        let highest = watcher.join().unwrap();
        (result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), highest)
    })
}

/// A container's memory in percent of its limit, without what the kernel can drop: cached files other than those of
/// tmpfs. None while the container doesn't run.
pub fn memory(container: &str) -> Option<u64> {
    // Control groups of version 1, then 2.
    let files = "cd /sys/fs/cgroup; cat memory/memory.usage_in_bytes memory/memory.stat 2>/dev/null || \
                 cat memory.current memory.stat";
    let (true, text) = engine::exec(container, &["sh", "-c", files]) else { return None };
    let used: u64 = text.lines().next()?.parse().unwrap();
    let value = |name: &str| -> u64 {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    };
    let cached = value("total_cache") + value("file");
    let tmpfs = value("total_shmem") + value("shmem");
    let limit: u64 = engine::inspect(container, "{{.HostConfig.Memory}}").parse().unwrap();
    Some((used - cached + tmpfs) * 100 / limit)
}

/// A process for each would need more memory than the container has.
#[test]
fn idle_clients_of_submission_are_limited() {
    // Nobody else gets a connection meanwhile.
    let stack = stack::exclusive();
    let container = stack.container("postfix");
    let started = engine::inspect(&container, "{{.State.StartedAt}}");
    let connections: Vec<_> = (0..60).map(|_| Smtp::connect(stack.address(587))).collect();
    let greeted = connections.iter().filter(|(_, greeting)| greeting.code == 220).count();
    let refused = connections.iter().filter(|(_, greeting)| greeting.code == 421).count();
    assert!(
        (10..=23).contains(&greeted) && greeted + refused == connections.len(),
        "{greeted} greeted, {refused} refused"
    );
    let mut smtp = Smtp::open_tls(stack.address(465));
    assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
    assert_eq!(engine::inspect(&container, "{{.State.StartedAt}}"), started);
}

/// Strangers open connections on all ports, from one address and from fifty, and try passwords; users and other servers
/// have to get through, and nothing may be killed.
#[test]
fn idle_strangers_and_guessers_keep_nobody_out() {
    let stack = stack::quiet();
    let containers = stack::SERVICES.map(|service| stack.container(service));
    let before = stack.started();
    for addresses in [1, 50] {
        let connections = count(300, 1000);
        let crowd = stack
            .start_elsewhere(&format!("connections, addresses = {connections}, {addresses}\n{OWN_ADDRESSES}{CROWD}"));
        crate::common::wait_for("the crowd", Duration::from_mins(1), || {
            engine::logs(&crowd.name).contains("all are there").then_some(())
        });
        let (took, memory) = memory_during(&containers, || legitimate_work(&stack));
        eprintln!("beside {connections} idle connections from {addresses} addresses: {took:.1?}; memory {memory:?}");
        eprintln!("{}", engine::logs(&crowd.name));
        assert!(memory.iter().all(|share| *share < 90), "{memory:?}");
    }
    assert_eq!(stack.started(), before, "a container was restarted");
}

/// Gives the container of a client as many `own` addresses as `addresses` says.
pub const OWN_ADDRESSES: &str = r#"
import subprocess
base = subprocess.check_output(["busybox", "hostname", "-i"], text=True).split()[0].rsplit(".", 1)[0]
own = [f"{base}.{100 + number}" for number in range(addresses)]
for address in own:
    subprocess.run(["busybox", "ip", "address", "add", address + "/16", "dev", "eth0"], check=True)
"#;

/// Opens idle connections to all ports, opens each again a second after it was closed, and tries 500 passwords a minute.
const CROWD: &str = r#"
import collections, selectors, socket, ssl, threading, time
hosts = {port: socket.gethostbyname(name) for name, ports in (("postfix", (25, 465, 587)), ("dovecot", (993,))) for port in ports}
ports = list(hosts)
selector = selectors.DefaultSelector()
ended = collections.Counter()
again = collections.deque()

def connect(number):
    port = ports[number % len(ports)]
    client = socket.socket()
    client.setblocking(False)
    client.bind((own[number // len(ports) % addresses], 0))
    client.connect_ex((hosts[port], port))
    selector.register(client, selectors.EVENT_READ, (number, port))

def guess(worker):
    context = ssl._create_unverified_context()
    while True:
        time.sleep(60 / 500 * 10)
        try:
            with socket.create_connection((hosts[993], 993), timeout=20, source_address=(own[worker % addresses], 0)) as plain:
                with context.wrap_socket(plain) as client:
                    client.sendall(b"a login alice@example.test guess-%d\r\n" % worker)
                    while not (answer := client.recv(4096)).startswith(b"a "):
                        if not answer: break
                    ended["guesses"] += 1
        except OSError:
            ended["guesses lost"] += 1

for number in range(connections):
    connect(number)
for worker in range(10):
    threading.Thread(target=guess, args=(worker,), daemon=True).start()
print("all are there", flush=True)
shown = time.time()
while True:
    for key, _ in selector.select(timeout=1):
        number, port = key.data
        try:
            open = key.fileobj.recv(4096)
        except OSError:
            open = b""
        if not open:
            ended[port] += 1
            selector.unregister(key.fileobj)
            key.fileobj.close()
            again.append((time.time() + 1, number))
    while again and again[0][0] < time.time():
        connect(again.popleft()[1])
    if time.time() > shown + 5:
        shown = time.time()
        print(dict(ended), flush=True)
"#;

/// How long clients wait for the greeting (RFC 5321, section 4.5.3.2.1).
const PATIENCE: Duration = Duration::from_mins(5);

/// A mail from outside, one from a user, and reading both.
pub fn legitimate_work(stack: &Stack) -> [Duration; 3] {
    let timed = |work: &dyn Fn()| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    let (incoming, submitted) = (mark("incoming"), mark("submitted"));
    [
        timed(&|| {
            let mut smtp = Smtp::open_within(stack.address(25), PATIENCE);
            let from = "someone@outside.test";
            assert_eq!(smtp.send(from, BOB.0, &message(from, BOB.0, &incoming)).code, 250);
        }),
        timed(&|| {
            let mut smtp = Smtp::open_within(stack.address(587), PATIENCE);
            smtp.starttls();
            assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
            assert_eq!(smtp.send(ALICE.0, BOB.0, &message(ALICE.0, BOB.0, &submitted)).code, 250);
        }),
        timed(&|| {
            for mark in [&incoming, &submitted] {
                stack.mailbox(BOB).wait_for_message(mark);
            }
        }),
    ]
}
