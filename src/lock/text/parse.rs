use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use super::VERSION;
use crate::apk::Version;
use crate::config::{Group, Import, User};
use crate::lock::{Deb, Lock, LockedPackage, LockedRepository, Member, Place, Script};

/// Why the text is not a lock, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    pub line: usize,
    pub problem: Problem,
}

/// What is wrong with a line of a lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The first line is not a lock's.
    #[error("not a lock: expected `mailimg-lock {VERSION}`, found {found:?}")]
    NotALock { found: String },
    /// Written by another version of mailimg.
    #[error("the lock has format version {found:?}; this mailimg reads {VERSION}")]
    Version { found: String },
    /// What git does to line ends if `core.autocrlf` is set.
    #[error("the line ends with CR LF instead of LF")]
    LineEnd,
    /// There is an unresolved merge conflict.
    #[error("unresolved merge conflict")]
    Conflict,
    #[error("unknown keyword {keyword:?} in {place}")]
    Unknown { keyword: String, place: String },
    /// A required line is missing.
    #[error("{place} has no {field:?} line")]
    Missing { field: &'static str, place: String },
    /// A line that may occur once occurs twice.
    #[error("duplicate {field:?} in {place}")]
    Twice { field: String, place: String },
    #[error("{field}: {reason}")]
    Value { field: String, reason: String },
    /// The list of packages doesn't match the blocks.
    #[error("package {name:?} is listed under `install` but has no block, or vice versa")]
    Listed { name: String },
    /// Readable, but not in `mailimg lock`'s format: it was edited.
    #[error("not as `mailimg lock` writes it: expected {expected:?}, found {found:?}")]
    NotCanonical { expected: String, found: String },
}

impl FromStr for Lock {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        check_line_ends(text)?;
        check_version(text)?;
        let lock = read(text)?;
        check_canonical(text, &lock.to_string())?;
        Ok(lock)
    }
}

/// Git converts all files or none, so files for images would be converted, too.
fn check_line_ends(text: &str) -> Result<(), ParseError> {
    match text.split('\n').position(|line| line.ends_with('\r')) {
        Some(position) => Err(ParseError { line: position + 1, problem: Problem::LineEnd }),
        None => Ok(()),
    }
}

fn check_version(text: &str) -> Result<(), ParseError> {
    let first = text.lines().next().unwrap_or_default();
    let problem = match first.strip_prefix("mailimg-lock ") {
        Some(VERSION) => return Ok(()),
        Some(found) => Problem::Version { found: cut(found) },
        None => Problem::NotALock { found: cut(first) },
    };
    Err(ParseError { line: 1, problem })
}

/// Accepts only the exact form in which `mailimg lock` writes.
fn check_canonical(text: &str, canonical: &str) -> Result<(), ParseError> {
    if text == canonical {
        return Ok(());
    }
    let mut found = text.split('\n');
    let mut expected = canonical.split('\n');
    let mut line = 0;
    loop {
        line += 1;
        match (found.next(), expected.next()) {
            (None, None) => return Ok(()),
            (found, expected) if found == expected => {}
            (found, expected) => {
                let problem = Problem::NotCanonical {
                    expected: cut(expected.unwrap_or_default()),
                    found: cut(found.unwrap_or_default()),
                };
                return Err(ParseError { line, problem });
            }
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

/// A line and the indented lines below it.
struct Block<'a> {
    head: Field<'a>,
    body: Vec<Field<'a>>,
}

/// A keyword and what follows it.
#[derive(Clone, Copy)]
struct Field<'a> {
    line: usize,
    keyword: &'a str,
    value: &'a str,
}

impl<'a> Field<'a> {
    fn new(line: usize, text: &'a str) -> Self {
        let (keyword, value) = text.split_once(' ').unwrap_or((text, ""));
        Self { line, keyword, value }
    }

    fn error(&self, problem: Problem) -> ParseError {
        ParseError { line: self.line, problem }
    }

    fn invalid(&self, reason: impl Display) -> ParseError {
        self.error(Problem::Value { field: self.keyword.to_owned(), reason: reason.to_string() })
    }

    /// The whole value, as a `T`.
    fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, ParseError> {
        self.value.parse().map_err(|reason| self.invalid(reason))
    }

    /// Exactly `N` words.
    fn words<const N: usize>(&self) -> Result<[Field<'a>; N], ParseError> {
        let words: Vec<_> = self.value.split(' ').map(|value| Field { value, ..*self }).collect();
        let found = words.len();
        words.try_into().map_err(|_| self.invalid(format!("expected {N} words, found {found}")))
    }

    /// A name: one word without anything that could be a path or deceive a reader.
    fn name(&self) -> Result<String, ParseError> {
        let strange = |c: char| c.is_whitespace() || c.is_control() || c == '/';
        if self.value.is_empty() || self.value.starts_with('.') || self.value.contains(strange) {
            return Err(self.invalid(format!("{:?} is not a valid name", cut(self.value))));
        }
        Ok(self.value.to_owned())
    }

    /// Text up to the end of the line.
    fn text(&self) -> Result<String, ParseError> {
        if self.value.contains(char::is_control) {
            return Err(self.invalid("contains control characters"));
        }
        Ok(self.value.to_owned())
    }
}

impl<'a> Block<'a> {
    /// Its name in messages: `package "postfix"`.
    fn place(&self) -> String {
        format!("{} {:?}", self.head.keyword, cut(self.head.value))
    }

    fn all(&self, keyword: &str) -> impl Iterator<Item = Field<'a>> {
        self.body.iter().filter(move |field| field.keyword == keyword).copied()
    }

    fn optional(&self, keyword: &'static str) -> Result<Option<Field<'a>>, ParseError> {
        let mut fields = self.all(keyword);
        let first = fields.next();
        match fields.next() {
            Some(second) => Err(second.error(Problem::Twice { field: keyword.to_owned(), place: self.place() })),
            None => Ok(first),
        }
    }

    fn one(&self, keyword: &'static str) -> Result<Field<'a>, ParseError> {
        self.optional(keyword)?.ok_or_else(|| self.head.error(Problem::Missing { field: keyword, place: self.place() }))
    }

    fn only(&self, keywords: &[&str]) -> Result<(), ParseError> {
        match self.body.iter().find(|field| !keywords.contains(&field.keyword)) {
            Some(field) => {
                let keyword = cut(field.keyword);
                Err(field.error(Problem::Unknown { keyword, place: self.place() }))
            }
            None => Ok(()),
        }
    }
}

fn blocks(text: &str) -> Result<Vec<Block<'_>>, ParseError> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (line, text) in (1..).zip(text.split('\n')) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| text.starts_with(mark)) {
            return Err(ParseError { line, problem: Problem::Conflict });
        }
        match text.strip_prefix("  ") {
            None => blocks.push(Block { head: Field::new(line, text), body: Vec::new() }),
            Some(text) => {
                let block = blocks.last_mut().ok_or_else(|| ParseError {
                    line,
                    problem: Problem::Unknown { keyword: cut(text), place: "the lock".to_owned() },
                })?;
                block.body.push(Field::new(line, text));
            }
        }
    }
    Ok(blocks)
}

