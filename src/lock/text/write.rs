use std::fmt::{self, Display, Formatter};

use super::{HEADER, VERSION};
use crate::config::{Group, Import, User};
use crate::lock::{Lock, LockedPackage, LockedRepository, Member, Place};

impl Display for Lock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "mailimg-lock {VERSION}\n{HEADER}\nchannel {}\narch {}", self.channel, self.arch)?;
        for repository in &self.repositories {
            write!(f, "\n{repository}")?;
        }
        section(f, self.keys.iter().map(|(name, digest)| format!("key {name} {digest}")))?;
        section(f, self.world.iter().map(|dependency| format!("world {dependency}")))?;
        section(f, self.groups.iter().map(group))?;
        section(f, self.users.iter().map(user))?;
        writeln!(f, "\ninstall")?;
        for package in &self.packages {
            writeln!(f, "  {}", package.name)?;
        }
        let mut sorted: Vec<_> = self.packages.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        for package in sorted {
            write!(f, "\n{package}")?;
        }
        Ok(())
    }
}

fn section(f: &mut Formatter<'_>, lines: impl Iterator<Item = String>) -> fmt::Result {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { Ok(()) } else { writeln!(f, "\n{}", lines.join("\n")) }
}

fn group(group: &Group) -> String {
    let members = group.members.join(",");
    format!("group {} {} {members}", group.name, group.gid).trim_end().to_owned()
}

fn user(user: &User) -> String {
    let User { name, uid, group, gecos, home, shell } = user;
    format!("user {name} {uid} {group} {home} {shell} {gecos}").trim_end().to_owned()
}

impl Display for LockedRepository {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "repository {}", self.name)?;
        match &self.place {
            Place::Imported(Import::Debian) => writeln!(f, "  import debian"),
            Place::Shared { url, tag, index, date } => {
                writeln!(f, "  url {url}")?;
                if let Some(tag) = tag {
                    writeln!(f, "  tag {tag}")?;
                }
                writeln!(f, "  index {index}\n  date {date}")
            }
        }
    }
}

fn member(member: &Member) -> String {
    format!("{} {} {}", member.offset, member.size, member.sha256)
}

impl Display for LockedPackage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "package {}", self.name)?;
        writeln!(f, "  version {}", self.version)?;
        writeln!(f, "  arch {}", self.arch)?;
        writeln!(f, "  origin {}", self.origin)?;
        writeln!(f, "  repository {}", self.repository)?;
        writeln!(f, "  file {}", self.file)?;
        writeln!(f, "  size {}", self.size)?;
        writeln!(f, "  sha256 {}", self.sha256)?;
        for signature in &self.signatures {
            writeln!(f, "  signature {}", member(signature))?;
        }
        writeln!(f, "  control {}", member(&self.control))?;
        writeln!(f, "  data {}", member(&self.data))?;
        writeln!(f, "  diff-id {}", self.diff_id)?;
        writeln!(f, "  unpacked {}", self.unpacked)?;
        writeln!(f, "  checksum {}", self.checksum)?;
        writeln!(f, "  built {}", self.built)?;
        if !self.license.is_empty() {
            writeln!(f, "  license {}", self.license)?;
        }
        for deb in &self.debs {
            writeln!(f, "  deb {} {} {}", deb.name, deb.version, deb.sha256)?;
        }
        for script in &self.scripts {
            writeln!(f, "  script {} {}", script.name, script.sha256)?;
        }
        Ok(())
    }
}
