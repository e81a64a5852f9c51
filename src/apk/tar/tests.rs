use std::io::Read;

use proptest::prelude::*;

use super::fixture::{block, extension, file, padded_content, record, set};
use super::*;

fn read(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut entries = Entries::new(archive);
    let mut found = Vec::new();
    while let Some(entry) = entries.next()? {
        let mut content = Vec::new();
        entries.content().take(1 << 20).read_to_end(&mut content).map_err(TarError::Read)?;
        found.push((entry, content));
    }
    Ok(found)
}

#[test]
fn gnu_long_names_and_targets() {
    let (name, target) = ("n".repeat(200), "t/".repeat(120) + "t");
    let link = block(|block| block[156] = b'2');
    let name_header = extension(b'L', format!("{name}\0").as_bytes());
    let archive = [name_header, extension(b'K', target.as_bytes()), link].concat();
    let found = read(&archive).unwrap();
    assert_eq!(found[0].0.path, name.as_bytes());
    assert_eq!(found[0].0.kind, EntryKind::Symlink(target.into()));
}

#[test]
fn pax_records_take_precedence() {
    let records = [
        record("path", "a/long/name"),
        record("uid", "70000000"),
        record("mtime", "12.75"),
        record("uname", "postfix"),
        record("size", "3"),
        record("APK-TOOLS.checksum.SHA1", &hex::encode([9; 20])),
        record("SCHILY.xattr.user.x", "v=1"),
    ];
    let archive = [extension(b'x', records.concat().as_bytes()), file(0), padded_content(b"abc")].concat();
    let [(entry, content)] = &read(&archive).unwrap()[..] else { panic!() };
    assert_eq!((&entry.path[..], entry.uid, entry.mtime), (&b"a/long/name"[..], 70_000_000, 12));
    assert_eq!((entry.user.as_str(), content.as_slice()), ("postfix", &b"abc"[..]));
    assert_eq!(entry.checksum, Some(Checksum::from([9; 20])));
    assert_eq!(entry.xattrs["user.x"], b"v=1");
}

#[test]
fn global_records_hold_for_all_and_local_ones_for_one() {
    let archive = [
        extension(b'g', record("gname", "mail").as_bytes()),
        extension(b'x', record("gname", "root").as_bytes()),
        file(0),
        file(0),
    ];
    let groups: Vec<_> = read(&archive.concat()).unwrap().into_iter().map(|it| it.0.group).collect();
    assert_eq!(groups, ["root", "mail"]);
}

#[test]
fn numbers_in_base_256() {
    let archive = block(|block| set(block, 108, &[0x80, 0, 0, 0, 0, 1, 0, 0]));
    assert_eq!(read(&archive).unwrap()[0].0.uid, 1 << 16);
}

