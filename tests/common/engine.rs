//! The container engine, through its command line.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Every container of the tests carries this label, with [`run`] as its value.
pub const LABEL: &str = "org.mailimg.test";

/// Identifies the containers of this run: the value that `scripts/test` sets, or this process's id.
pub fn run() -> String {
    std::env::var("MAILIMG_TEST_RUN").unwrap_or_else(|_| std::process::id().to_string())
}

/// Fails unless a container engine answers. Every test that needs one calls this first.
pub fn require() {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    let answer = ANSWER.get_or_init(|| {
        let output = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("docker: {error}")),
        }
    });
    if let Err(reason) = answer {
        panic!(
            "this test needs a container engine, and none answers ({reason})\n\
             hint: `scripts/engine start` installs and starts one; `scripts/test` does all of it"
        );
    }
}

/// Runs `docker`, whether or not it succeeds.
pub fn try_docker<I, S>(args: I) -> Output
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    Command::new("docker").args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs `docker` and returns its output. If it fails, panics with its messages.
pub fn docker<I, S>(args: I) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    let output = try_docker(&args);
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The exit codes of `count` containers of a compose project that end while `what` is done. The engine itself remembers
/// its last 256 events only, most of which are health checks.
pub fn exit_codes(project: &str, count: usize, what: impl FnOnce()) -> Vec<i32> {
    let filter = format!("label=com.docker.compose.project={project}");
    // So that a container that doesn't end is a failure.
    let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_mins(3);
    let mut events = Command::new("docker")
        .args(["events", "--since", "1s", "--until", &until.as_secs().to_string()])
        .args(["--filter", &filter, "--filter", "event=die", "--format", "{{.Actor.Attributes.exitCode}}"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    what();
    let lines = BufReader::new(events.stdout.take().unwrap()).lines().take(count);
    let codes = lines.map(|line| line.unwrap().parse().unwrap()).collect();
    let _ = events.kill();
    events.wait().unwrap();
    codes
}

/// Runs a program in a running container: both outputs, one after the other, and whether it succeeded.
pub fn exec(container: &str, command: &[&str]) -> (bool, String) {
    let output = try_docker([["exec", container].as_slice(), command].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// One field of `docker inspect`, by Go template.
pub fn inspect(container: &str, template: &str) -> String {
    docker(["inspect", "--format", template, container]).trim().to_owned()
}

/// A container's standard output and standard error so far. The images' `logged` passes lines on after a tenth of a second.
pub fn logs(container: &str) -> String {
    std::thread::sleep(Duration::from_millis(300));
    let output = try_docker(["logs", container]);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The host's address on the engine's default network, which containers of every network with outside access can reach.
/// It is the network's first address; Docker 20.10 reports it as `Gateway` only from its second start on.
pub fn host_address() -> IpAddr {
    let format = "{{with index .IPAM.Config 0}}{{or .Gateway .Subnet}}{{end}}";
    let found = docker(["network", "inspect", "bridge", "--format", format]);
    match found.trim().split_once('/') {
        None => found.trim().parse().unwrap(),
        Some((network, _)) => Ipv4Addr::from(u32::from(network.parse::<Ipv4Addr>().unwrap()) + 1).into(),
    }
}

/// Runs a shell command when this process has ended, however it ends: the shell waits for the end of a pipe that only
/// this process holds. Tests that share containers can't remove them at any other time.
#[expect(clippy::zombie_processes, reason = "it outlives this process")]
pub fn when_process_ends(command: &str) {
    use std::os::unix::process::CommandExt as _;
    let mut child = Command::new("sh")
        .args(["-c", &format!("cat >/dev/null; exec >/dev/null 2>&1; {command}")])
        .stdin(Stdio::piped())
        // A Ctrl-C meant for the tests must not end it.
        .process_group(0)
        .spawn()
        .unwrap();
    std::mem::forget(child.stdin.take());
}
