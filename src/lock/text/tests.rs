use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::apk::{Checksum, Dependency};
use crate::config::{Group, Import, User};
use crate::digest::Sha256;
use crate::lock::{Deb, Lock, LockedPackage, LockedRepository, Member, ParseError, Place, Problem, Script};
use crate::timestamp::Timestamp;

fn digest(text: &str) -> Sha256 {
    Sha256::of(text)
}

fn package(name: &str, version: &str) -> LockedPackage {
    let file = format!("{name}-{version}.apk");
    LockedPackage {
        name: name.to_owned(),
        version: version.parse().unwrap(),
        arch: "x86_64".to_owned(),
        origin: name.to_owned(),
        repository: "main".to_owned(),
        size: 400,
        sha256: digest(&file),
        signatures: vec![Member { offset: 0, size: 100, sha256: digest("signature") }],
        control: Member { offset: 100, size: 100, sha256: digest("control") },
        data: Member { offset: 200, size: 200, sha256: digest("data") },
        diff_id: digest("diff-id"),
        unpacked: 10_240,
        checksum: Checksum::of("control"),
        built: Timestamp::from_unix(1_699_383_189),
        license: "GPL-2.0-only AND MIT".to_owned(),
        debs: Vec::new(),
        scripts: vec![Script { name: "post-install".to_owned(), sha256: digest("script") }],
        file,
    }
}

pub(in crate::lock) fn lock() -> Lock {
    Lock {
        channel: "alpine-3.24".to_owned(),
        arch: "x86_64".to_owned(),
        repositories: vec![LockedRepository {
            name: "main".to_owned(),
            place: Place::Shared {
                url: "https://example.org/v3.24/main".to_owned(),
                tag: None,
                index: digest("index"),
                date: Timestamp::from_unix(1_780_000_000),
            },
        }],
        keys: [("example.rsa.pub".to_owned(), digest("key"))].into(),
        world: vec![Dependency::on("busybox"), "musl>=1.2".parse().unwrap()],
        groups: vec![Group { name: "mail".to_owned(), gid: 12, members: vec!["a".to_owned(), "b".to_owned()] }],
        users: vec![User {
            name: "vmail".to_owned(),
            uid: 5000,
            group: "mail".to_owned(),
            gecos: "virtual mail".to_owned(),
            home: "/var/mail".to_owned(),
            shell: "/sbin/nologin".to_owned(),
        }],
        packages: vec![package("musl", "1.2.5-r9"), package("busybox", "1.37.0-r12")],
    }
}