#[test]
fn times_before_1970_and_within_seconds_are_rounded_down() {
    let mtime = |archive: &[u8]| read(archive).map(|found| found[0].0.mtime).ok();
    let in_header = |field: &[u8]| mtime(&block(|block| set(block, 136, field)));
    assert_eq!(in_header(&[0xff; 12]), Some(-1));
    assert_eq!(in_header(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"), Some(-256));
    assert_eq!(in_header(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
    assert_eq!(in_header(b"\xff\0\0\0\0\0\0\0\0\0\0\0"), None);
    assert_eq!(in_header(&[0; 12]), Some(0));
    for (text, want) in [
        ("12.75", Some(12)),
        ("12.", Some(12)),
        ("-1", Some(-1)),
        ("-1.0", Some(-1)),
        ("-1.5", Some(-2)),
        ("-0.25", Some(-1)),
        ("9223372036854775807", Some(i64::MAX)),
        ("9223372036854775808", None),
        ("--1", None),
        ("+1", None),
        ("-", None),
        (".5", None),
        ("1.x", None),
        ("1e9", None),
    ] {
        assert_eq!(mtime(&[extension(b'x', record("mtime", text).as_bytes()), file(0)].concat()), want, "{text}");
    }
}

/// Archives as fpm, nfpm, melange, bsdtar, busybox, GNU tar and older tools write them.
#[test]
fn reads_what_other_tools_write() {
    let entry = |change: fn(&mut [u8])| read(&block(change)).unwrap().remove(0).0;
    let numbers = |entry: &Entry| (entry.mode, entry.uid, entry.size);
    assert_eq!(numbers(&entry(|block| block[100..136].fill(0))), (0, 0, 0), "empty fields");
    assert_eq!(numbers(&entry(|block| set(block, 100, b"100755 \0   644 \0"))), (0o755, 0o644, 0), "spaces");
    assert_eq!(entry(|block| block[156] = b'7').kind, EntryKind::File, "contiguous");
    let v7 = |block: &mut [u8]| {
        block[257..345].fill(0);
        block[156] = 0;
    };
    assert_eq!((entry(v7).kind, entry(v7).user), (EntryKind::File, String::new()), "before POSIX");
    let directory = |block: &mut [u8]| {
        set(block, 0, b"usr//\0");
        set(block, 124, b"00000010000");
        block[156] = b'5';
    };
    assert_eq!((entry(directory).path, entry(directory).size), (b"usr".to_vec(), 0), "a directory with a size");
    assert_eq!(entry(|block| set(block, 0, b"caf\xe9\0")).path, b"caf\xe9", "a name in Latin 1");
    for name in [&b"caf\xe9"[..], b"a:b", b"a\nb"] {
        let header = block(|block| {
            block[265..297].fill(0);
            set(block, 265, name);
        });
        assert_eq!(read(&header).unwrap()[0].0.user, "", "{name:?} can be nobody's name");
    }
    let domain = entry(|block| set(block, 265, b"CORP\\Domain Users\0"));
    assert_eq!(domain.user, "CORP\\Domain Users");
}

#[test]
fn a_checksum_may_take_bytes_as_signed() {
    let mut header = block(|block| set(block, 0, b"caf\xe9\0"));
    let sum = i64::from_str_radix(str::from_utf8(&header[148..154]).unwrap(), 8).unwrap() - 256;
    set(&mut header, 148, format!("{sum:06o}").as_bytes());
    assert_eq!(read(&header).unwrap()[0].0.path, b"caf\xe9");
    set(&mut header, 148, format!("{:06o}", sum - 256).as_bytes());
    assert!(matches!(read(&header), Err(TarError::HeaderChecksum { offset: 0 })));
}

#[test]
fn labels_and_malformed_checksums_are_passed_over() {
    let label = block(|block| block[156] = b'V');
    assert_eq!(read(&[label, file(0)].concat()).unwrap().len(), 1);
    for value in ["", "abcd", &"g".repeat(40)] {
        let archive = [extension(b'x', record(CHECKSUM_KEY, value).as_bytes()), file(0)].concat();
        assert_eq!(read(&archive).unwrap()[0].0.checksum, None, "{value}");
    }
}

fn portable(archive: &[u8]) -> bool {
    let mut entries = Entries::new(archive);
    while entries.next().unwrap().is_some() {}
    entries.is_portable()
}

#[test]
fn tells_archives_that_not_every_reader_knows() {
    let before_posix = block(|block| block[156] = 0);
    let usual = [
        extension(b'x', record("mtime", "0.5").as_bytes()),
        file(0),
        extension(b'L', b"long\0"),
        file(0),
        extension(b'x', [record("path", "long"), record("SCHILY.xattr.user.a", "\0b")].concat().as_bytes()),
        before_posix,
    ];
    assert!(portable(&usual.concat()));
    let records = |key| extension(b'x', record(key, "1").as_bytes());
    let with_size = block(|block| {
        set(block, 124, b"00000000001");
        block[156] = b'5';
    });
    let mut with_magic_of_its_own = extension(b'x', record("path", "a").as_bytes());
    with_magic_of_its_own.splice(
        ..BLOCK,
        block(|block| {
            block[156] = b'x';
            set(block, 124, b"00000000012");
            set(block, 257, b"\0\0\0\0\0\0\0\0");
        }),
    );
    let mut with_signed_sum = block(|block| set(block, 265, b"\xff"));
    let sum = with_signed_sum[148..154].iter().fold(0, |sum, digit| sum * 8 + u64::from(digit - b'0'));
    set(&mut with_signed_sum, 148, format!("{:06o}\0 ", sum - 256).as_bytes());
    for archive in [
        vec![extension(b'g', record("gname", "mail").as_bytes()), file(0)],
        vec![block(|block| block[156] = b'7')],
        vec![block(|block| block[156] = b'V'), file(0)],
        vec![with_size],
        vec![block(|block| set(block, 329, b"device"))],
        vec![records("path"), block(|block| set(block, 136, b"whenever"))],
        vec![records("uname"), records("uname"), file(0)],
        vec![records("path"), extension(b'L', b"long\0"), file(0)],
        vec![extension(b'K', b"long\0"), records("linkpath"), file(0)],
        vec![extension(b'L', b"long\0"), extension(b'L', b"long\0"), file(0)],
        vec![records("GNU.sparse.name"), file(0)],
        vec![records("uname"), extension(b'L', b"long\0"), file(0)],
        vec![extension(b'L', b"long\0"), records("uname"), file(0)],
        vec![extension(b'x', [record("path", "a"), record("path", "b")].concat().as_bytes()), file(0)],
        vec![extension(b'x', b"010 path=a\n"), file(0)],
        vec![extension(b'x', record("path", "").as_bytes()), file(0)],
        vec![extension(b'x', record("SCHILY.xattr.user.a", "").as_bytes()), file(0)],
        vec![extension(b'x', record("mtime", "-1.5").as_bytes()), file(0)],
        vec![extension(b'x', record("mtime", &(1_u64 << 63).to_string()).as_bytes()), file(0)],
        vec![extension(b'x', record("hdrcharset", "BINARY").as_bytes()), file(0)],
        vec![extension(b'x', record("unknown", "a").as_bytes()), file(0)],
        vec![records("size"), file(0)],
        vec![records("uid"), file(0)],
        vec![records("linkpath"), file(0)],
        vec![extension(b'K', b"long\0"), file(0)],
        vec![extension(b'L', b"a\0b"), file(0)],
        vec![extension(b'L', b"unended"), file(0)],
        vec![extension(b'x', record("mtime", "1").as_bytes()), file(0)],
        vec![extension(b'x', record("atime", "x").as_bytes()), file(0)],
        vec![extension(b'x', record("SCHILY.xattr.user.a", "\n12 path=x/y\n").as_bytes()), file(0)],
        vec![block(|block| set(block, 100, &[0x80, 0, 0, 0, 0, 0, 1, 0o244]))],
        vec![block(|block| set(block, 108, &[0xff; 8]))],
        vec![block(|block| set(block, 116, &[0; 8]))],
        vec![with_magic_of_its_own, file(0)],
        vec![with_signed_sum],
        vec![file(0), vec![0; 512 + 100]],
        vec![extension(b'L', b"\0"), file(0)],
        vec![block(|block| set(block, 257, b"\0\0\0\0\0\0\0\0"))],
        vec![block(|block| set(block, 263, b"01"))],
        vec![block(|block| set(block, 508, b"tar\0"))],
        vec![block(|block| {
            set(block, 257, b"ustar  \0");
            set(block, 345, b"prefix");
        })],
        vec![block(|block| {
            block[156] = 0;
            set(block, 0, b"name/");
        })],
    ] {
        // One that is malformed is refused.
        let archive = archive.concat();
        assert!(read(&archive).is_err() || !portable(&archive), "{}", String::from_utf8_lossy(&archive));
    }
    let link = block(|block| block[156] = b'2');
    assert!(portable(&[extension(b'L', b"long\0"), extension(b'K', b"long\0"), link].concat()));
}

#[test]
fn extension_headers_have_a_limit_for_each_entry_and_global_ones_altogether() {
    let large = |kind, number: usize| extension(kind, record(&format!("k{number}"), &"x".repeat(40_000)).as_bytes());
    assert!(read(&[large(b'x', 0), file(0), large(b'x', 1), file(0)].concat()).is_ok());
    for kind in [b'x', b'g'] {
        let error = read(&[large(kind, 0), large(kind, 1), file(0)].concat()).unwrap_err();
        assert!(matches!(error, TarError::Limit { limit: 65_536, .. }), "{error}");
    }
    assert!(read(&[large(b'g', 0), file(0), large(b'g', 0), file(0)].concat()).is_err());
}

#[test]
fn holes_have_a_limit_altogether() {
    let sparse = |size: u64| {
        let records = [record("GNU.sparse.size", &size.to_string()), record("GNU.sparse.map", "0,0")].concat();
        [extension(b'x', records.as_bytes()), file(0)].concat()
    };
    let skip = |archive: &[u8]| {
        let mut entries = Entries::new(archive);
        while entries.next()?.is_some() {}
        Ok::<(), TarError>(())
    };
    skip(&sparse(1 << 30)).unwrap();
    for archive in [sparse((1 << 30) + 1), sparse(1 << 62), sparse(1 << 20).repeat(1025)] {
        let error = skip(&archive).unwrap_err();
        assert!(matches!(error, TarError::Limit { what: "bytes in holes of sparse files", .. }), "{error}");
    }
}

#[test]
fn sparse_files_read_with_their_holes() {
    let expected = [&[0; 600][..], b"abc", &[0; 97], b"de", &[0; 298]].concat();
    let old = block(|block| {
        block[156] = b'S';
        set(block, 124, b"00000000005");
        set(block, 386, b"00000001130\x0000000000003\x0000000001274\x0000000000002\0");
        set(block, 483, b"00000001750");
    });
    let map = "2\n600\n3\n700\n2\n";
    let v1 = [
        record("GNU.sparse.major", "1"),
        record("GNU.sparse.minor", "0"),
        record("GNU.sparse.name", "name"),
        record("GNU.sparse.realsize", "1000"),
    ];
    let v01 = [record("GNU.sparse.size", "1000"), record("GNU.sparse.map", "600,3,700,2")];
    let v00 = [
        record("GNU.sparse.size", "1000"),
        record("GNU.sparse.offset", "600"),
        record("GNU.sparse.numbytes", "3"),
        record("GNU.sparse.offset", "700"),
        record("GNU.sparse.numbytes", "2"),
    ];
    let stored = padded_content(b"abcde");
    for archive in [
        [old, stored.clone()].concat(),
        [extension(b'x', v1.concat().as_bytes()), file(512 + 5), padded_content(map.as_bytes()), stored.clone()]
            .concat(),
        [extension(b'x', v01.concat().as_bytes()), file(5), stored.clone()].concat(),
        [extension(b'x', v00.concat().as_bytes()), file(5), stored.clone()].concat(),
    ] {
        assert!(!portable(&archive));
        let found = read(&[archive, file(0)].concat()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0.size, found[0].0.display_path().as_ref()), (1000, "name"));
        assert_eq!(found[0].1, expected);
    }
}

#[test]
fn refuses_sparse_maps_that_lie() {
    for (map, size) in [("600,3,601,2", "1000"), ("600,5", "601"), ("0,4", "1000"), ("0", "1000"), ("9,5", "4")] {
        let records = record("GNU.sparse.size", size) + &record("GNU.sparse.map", map);
        let archive = [extension(b'x', records.as_bytes()), file(5), padded_content(b"abcde")].concat();
        assert!(matches!(read(&archive), Err(TarError::Sparse { .. })), "{map}");
    }
}

#[test]
fn only_files_are_sparse() {
    let records = record("GNU.sparse.size", "1000") + &record("GNU.sparse.map", "0,0");
    for kind in *b"123456" {
        let target: &[u8] = if matches!(kind, b'1' | b'2') { b"target" } else { b"" };
        let header = block(|block| {
            block[156] = kind;
            set(block, 157, target);
        });
        assert_eq!(read(&header).unwrap().len(), 1, "{}", char::from(kind));
        let error = read(&[extension(b'x', records.as_bytes()), header].concat()).unwrap_err();
        assert_eq!(error.to_string(), r#""name" has an invalid sparse map: only a file can have one"#);
    }
}

#[test]
fn nothing_may_follow_the_end() {
    let mut archive = file(0);
    end(&mut archive);
    archive.resize(10240, 0);
    assert_eq!(read(&archive).unwrap().len(), 1);
    archive.extend(file(0));
    assert!(matches!(read(&archive), Err(TarError::AfterEnd { offset: 10240 })));
}

#[test]
fn refuses_content_where_there_can_be_none() {
    for kind in [b'1', b'2', b'3', b'6'] {
        let archive = block(|block| {
            block[156] = kind;
            set(block, 157, b"target");
            set(block, 124, b"00000000001");
        });
        assert!(matches!(read(&archive), Err(TarError::UnexpectedContent { size: 1, .. })));
    }
}

#[test]
fn refuses_numbers_of_devices_that_cannot_be_written() {
    let device = |minor: &[u8]| {
        block(|block| {
            block[156] = b'3';
            set(block, 337, minor);
        })
    };
    assert_eq!(read(&device(b"7777777\0")).unwrap().len(), 1);
    let error = read(&device(b"\x80\0\0\0\0\x20\0\0")).unwrap_err();
    assert!(matches!(error, TarError::Field { field: "device number", .. }), "{error}");
}

#[test]
fn refuses_changed_headers_and_cut_archives() {
    let mut archive = Vec::new();
    let mut entry = Entry::new("dir/name", EntryKind::File, 0o644);
    entry.size = 600;
    append(&mut archive, &entry, &mut &[1; 600][..]).unwrap();
    for length in 1..archive.len() {
        assert!(read(&archive[..length]).is_err(), "{length}");
    }
    for position in 0..BLOCK {
        let mut changed = archive.clone();
        changed[position] ^= 1;
        assert!(read(&changed).is_err() || changed[148..156] != archive[148..156], "{position}");
    }
}

#[test]
fn says_where_entries_lie() {
    let mut archive = Vec::new();
    let mut entry = Entry::new("n".repeat(150), EntryKind::File, 0o644);
    entry.size = 3;
    append(&mut archive, &entry, &mut &b"abc"[..]).unwrap();
    let mut entries = Entries::new(&archive[..]);
    entries.next().unwrap();
    assert_eq!(*entries.position(), Position { header: 0..1536, content: 1536..1539 });
}

fn paths() -> impl Strategy<Value = Vec<u8>> {
    "[a-zé ]{1,80}(/[a-z]{1,60}){0,4}".prop_map(String::into_bytes)
}

fn kinds() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        Just(EntryKind::File),
        Just(EntryKind::Directory),
        Just(EntryKind::Fifo),
        paths().prop_map(EntryKind::Symlink),
        paths().prop_map(EntryKind::Hardlink),
        (0_u32..4096, 0_u32..1 << 20).prop_map(|(major, minor)| EntryKind::CharDevice(Device { major, minor })),
    ]
}

fn files() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let attributes = prop::collection::btree_map("user\\.[a-z]{1,5}", any::<Vec<u8>>(), 0..3);
    let owner = (any::<u32>(), any::<u32>(), "[a-z]{0,40}", "[a-z]{0,9}");
    (paths(), kinds(), 0_u32..0o10000, owner, any::<i64>(), any::<Vec<u8>>(), any::<Option<[u8; 20]>>(), attributes)
        .prop_map(|(path, kind, mode, (uid, gid, user, group), mtime, content, checksum, xattrs)| {
            let content = if kind == EntryKind::File { content } else { Vec::new() };
            let size = content.len() as u64;
            let checksum = checksum.map(Checksum::from);
            (Entry { path, kind, mode, uid, gid, user, group, size, mtime, checksum, xattrs }, content)
        })
}

proptest! {
    #[test]
    fn reads_what_it_wrote(files in prop::collection::vec(files(), 0..5)) {
        let mut archive = Vec::new();
        for (entry, content) in &files {
            append(&mut archive, entry, &mut &content[..]).unwrap();
        }
        prop_assert_eq!(read(&archive).unwrap(), files.clone());
        end(&mut archive);
        prop_assert_eq!(read(&archive).unwrap(), files);
    }

    #[test]
    fn any_bytes_give_an_error_and_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        kind: u8,
        at in 100_usize..500,
    ) {
        let _ = read(&bytes);
        // Behind a header that is right, and with fields that are not.
        let head = block(|block| {
            block[156] = kind;
            let end = (at + bytes.len()).min(500);
            set(block, at, &bytes[..end - at]);
        });
        let _ = read(&[&head[..], &bytes].concat());
        let _ = read(&[&extension(b'x', &bytes)[..], &head].concat());
    }
}