fn read(text: &str) -> Result<Lock, ParseError> {
    let blocks = blocks(text)?;
    let mut lock = Lock {
        channel: String::new(),
        arch: String::new(),
        repositories: Vec::new(),
        keys: BTreeMap::new(),
        world: Vec::new(),
        groups: Vec::new(),
        users: Vec::new(),
        packages: Vec::new(),
    };
    let mut order: Vec<Field<'_>> = Vec::new();
    let mut packages = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for block in &blocks {
        let head = &block.head;
        // Every name is unique: for `world` the whole text, otherwise the first word.
        let name = if head.keyword == "world" { head.value } else { head.value.split(' ').next().unwrap_or_default() };
        let single = matches!(head.keyword, "channel" | "arch" | "install" | "mailimg-lock");
        if !seen.insert((head.keyword, if single { "" } else { name })) {
            return Err(head.error(Problem::Twice { field: cut(name), place: format!("`{}`", head.keyword) }));
        }
        match head.keyword {
            "mailimg-lock" => {}
            "channel" => lock.channel = head.name()?,
            "arch" => lock.arch = head.name()?,
            "repository" => lock.repositories.push(repository(block)?),
            "key" => {
                let [name, digest] = head.words()?;
                lock.keys.insert(name.name()?, digest.parse()?);
            }
            "world" => lock.world.push(head.parse()?),
            "group" => lock.groups.push(group(head)?),
            "user" => lock.users.push(user(head)?),
            "install" => order.clone_from(&block.body),
            "package" => {
                let package = package(block)?;
                check_place(block, &package, &lock.repositories)?;
                packages.insert(package.name.clone(), (head.line, package));
            }
            _ => {
                let problem = Problem::Unknown { keyword: cut(head.keyword), place: "the lock".to_owned() };
                return Err(head.error(problem));
            }
        }
        if !matches!(head.keyword, "repository" | "package" | "install") {
            block.only(&[])?;
        }
    }
    for name in order {
        let (_, package) =
            packages.remove(name.keyword).ok_or_else(|| name.error(Problem::Listed { name: cut(name.keyword) }))?;
        lock.packages.push(package);
    }
    if let Some((name, (line, _))) = packages.pop_first() {
        return Err(ParseError { line, problem: Problem::Listed { name } });
    }
    // A world always installs something, so a lock without packages was cut off.
    let cut_short = lock.packages.is_empty() && lock.world.iter().any(|dependency| !dependency.conflict);
    for (field, missing) in
        [("channel", lock.channel.is_empty()), ("arch", lock.arch.is_empty()), ("package", cut_short)]
    {
        if missing {
            return Err(ParseError { line: 1, problem: Problem::Missing { field, place: "the lock".to_owned() } });
        }
    }
    Ok(lock)
}

