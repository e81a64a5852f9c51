use super::*;
use crate::apk::signature::fixture::WAYS;
use crate::apk::{Checksum, Dependency, Provide};

fn packages() -> Vec<Package> {
    let package = |name: &str, version: &str| {
        let mut package = Package::new(name, version.parse().unwrap(), "x86_64");
        package.checksum = Some(Checksum::of(name));
        package.file_size = Some(1234);
        package.installed_size = 5678;
        package.description = "for tests".into();
        package.url = "https://example.org".into();
        package.license = "MIT".into();
        package
    };
    let mut full = package("b", "2-r0");
    full.origin = Some("b".into());
    full.maintainer = Some("Jane <jane@example.org>".into());
    full.build_time = Some(1_700_000_000);
    full.commit = Some("4fe5".into());
    full.provider_priority = Some(10);
    full.depends = Dependency::parse_list("a>=1 !c").unwrap();
    full.provides = Provide::parse_list("cmd:b=2-r0 d").unwrap();
    full.install_if = Dependency::parse_list("a=1 e").unwrap();
    vec![package("b", "10-r0"), full, package("a", "1-r0")]
}

fn key() -> SigningKey {
    SigningKey::generate_small("me@example.org-1.rsa.pub").unwrap()
}

fn keyring(key: &SigningKey) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.trust(key.name(), key.public_pem().unwrap().as_bytes()).unwrap();
    keyring
}

#[test]
fn writes_the_fields_in_apks_order() {
    let index = Index::new("test", packages());
    let blocks = text(&index.packages);
    let expected = "C:Q16dcdjuzZRxNGFXcU2KiW/2pnZpg=\nP:b\nV:2-r0\nA:x86_64\nS:1234\nI:5678\nT:for tests\n\
        U:https://example.org\nL:MIT\no:b\nm:Jane <jane@example.org>\nt:1700000000\nc:4fe5\nk:10\nD:a>=1 !c\n\
        p:cmd:b=2-r0 d\ni:a=1 e\n";
    let found: Vec<_> = blocks.split("\n\n").collect();
    assert!(found[0].contains("\nP:a\n"));
    assert_eq!(found[1].replace(&Checksum::of("b").to_string(), "Q16dcdjuzZRxNGFXcU2KiW/2pnZpg=") + "\n", expected);
    assert!(found[2].contains("\nV:10-r0\n"));
}

#[test]
fn reads_what_it_wrote() {
    let key = key();
    let index = Index::new("v1", packages());
    let bytes = index.write(Some(&key)).unwrap();
    let signed = Index::read(&bytes, &keyring(&key)).unwrap();
    assert_eq!((&signed.index, &signed.keys[..]), (&index, &[key.name().to_owned()][..]));
    assert_eq!(index.write(Some(&key)).unwrap(), bytes);
    assert_eq!(sign_file(&index.write(None).unwrap(), &key).unwrap(), bytes);
    assert_eq!(Index::read_unverified(&index.write(None).unwrap()).unwrap(), index);
}

#[test]
fn order_does_not_matter() {
    let mut reversed = packages();
    reversed.reverse();
    assert_eq!(Index::new("", packages()), Index::new("", reversed));
}

#[test]
fn refuses_what_nobody_trusted_signed() {
    let key = key();
    let unsigned = Index::new("", packages()).write(None).unwrap();
    let signed = Index::new("", packages()).write(Some(&key)).unwrap();
    let error = |bytes: &[u8], keyring: &Keyring| match Index::read(bytes, keyring) {
        Err(IndexFileError::Signature(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error(&unsigned, &keyring(&key)), SignatureError::Unsigned));
    assert!(matches!(error(&signed, &Keyring::new()), SignatureError::UnknownKey { .. }));
}

#[test]
fn signatures_of_other_tools_are_checked() {
    let key = key();
    let keyring = keyring(&key);
    let member = Index::new("", packages()).write(None).unwrap();
    for way in &WAYS {
        let signature = way.sign(&key, &member);
        let bytes = [&signature[..], &member].concat();
        assert_eq!(Index::read(&bytes, &keyring).unwrap().keys, [key.name()], "{}", way.tool);
        assert_eq!(Index::read_unverified(&bytes).unwrap().packages.len(), 3, "{}", way.tool);
        let mut changed = bytes;
        changed[signature.len() + 20] ^= 1;
        let error = Index::read(&changed, &keyring).unwrap_err();
        assert!(matches!(error, IndexFileError::Signature(SignatureError::Invalid { .. })), "{}: {error}", way.tool);
    }
}

#[test]
fn any_changed_bit_that_is_signed_is_refused() {
    let key = key();
    let keyring = keyring(&key);
    let member = Index::new("", packages()).write(None).unwrap();
    let signature = key.sign(&member).unwrap();
    let accepted: Vec<_> = (0..member.len() * 8)
        .filter(|bit| {
            let mut changed = member.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            Index::read(&[&signature[..], &changed].concat(), &keyring).is_ok()
        })
        .collect();
    assert_eq!(accepted, [0_usize; 0]);
}

#[test]
fn an_index_may_be_several_gzip_streams() {
    let index = Index::new("v1", packages());
    let archive = expand(&index.write(None).unwrap()).unwrap();
    let streams: Vec<u8> = archive.chunks(500).flat_map(gzip::compress).collect();
    assert_eq!(Index::read_unverified(&streams).unwrap(), index);
    let error = Index::read_unverified(&[&streams[..], b"\0garbage"].concat()).unwrap_err();
    assert!(matches!(error, IndexFileError::Gzip), "{error}");
}

#[test]
fn refuses_files_that_are_no_index() {
    assert!(matches!(Index::read_unverified(b"ADB.x"), Err(IndexFileError::FormatV3)));
    for bytes in [&b""[..], b"x", b"\x1f\x8b\x08\x00", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3, 4]] {
        assert!(matches!(Index::read_unverified(bytes), Err(IndexFileError::Gzip)), "{bytes:?}");
    }
    let empty = gzip::compress(&[0; 1024]);
    assert!(matches!(Index::read_unverified(&empty), Err(IndexFileError::NoIndex)));
    // A trailer that claims four gigabytes is not believed.
    let mut huge = empty;
    huge.splice(huge.len() - 4.., [0xff; 4]);
    assert!(matches!(Index::read_unverified(&huge), Err(IndexFileError::Gzip)));
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_an_error_and_no_panic(bytes: Vec<u8>) {
        let _ = Index::read_unverified(&bytes);
        let _ = Index::read_unverified(&gzip::compress(&bytes));
        let _ = Index::read_unverified(&[&b".SIGN."[..], &bytes].concat());
    }
}

#[test]
fn what_is_no_gzip_is_not_called_unsigned() {
    let keyring = Keyring::new();
    for page in ["<html>Log in</html>", "\u{feff} <!doctype HTML>\n", "<!-- a -->"] {
        assert!(matches!(Index::read(page.as_bytes(), &keyring), Err(IndexFileError::Html)), "{page}");
    }
    for bytes in [&b""[..], b"PK\x03\x04", b"not found"] {
        assert!(matches!(Index::read(bytes, &keyring), Err(IndexFileError::Gzip)), "{bytes:?}");
    }
}
