//! The limit that no build of images can beat: reads the packages in locks, hashes and inflates their bytes, and does
//! nothing else.
//!
//! `cargo bench --bench limit` times the locks of the project. `scripts/bench` runs it in turn with builds.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Parser, ValueEnum};
use flate2::write::MultiGzDecoder;
use mailimg::lock::{Lock, LockedPackage};
use sha2::{Digest as _, Sha256};
use zlib_rs::{Inflate, InflateFlush, Status};

/// Bytes to read at once.
const CHUNK: usize = 256 << 10;

/// Bytes to inflate at once.
const WINDOW: usize = 256 << 10;

/// A gzip header with a trailer, and a window of up to 32 KiB (2^15).
const GZIP: u8 = 16 + 15;

/// Reads the packages of locks, hashes and inflates them, and prints how long that took.
#[derive(Parser)]
struct Args {
    /// The locks [default: those of debian-13]
    locks: Vec<Utf8PathBuf>,
    /// The directory that holds x86_64/*.apk [default: where `mailimg repo import-debian` keeps it]
    #[arg(long, value_name = "DIR")]
    repository: Option<Utf8PathBuf>,
    /// What to do with the packages [default: each in turn]
    #[arg(long)]
    work: Option<Work>,
    /// The number of rounds; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[arg(long, default_value_t = thread::available_parallelism().map_or(1, Into::into))]
    threads: usize,
    /// An argument that `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Work {
    /// SHA-256 of the file, inflated by zlib-rs as it is read, as mailimg does with each member
    Inflate,
    /// The same, and SHA-256 of the inflated data
    DiffId,
    /// SHA-256 of the file, inflated by zlib as it is read
    Zlib,
    /// SHA-256 of the file, inflated by libdeflate: both whole in memory
    Whole,
    /// SHA-256 of the file
    Hash,
}

type Packages = BTreeMap<Utf8PathBuf, LockedPackage>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let packages = packages(&args)?;
    let bytes: u64 = packages.values().map(|package| package.size).sum();
    println!("{} packages, {bytes} bytes, {} threads", packages.len(), args.threads);
    let all = [Work::Inflate, Work::DiffId, Work::Zlib, Work::Whole, Work::Hash];
    let chosen = args.work.as_ref().map_or(all.as_slice(), std::slice::from_ref);
    for work in chosen {
        let mut times = Vec::new();
        let mut inflated = 0;
        for _ in 0..args.rounds.max(1) {
            let start = Instant::now();
            inflated = all_packages(&packages, *work, args.threads)?;
            times.push(start.elapsed());
        }
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let name = work.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        println!("{name}: {:.3} s, {inflated} bytes inflated", median.as_secs_f64());
    }
    Ok(())
}

/// The distinct packages of the locks, and where they are.
fn packages(args: &Args) -> Result<Packages, Box<dyn std::error::Error>> {
    let project = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut locks = args.locks.clone();
    if locks.is_empty() {
        let folder = project.join("apk-locks/debian-13").read_dir_utf8()?;
        let paths = folder.map(|entry| entry.map(camino::Utf8DirEntry::into_path)).collect::<Result<Vec<_>, _>>()?;
        locks = paths.into_iter().filter(|path| path.extension() == Some("lock")).collect();
    }
    let repository = args.repository.clone().or_else(imported).ok_or("say where the packages are with --repository")?;
    let mut packages = Packages::new();
    for path in locks {
        let lock = std::fs::read_to_string(&path)?.parse::<Lock>()?;
        for package in lock.packages {
            packages.insert(repository.join(&lock.arch).join(&package.file), package);
        }
    }
    Ok(packages)
}

fn imported() -> Option<Utf8PathBuf> {
    let variable = |name| std::env::var(name).ok().map(Utf8PathBuf::from);
    variable("MAILIMG_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("mailimg")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/mailimg")))
        .map(|cache| cache.join("debian-13"))
}

