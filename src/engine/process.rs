//! Runs a program within limits.

use std::io::{self, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A program's standard input.
pub(super) type Pipe = ChildStdin;

/// The longest message on standard error that is kept, in bytes. The rest is read, so that the program can continue,
/// and discarded.
const MESSAGE_LIMIT: u64 = 64 << 10;

/// How often to check whether a program that has closed its outputs has exited.
const PAUSE: Duration = Duration::from_millis(5);

/// The limits for a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) time: Duration,
    /// Bytes of its standard output.
    pub(super) output: u64,
}

/// A finished program.
#[derive(Debug)]
pub(super) struct Ended<T = Vec<u8>> {
    pub(super) success: bool,
    /// What became of its standard output.
    pub(super) stdout: T,
    stderr: Vec<u8>,
}

impl<T> Ended<T> {
    pub(super) fn said(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }

    /// The last line, in which programs usually say why they failed.
    pub(super) fn last_line(&self) -> String {
        match self.said().lines().next_back() {
            Some(line) => line.trim().to_owned(),
            None => "it gave no reason".to_owned(),
        }
    }
}

/// Why a program could not be run to completion.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started or waited for.
    #[error(transparent)]
    Start(io::Error),
    /// Its input could not be read.
    #[error("can't read its input")]
    Input(#[source] io::Error),
    /// Its output could not be read.
    #[error("can't read its output")]
    Output(#[source] io::Error),
    /// It ran for too long and was stopped.
    #[error("it did not finish within {} seconds", .limit.as_secs())]
    TimedOut { limit: Duration },
    /// It wrote too much and was stopped.
    #[error("it wrote more than {limit} bytes")]
    TooMuch { limit: u64 },
}

/// Gives a program no input.
#[expect(clippy::unnecessary_wraps, reason = "other inputs can fail")]
pub(super) fn nothing(_: Pipe) -> io::Result<()> {
    Ok(())
}

/// Runs a program whose standard input `feed` writes. A program that fails without reading all of its input is judged
/// by how it ends.
pub(super) fn run(
    command: &mut Command,
    limits: Limits,
    feed: impl FnOnce(Pipe) -> io::Result<()> + Send + 'static,
) -> Result<Ended, RunError> {
    run_reading(command, limits.time, feed, move |stdout| read_all(stdout, limits.output))
}

/// The same for a program whose standard output `read` takes as it comes.
pub(super) fn run_reading<T: Send + 'static>(
    command: &mut Command,
    time: Duration,
    feed: impl FnOnce(Pipe) -> io::Result<()> + Send + 'static,
    read: impl FnOnce(ChildStdout) -> Result<T, RunError> + Send + 'static,
) -> Result<Ended<T>, RunError> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(RunError::Start)?;
    let result = follow(&mut child, time, feed, read);
    if result.is_err() {
        // It may have exited in the meantime.
        let _ = child.kill();
        let _ = child.wait();
    }
    result
}

fn follow<T: Send + 'static>(
    child: &mut Child,
    time: Duration,
    feed: impl FnOnce(Pipe) -> io::Result<()> + Send + 'static,
    read: impl FnOnce(ChildStdout) -> Result<T, RunError> + Send + 'static,
) -> Result<Ended<T>, RunError> {
    let until = Until { deadline: Instant::now() + time, limit: time };
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(RunError::Start(io::ErrorKind::BrokenPipe.into()));
    };
    // Each runs on its own thread: the program may write before it has read everything, and to both outputs at once.
    // Threads that are still busy at the time limit end when the program's pipes close; don't wait for them.
    let written = background(move || feed(stdin))?;
    let stdout = background(move || read(stdout))?;
    let stderr = background(move || read_beginning(stderr))?;
    let stdout = until.receive(&stdout)??;
    let stderr = until.receive(&stderr)?.map_err(RunError::Output)?;
    let success = until.wait(child)?;
    match until.receive(&written)? {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(RunError::Input(error)),
        _ => Ok(Ended { success, stdout, stderr }),
    }
}

fn background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<Receiver<T>, RunError> {
    let (sender, receiver) = channel();
    std::thread::Builder::new().spawn(move || sender.send(work())).map_err(RunError::Start)?;
    Ok(receiver)
}

fn read_all(pipe: impl Read, limit: u64) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    pipe.take(limit + 1).read_to_end(&mut bytes).map_err(RunError::Output)?;
    if bytes.len() as u64 > limit { Err(RunError::TooMuch { limit }) } else { Ok(bytes) }
}

fn read_beginning(mut pipe: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.by_ref().take(MESSAGE_LIMIT).read_to_end(&mut bytes)?;
    io::copy(&mut pipe, &mut io::sink())?;
    Ok(bytes)
}

/// The time at which a program's time limit ends.
struct Until {
    deadline: Instant,
    limit: Duration,
}

impl Until {
    fn receive<T>(&self, receiver: &Receiver<T>) -> Result<T, RunError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        receiver.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => self.timed_out(),
            RecvTimeoutError::Disconnected => RunError::Output(io::ErrorKind::BrokenPipe.into()),
        })
    }

    /// Whether the program succeeded.
    fn wait(&self, child: &mut Child) -> Result<bool, RunError> {
        loop {
            if let Some(status) = child.try_wait().map_err(RunError::Start)? {
                return Ok(status.success());
            }
            if Instant::now() >= self.deadline {
                return Err(self.timed_out());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn timed_out(&self) -> RunError {
        RunError::TimedOut { limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LIMITS: Limits = Limits { time: Duration::from_secs(20), output: 1 << 20 };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_gets_its_input_while_it_writes() {
        let much = vec![b'x'; 300_000];
        let input = much.clone();
        let ended =
            run(&mut shell("cat; echo why >&2; exit 3"), LIMITS, move |mut pipe| pipe.write_all(&input)).unwrap();
        assert!(!ended.success && ended.stdout == much);
        assert_eq!((ended.said(), ended.last_line()), ("why".to_owned(), "why".to_owned()));
    }

    #[test]
    fn a_program_need_not_read_its_input() {
        let ended = run(&mut shell("exit 0"), LIMITS, |mut pipe| pipe.write_all(&vec![0; 300_000])).unwrap();
        assert!(ended.success && ended.stdout.is_empty());
        assert_eq!(ended.last_line(), "it gave no reason");
    }

    #[test]
    fn input_that_fails_is_the_reason() {
        let feed = |_| Err(io::ErrorKind::NotFound.into());
        assert!(matches!(run(&mut shell("cat; exit 1"), LIMITS, feed), Err(RunError::Input(_))));
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let short = Limits { time: Duration::from_millis(200), ..LIMITS };
        let started = Instant::now();
        // The second one has closed its outputs.
        for script in ["exec sleep 30", "exec sleep 30 >/dev/null 2>&1"] {
            let error = run(&mut shell(script), short, nothing).unwrap_err();
            assert!(matches!(error, RunError::TimedOut { .. }), "{error:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn a_program_that_writes_too_much_is_stopped() {
        let error = run(&mut shell("exec cat /dev/zero"), LIMITS, nothing).unwrap_err();
        assert!(matches!(error, RunError::TooMuch { limit } if limit == LIMITS.output), "{error:?}");
        let ended = run(&mut shell("head -c 300000 /dev/zero >&2"), LIMITS, nothing).unwrap();
        assert!(ended.success && ended.said().len() as u64 == MESSAGE_LIMIT);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = run(&mut Command::new("/nonexistent/engine"), LIMITS, nothing).unwrap_err();
        assert!(matches!(error, RunError::Start(_)), "{error:?}");
    }
}