#[test]
fn is_written_for_review() {
    insta::assert_snapshot!(lock(), @r"
    mailimg-lock 1
    # Written by `mailimg lock`, which also updates it. Not for editing: every line is checked against what is fetched.

    channel alpine-3.24
    arch x86_64

    repository main
      url https://example.org/v3.24/main
      index 1bc04b5291c26a46d918139138b992d2de976d6851d0893b0476b85bfbdfc6e6
      date 2026-05-28T20:26:40Z

    key example.rsa.pub 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683

    world busybox
    world musl>=1.2

    group mail 12 a,b

    user vmail 5000 mail /var/mail /sbin/nologin virtual mail

    install
      musl
      busybox

    package busybox
      version 1.37.0-r12
      arch x86_64
      origin busybox
      repository main
      file busybox-1.37.0-r12.apk
      size 400
      sha256 ed628c3cea70d6434e6e093ed83f7110f3ce46f05ce6b34b9da9bd2b4988387d
      signature 0 100 1a2fc26dc7ea5a2a4748b7cb2b1ef193d96ab2c99f93092f69e63075b28d1278
      control 100 100 0fcd568a5cb9bdb4677b69354b11ee415af8f784519cff3da49a26f84eaee7f2
      data 200 200 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7
      diff-id 82c383d897ac8380f4f31354b5f96a8dde724a544e58ee09d9ecbb76f918e0d4
      unpacked 10240
      checksum Q1Ku7egL5vbfwKpNHL1kh+JOJ6gb4=
      built 2023-11-07T18:53:09Z
      license GPL-2.0-only AND MIT
      script post-install 21a0270b7f66a1e4c25933f13a1e5a1bbb4757578072930c8189131f9c6aaae1

    package musl
      version 1.2.5-r9
      arch x86_64
      origin musl
      repository main
      file musl-1.2.5-r9.apk
      size 400
      sha256 d5e566d4ca91d62635685bebe1ac0468be9eace350697eafd80b184fbcbb75d7
      signature 0 100 1a2fc26dc7ea5a2a4748b7cb2b1ef193d96ab2c99f93092f69e63075b28d1278
      control 100 100 0fcd568a5cb9bdb4677b69354b11ee415af8f784519cff3da49a26f84eaee7f2
      data 200 200 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7
      diff-id 82c383d897ac8380f4f31354b5f96a8dde724a544e58ee09d9ecbb76f918e0d4
      unpacked 10240
      checksum Q1Ku7egL5vbfwKpNHL1kh+JOJ6gb4=
      built 2023-11-07T18:53:09Z
      license GPL-2.0-only AND MIT
      script post-install 21a0270b7f66a1e4c25933f13a1e5a1bbb4757578072930c8189131f9c6aaae1
    ");
}

#[test]
fn an_imported_channel_pins_neither_index_nor_key() {
    let mut lock = lock();
    lock.repositories = vec![LockedRepository { name: "debian".to_owned(), place: Place::Imported(Import::Debian) }];
    lock.keys.clear();
    for package in &mut lock.packages {
        package.repository = "debian".to_owned();
        package.debs = vec![Deb { name: "musl".to_owned(), version: "1:1.2~b+c".to_owned(), sha256: digest("deb") }];
        package.signatures.clear();
        package.control.offset = 0;
        package.data.offset = 100;
        package.size = 300;
    }
    let text = lock.to_string();
    assert!(text.contains("\nrepository debian\n  import debian\n\nworld busybox\n"), "{text}");
    assert_eq!(text.parse(), Ok(lock));
}

/// The error of the sample lock with one piece of it changed.
fn error(from: &str, to: &str) -> String {
    let text = lock().to_string();
    assert!(text.contains(from), "{from:?} is not in\n{text}");
    text.replacen(from, to, 1).parse::<Lock>().unwrap_err().to_string()
}

#[test]
fn errors_name_the_line() {
    for (from, to, expected) in [
        ("mailimg-lock 1", "mailimg-lock 2", "line 1: the lock has format version \"2\"; this mailimg reads 1"),
        ("mailimg-lock 1", "{}", "line 1: not a lock: expected `mailimg-lock 1`, found \"{}\""),
        ("arch x86_64", "arsch x86_64", "line 5: unknown keyword \"arsch\" in the lock"),
        ("arch x86_64\n", "", "line 1: the lock has no \"arch\" line"),
        ("  url", "  uri", "line 8: unknown keyword \"uri\" in repository \"main\""),
        ("  file busybox-1.37.0-r12.apk\n", "", "line 25: package \"busybox\" has no \"file\" line"),
        ("file busybox-1.37.0-r12.apk", "file ../x.apk", "line 30: file: \"../x.apk\" is not a valid name"),
        ("file busybox-1.37.0-r12.apk", "file x.apk", "line 30: file: expected busybox-1.37.0-r12.apk"),
        ("  repository main", "  repository other", "line 29: repository: the lock has no repository \"other\""),
        ("  size 400\n", "  size 400\n  size 400\n", "line 32: duplicate \"size\" in package \"busybox\""),
        ("size 400", "size 4e2", "line 31: size: invalid digit found in string"),
        ("size 400", "size 401", "line 25: package: its data doesn't end where the file ends"),
        ("control 100", "control 99", "line 25: package: its control doesn't start where the previous member ends"),
        ("package musl", "package busybox", "line 43: duplicate \"busybox\" in `package`"),
        (
            "install\n  musl\n",
            "install\n",
            "line 42: package \"musl\" is listed under `install` but has no block, or vice versa",
        ),
        ("world busybox", "<<<<<<< HEAD\nworld busybox", "line 14: unresolved merge conflict"),
        (
            "size 400",
            "size +400",
            "line 31: not as `mailimg lock` writes it: expected \"  size 400\", found \"  size +400\"",
        ),
        ("channel alpine-3.24\n", "channel alpine-3.24\r\n", "line 4: the line ends with CR LF instead of LF"),
        (
            "world busybox\nworld musl",
            "world busybox\n\nworld musl",
            "line 15: not as `mailimg lock` writes it: expected \"world musl>=1.2\", found \"\"",
        ),
    ] {
        assert_eq!(error(from, to), expected);
    }
}

#[test]
fn a_missing_end_is_noticed() {
    let mut lock = lock();
    // `license` and `script` lines may be missing as far as the text goes; they are compared with the package.
    lock.packages[0].scripts.clear();
    lock.packages[0].license.clear();
    let text = lock.to_string();
    for end in 0..text.len() {
        assert!(text[..end].parse::<Lock>().is_err(), "cut at {end}");
    }
}

#[test]
fn a_version_bump_changes_few_lines() {
    let mut newer = lock();
    newer.packages[1] = package("busybox", "1.37.0-r13");
    let (old, new) = (lock().to_string(), newer.to_string());
    let changed = old.lines().zip(new.lines()).filter(|(old, new)| old != new).count();
    assert_eq!((changed, old.lines().count()), (3, new.lines().count()));
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_][a-zA-Z0-9._+-]{0,12}"
}