/// The number of inflated bytes. The biggest packages come first, so that no thread finishes late with one.
fn all_packages(packages: &Packages, work: Work, threads: usize) -> io::Result<u64> {
    let mut rest: Vec<_> = packages.iter().collect();
    rest.sort_by_key(|(_, package)| package.size);
    let rest = Mutex::new(rest);
    let next = || rest.lock().ok().and_then(|mut rest| rest.pop());
    let worker = || -> io::Result<u64> {
        let mut sum = 0;
        while let Some((path, package)) = next() {
            sum += one_package(path, package, work).map_err(|error| io::Error::other(format!("{path}: {error}")))?;
        }
        Ok(sum)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))).sum()
    })
}

fn one_package(path: &Utf8Path, package: &LockedPackage, work: Work) -> io::Result<u64> {
    let mut counted = Counted::default();
    let found = match work {
        Work::Whole => return whole(path, package),
        Work::Hash => streamed(path, io::sink())?,
        Work::Zlib => {
            let mut zlib = MultiGzDecoder::new(counted);
            let found = streamed(path, &mut zlib)?;
            counted = zlib.finish()?;
            found
        }
        Work::Inflate | Work::DiffId => {
            counted.hasher = matches!(work, Work::DiffId).then(Sha256::new);
            let mut zlib_rs = Inflating { inflate: None, window: vec![0; WINDOW], out: &mut counted };
            let found = streamed(path, &mut zlib_rs)?;
            if zlib_rs.inflate.is_some() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            found
        }
    };
    std::hint::black_box(counted.hasher.map(sha2::Digest::finalize));
    check(found, package)?;
    Ok(counted.bytes)
}

fn check(found: [u8; 32], package: &LockedPackage) -> io::Result<()> {
    if found == *package.sha256.as_bytes() { Ok(()) } else { Err(io::Error::other("not as locked")) }
}

/// Reads a file in chunks: its hash; each chunk goes on to `out`.
fn streamed(path: &Utf8Path, mut out: impl Write) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    let mut hasher = Sha256::new();
    loop {
        let length = file.read(&mut chunk)?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
        out.write_all(read)?;
    }
    Ok(hasher.finalize().into())
}

/// Reads a file at once, and inflates each member at once: its last four bytes and the lock give its inflated size.
fn whole(path: &Utf8Path, package: &LockedPackage) -> io::Result<u64> {
    let bytes = std::fs::read(path)?;
    check(Sha256::digest(&bytes).into(), package)?;
    let mut inflate = libdeflater::Decompressor::new();
    let mut inflated = 0;
    for member in package.signatures.iter().chain([&package.control, &package.data]) {
        let start = usize::try_from(member.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(member.size).unwrap_or(usize::MAX));
        let bytes = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = bytes.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        let mut out = vec![0; usize::try_from(length).unwrap_or_default()];
        inflated += inflate.gzip_decompress(bytes, &mut out).map_err(io::Error::other)? as u64;
    }
    Ok(inflated)
}

/// Inflates gzip streams that follow each other.
struct Inflating<'a> {
    inflate: Option<Inflate>,
    window: Vec<u8>,
    out: &'a mut Counted,
}

impl Write for Inflating<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = |length: u64| usize::try_from(length).map_err(io::Error::other);
        let inflate = self.inflate.get_or_insert_with(|| Inflate::new(true, GZIP));
        let begin = inflate.total_in();
        loop {
            let rest = buffer.get(length(inflate.total_in() - begin)?..).unwrap_or_default();
            let before = inflate.total_out();
            let status = inflate.decompress(rest, &mut self.window, InflateFlush::NoFlush);
            let status = status.map_err(|error| io::Error::other(error.as_str()))?;
            let made = self.window.get(..length(inflate.total_out() - before)?).unwrap_or_default();
            self.out.write_all(made)?;
            let read = length(inflate.total_in() - begin)?;
            if status == Status::StreamEnd {
                self.inflate = None;
                return Ok(read);
            }
            if made.len() < WINDOW {
                return Ok(read);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Consumes inflated bytes.
#[derive(Default)]
struct Counted {
    bytes: u64,
    hasher: Option<Sha256>,
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.bytes += buffer.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buffer);
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
