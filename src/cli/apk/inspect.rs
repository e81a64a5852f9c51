use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::apk::Package;
use crate::apk::package::{Control, Measured, Member, PackageError, PackageReader};
use crate::apk::signature::Signature;
use crate::apk::tar::{Entry, EntryKind};
use crate::cli::{Context, Failure};
use crate::printable;
use crate::repo::RepoError;
use crate::timestamp::Timestamp;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The package file
    file: Utf8PathBuf,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// The JSON form of a package.
#[derive(Serialize)]
struct Report {
    package: Fields,
    file: FileFacts,
    signatures: Vec<SignatureFacts>,
    triggers: Vec<String>,
    scripts: Vec<ScriptFacts>,
    entries: Vec<EntryFacts>,
}

#[derive(Serialize)]
struct Fields {
    name: String,
    version: String,
    arch: String,
    description: String,
    url: String,
    license: String,
    origin: Option<String>,
    maintainer: Option<String>,
    build_time: Option<u64>,
    commit: Option<String>,
    installed_size: u64,
    depends: Vec<String>,
    provides: Vec<String>,
    install_if: Vec<String>,
    replaces: Vec<String>,
    replaces_priority: Option<u32>,
    provider_priority: Option<u32>,
}

#[derive(Serialize)]
struct FileFacts {
    size: u64,
    sha256: String,
    checksum: String,
    members: Vec<MemberFacts>,
    data_streams: u32,
    diff_id: String,
    diff_size: u64,
}

#[derive(Serialize)]
struct MemberFacts {
    member: &'static str,
    offset: u64,
    size: u64,
    sha256: String,
}

#[derive(Serialize)]
struct SignatureFacts {
    key: String,
    algorithm: String,
}

#[derive(Serialize)]
struct ScriptFacts {
    kind: String,
    sha256: String,
    text: String,
}

#[derive(Serialize)]
struct EntryFacts {
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: String,
    user: String,
    group: String,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let report = read(&args.file)?;
    if args.json { context.ui().json(&report) } else { context.ui().write(text(&report).as_bytes()) }
}

fn read(path: &Utf8Path) -> Result<Report, Failure> {
    let file = std::fs::File::open(path).map_err(|source| RepoError::Read { path: path.to_owned(), source })?;
    report(file).map_err(|source| RepoError::Package { path: path.to_owned(), source }.into())
}

fn report(file: std::fs::File) -> Result<Report, PackageError> {
    let mut reader = PackageReader::measuring(file)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry_facts(&entry));
    }
    let Control { package, triggers, scripts, .. } = reader.control().clone();
    let signatures = reader.head().signatures().iter().map(signature_facts).collect();
    let scripts = scripts.iter().map(|script| ScriptFacts {
        kind: script.kind.to_string(),
        sha256: crate::digest::Sha256::of(&script.text).to_string(),
        text: String::from_utf8_lossy(&script.text).into_owned(),
    });
    let scripts = scripts.collect();
    let file = file_facts(&reader.finish()?);
    Ok(Report { package: fields(package), file, signatures, triggers, scripts, entries })
}

fn fields(package: Package) -> Fields {
    fn list(values: &[impl ToString]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }
    Fields {
        version: package.version.to_string(),
        depends: list(&package.depends),
        provides: list(&package.provides),
        install_if: list(&package.install_if),
        replaces: list(&package.replaces),
        name: package.name,
        arch: package.arch,
        description: package.description,
        url: package.url,
        license: package.license,
        origin: package.origin,
        maintainer: package.maintainer,
        build_time: package.build_time,
        commit: package.commit,
        installed_size: package.installed_size,
        replaces_priority: package.replaces_priority,
        provider_priority: package.provider_priority,
    }
}

fn file_facts(measured: &Measured) -> FileFacts {
    let fact = |member, facts: &Member| MemberFacts {
        member,
        offset: facts.offset,
        size: facts.size,
        sha256: facts.sha256.to_string(),
    };
    let mut members: Vec<_> = measured.signatures.iter().map(|member| fact("signature", member)).collect();
    members.extend([fact("control", &measured.control), fact("data", &measured.data)]);
    FileFacts {
        size: measured.size,
        sha256: measured.sha256.map(|sha256| sha256.to_string()).unwrap_or_default(),
        checksum: measured.checksum.to_string(),
        members,
        data_streams: measured.data_streams,
        diff_id: measured.diff_id.map(|diff_id| diff_id.to_string()).unwrap_or_default(),
        diff_size: measured.diff_size,
    }
}