fn any_digest() -> impl Strategy<Value = Sha256> {
    any::<[u8; 32]>().prop_map(Sha256::from)
}

fn text() -> impl Strategy<Value = String> {
    // Printable, without spaces at the end, which no line has.
    "\\PC{0,20}".prop_map(|text| text.trim().to_owned())
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_unix)
}

prop_compose! {
    fn any_package()(
        words in (name(), name()),
        version in "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(_(alpha|p)[0-9]{0,2})?-r[0-9]{1,2}",
        digests in (any_digest(), any_digest(), any_digest(), any_digest(), any_digest()),
        sizes in (option::of(0..1_000_u64), 0..1_000_000_u64, 0..1_u64 << 60, any::<u64>()),
        checksum in any::<[u8; 20]>(),
        built in time(),
        license in text(),
        debs in vec((name(), name(), any_digest()), 0..3),
        scripts in btree_map(name(), any_digest(), 0..3),
    ) -> LockedPackage {
        let (origin, arch) = words;
        let (sha256, sig, ctl, data, diff_id) = digests;
        let (signature, control, data_size, unpacked) = sizes;
        let start = signature.unwrap_or(0);
        LockedPackage {
            name: String::new(),
            version: version.parse().unwrap(),
            arch, origin,
            repository: String::new(),
            file: String::new(),
            size: start + control + data_size,
            sha256,
            signatures: signature.map(|size| Member { offset: 0, size, sha256: sig }).into_iter().collect(),
            control: Member { offset: start, size: control, sha256: ctl },
            data: Member { offset: start + control, size: data_size, sha256: data },
            diff_id,
            unpacked,
            checksum: Checksum::from(checksum),
            built,
            license,
            debs: debs.into_iter().map(|(name, version, sha256)| Deb { name, version, sha256 }).collect(),
            scripts: scripts.into_iter().map(|(name, sha256)| Script { name, sha256 }).collect(),
        }
    }
}

prop_compose! {
    fn any_lock()(
        channel in name(),
        arch in name(),
        urls in btree_map(name(), (text(), option::of(name()), any_digest(), time()), 1..3),
        keys in btree_map(name(), any_digest(), 0..3),
        world in proptest::collection::btree_set(name(), 0..5),
        groups in btree_map(name(), (any::<u32>(), vec(name(), 0..3)), 0..3),
        users in btree_map(name(), (any::<u32>(), name(), text()), 0..3),
        packages in btree_map(name(), any_package(), 1..6),
        shuffle in any::<u64>(),
    ) -> Lock {
        let place = |(name, package): (String, LockedPackage)| LockedPackage {
            repository: urls.keys().nth(package.sha256.as_bytes()[0] as usize % urls.len()).unwrap().clone(),
            file: format!("{name}-{}.apk", package.version),
            name,
            ..package
        };
        let mut packages: Vec<_> = packages.into_iter().map(place).collect();
        packages.sort_by_key(|package| Sha256::of(format!("{shuffle}{}", package.name)));
        Lock {
            channel, arch, keys, packages,
            repositories: urls.into_iter().map(|(name, (url, tag, index, date))| {
                LockedRepository { name, place: Place::Shared { url, tag, index, date } }
            }).collect(),
            world: world.into_iter().map(Dependency::on).collect(),
            groups: groups.into_iter().map(|(name, (gid, members))| Group { name, gid, members }).collect(),
            users: users.into_iter().map(|(name, (uid, group, gecos))| User {
                name, uid, group, gecos, home: "/home".to_owned(), shell: "/bin/sh".to_owned(),
            }).collect(),
        }
    }
}

proptest! {
    #[test]
    fn parses_what_it_writes(lock in any_lock()) {
        let text = lock.to_string();
        prop_assert_eq!(text.parse::<Lock>(), Ok(lock), "{}", text);
    }

    #[test]
    fn any_text_is_parsed_without_panic(body in "([a-z]{0,8} ?[ -~]{0,12}\n){0,12}") {
        let _ = format!("mailimg-lock 1\n{body}").parse::<Lock>();
        let _ = body.parse::<Lock>();
    }

    #[test]
    fn one_changed_byte_never_parses_to_the_same(at in 0..4_000_usize, byte in 0x20..0x7f_u8) {
        let mut bytes = lock().to_string().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        match String::from_utf8(bytes).unwrap().parse::<Lock>() {
            Ok(parsed) => prop_assert_ne!(parsed, lock()),
            Err(ParseError { line, problem }) => {
                prop_assert!(line > 0 && problem != Problem::Conflict);
            }
        }
    }
}