fn repository(block: &Block<'_>) -> Result<LockedRepository, ParseError> {
    let name = block.head.name()?;
    let place = if let Some(import) = block.optional("import")? {
        block.only(&["import"])?;
        match import.value {
            "debian" => Place::Imported(Import::Debian),
            other => return Err(import.invalid(format!("unknown import {:?}: expected `debian`", cut(other)))),
        }
    } else {
        block.only(&["url", "tag", "index", "date"])?;
        Place::Shared {
            url: block.one("url")?.text()?,
            tag: block.optional("tag")?.map(|tag| tag.name()).transpose()?,
            index: block.one("index")?.parse()?,
            date: block.one("date")?.parse()?,
        }
    };
    Ok(LockedRepository { name, place })
}

fn group(head: &Field<'_>) -> Result<Group, ParseError> {
    let mut words = head.value.splitn(3, ' ').map(|value| Field { value, ..*head });
    let (Some(name), Some(gid)) = (words.next(), words.next()) else {
        return Err(head.invalid("expected a name, a gid and optionally members"));
    };
    let members = match words.next() {
        None => Vec::new(),
        Some(list) => list.value.split(',').map(|value| Field { value, ..*head }.name()).collect::<Result<_, _>>()?,
    };
    Ok(Group { name: name.name()?, gid: gid.parse()?, members })
}

fn user(head: &Field<'_>) -> Result<User, ParseError> {
    let mut words = head.value.splitn(6, ' ').map(|value| Field { value, ..*head });
    let (Some(name), Some(uid), Some(group), Some(home), Some(shell)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(
            head.invalid("expected a name, a uid, a group, a home directory, a shell and optionally a full name")
        );
    };
    Ok(User {
        name: name.name()?,
        uid: uid.parse()?,
        group: group.name()?,
        home: home.text()?,
        shell: shell.text()?,
        gecos: words.next().map(|gecos| gecos.text()).transpose()?.unwrap_or_default(),
    })
}

const PACKAGE_FIELDS: &[&str] = &[
    "version",
    "arch",
    "origin",
    "repository",
    "file",
    "size",
    "sha256",
    "signature",
    "control",
    "data",
    "diff-id",
    "unpacked",
    "checksum",
    "built",
    "license",
    "deb",
    "script",
];

fn package(block: &Block<'_>) -> Result<LockedPackage, ParseError> {
    block.only(PACKAGE_FIELDS)?;
    let deb = |field: Field<'_>| {
        let [name, version, sha256] = field.words()?;
        Ok(Deb { name: name.name()?, version: version.name()?, sha256: sha256.parse()? })
    };
    let script = |field: Field<'_>| {
        let [name, sha256] = field.words()?;
        Ok(Script { name: name.name()?, sha256: sha256.parse()? })
    };
    let package = LockedPackage {
        name: block.head.name()?,
        version: Version::any(&block.one("version")?.name()?),
        arch: block.one("arch")?.name()?,
        origin: block.one("origin")?.name()?,
        repository: block.one("repository")?.name()?,
        file: block.one("file")?.name()?,
        size: block.one("size")?.parse()?,
        sha256: block.one("sha256")?.parse()?,
        signatures: block.all("signature").map(|field| member(&field)).collect::<Result<_, _>>()?,
        control: member(&block.one("control")?)?,
        data: member(&block.one("data")?)?,
        diff_id: block.one("diff-id")?.parse()?,
        unpacked: block.one("unpacked")?.parse()?,
        checksum: block.one("checksum")?.parse()?,
        built: block.one("built")?.parse()?,
        license: block.optional("license")?.map(|field| field.text()).transpose()?.unwrap_or_default(),
        debs: block.all("deb").map(deb).collect::<Result<_, _>>()?,
        scripts: block.all("script").map(script).collect::<Result<_, _>>()?,
    };
    check_members(block, &package)?;
    Ok(package)
}

fn member(field: &Field<'_>) -> Result<Member, ParseError> {
    let [offset, size, sha256] = field.words()?;
    Ok(Member { offset: offset.parse()?, size: size.parse()?, sha256: sha256.parse()? })
}

/// Checks where the package is said to be, because a package that the store has isn't looked for there.
fn check_place(
    block: &Block<'_>,
    package: &LockedPackage,
    repositories: &[LockedRepository],
) -> Result<(), ParseError> {
    let LockedPackage { name, version, repository, file, .. } = package;
    if !repositories.iter().any(|known| known.name == *repository) {
        return Err(block.one("repository")?.invalid(format!("the lock has no repository {repository:?}")));
    }
    let expected = format!("{name}-{version}.apk");
    if *file == expected { Ok(()) } else { Err(block.one("file")?.invalid(format!("expected {expected}"))) }
}

/// Members must cover the file without gaps.
fn check_members(block: &Block<'_>, package: &LockedPackage) -> Result<(), ParseError> {
    let mut end = Some(0_u64);
    let rest = [("control", package.control), ("data", package.data)];
    for (keyword, member) in package.signatures.iter().map(|member| ("signature", *member)).chain(rest) {
        if end != Some(member.offset) {
            return Err(block.head.invalid(format!("its {keyword} doesn't start where the previous member ends")));
        }
        end = member.offset.checked_add(member.size);
    }
    if end == Some(package.size) { Ok(()) } else { Err(block.head.invalid("its data doesn't end where the file ends")) }
}