fn signature_facts(signature: &Signature) -> SignatureFacts {
    SignatureFacts { key: signature.key.clone(), algorithm: signature.algorithm.to_string() }
}

fn entry_facts(entry: &Entry) -> EntryFacts {
    EntryFacts {
        path: entry.display_path().into_owned(),
        kind: entry.kind.word(),
        mode: format!("{:04o}", entry.mode),
        user: entry.user.clone(),
        group: entry.group.clone(),
        uid: entry.uid,
        gid: entry.gid,
        size: entry.size,
        mtime: entry.mtime,
        target: entry.kind.target().map(|target| String::from_utf8_lossy(target).into_owned()),
        checksum: entry.checksum.map(|checksum| checksum.to_string()),
        xattrs: entry.xattrs.keys().cloned().collect(),
    }
}

/// The report for people. A package's control characters are escaped, not sent to the terminal.
fn text(report: &Report) -> String {
    let mut out = String::new();
    let Report { package, file, .. } = report;
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string doesn't fail.
            let _ = writeln!(out, "{label:<13} {}", printable::field(value));
        }
    };
    line("package", &format!("{} {}, {}", package.name, package.version, package.arch));
    line("description", &package.description);
    line("url", &package.url);
    line("license", &package.license);
    line("origin", package.origin.as_deref().unwrap_or_default());
    line("maintainer", package.maintainer.as_deref().unwrap_or_default());
    line("built", &package.build_time.map(|time| Timestamp::from_unix(time).to_string()).unwrap_or_default());
    line("commit", package.commit.as_deref().unwrap_or_default());
    line("installed", &format!("{} bytes", package.installed_size));
    line("depends", &package.depends.join(" "));
    line("provides", &package.provides.join(" "));
    line("install if", &package.install_if.join(" "));
    line("replaces", &package.replaces.join(" "));
    line("triggers", &report.triggers.join(" "));
    line("file", &format!("{} bytes, SHA-256 {}, checksum {}", file.size, file.sha256, file.checksum));
    for member in &file.members {
        line(member.member, &format!("{} bytes at {}, SHA-256 {}", member.size, member.offset, member.sha256));
    }
    line("uncompressed", &format!("{} bytes, SHA-256 {}", file.diff_size, file.diff_id));
    if report.signatures.is_empty() {
        line("signed by", "nobody");
    }
    for signature in &report.signatures {
        let SignatureFacts { key, algorithm } = signature;
        line("signed by", &format!("{key} ({algorithm}; not verified, see `mailimg apk verify`)"));
    }
    for script in &report.scripts {
        let _ = writeln!(out, "\n--- {}, SHA-256 {}", script.kind, script.sha256);
        for text in script.text.lines() {
            let _ = writeln!(out, "    {}", printable::text(text));
        }
    }
    let _ = writeln!(out, "\n--- {} entries", report.entries.len());
    for entry in &report.entries {
        let _ = writeln!(out, "{}", entry_line(entry));
    }
    out
}

fn entry_line(entry: &EntryFacts) -> String {
    let owner = format!("{}:{}", name_or(&entry.user, entry.uid), name_or(&entry.group, entry.gid));
    let arrow = match (&entry.target, entry.kind) {
        (Some(target), "hardlink") => format!(" = {target}"),
        (Some(target), _) => format!(" -> {target}"),
        (None, _) => String::new(),
    };
    let size = if entry.kind == EntryKind::File.word() { entry.size.to_string() } else { "-".to_owned() };
    let line = format!("{} {:<9} {owner:<13} {size:>10} {}{arrow}", entry.mode, entry.kind, entry.path);
    printable::field(&line).into_owned()
}

fn name_or(name: &str, id: u32) -> String {
    if name.is_empty() { id.to_string() } else { name.to_owned() }
}
