use super::*;
use crate::apk::gzip;
use crate::digest::Sha256;

const NAME: &str = "me@example.org-5f3e.rsa.pub";

fn key() -> SigningKey {
    SigningKey::generate_small(NAME).unwrap()
}

fn keyring(key: &SigningKey) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.trust(key.name(), key.public_pem().unwrap().as_bytes()).unwrap();
    keyring
}

fn read(member: &[u8]) -> Option<Vec<Signature>> {
    let (signatures, rest) = split(member).ok()?;
    rest.is_empty().then_some(signatures)
}

#[test]
fn checks_what_it_signed() {
    let key = key();
    let signatures = read(&key.sign(b"message").unwrap()).unwrap();
    assert_eq!((signatures[0].algorithm.clone(), signatures[0].key.as_str()), (Algorithm::RsaSha256, NAME));
    assert_eq!(keyring(&key).verify(&signatures, b"message").unwrap(), [NAME]);
    let error = keyring(&key).verify(&signatures, b"massage").unwrap_err();
    assert!(matches!(error, SignatureError::Invalid { key } if key == NAME));
}

#[test]
fn the_same_key_and_message_give_the_same_signature() {
    let key = key();
    assert_eq!(key.sign(b"message").unwrap(), key.sign(b"message").unwrap());
}

#[test]
fn signatures_are_found_however_their_member_was_written() {
    let long = format!("{}.rsa.pub", "k".repeat(120));
    for name in [NAME, &long] {
        let key = SigningKey::generate_small(name).unwrap();
        for way in fixture::WAYS.iter().filter(|way| name == NAME || way.takes_long_names) {
            let (signatures, rest) = split(&way.sign(&key, b"message")).map(|(it, rest)| (it, rest.len())).unwrap();
            assert_eq!((signatures.len(), rest), (1, 0), "{}", way.tool);
            assert_eq!(keyring(&key).verify(&signatures, b"message").unwrap(), [name], "{}", way.tool);
            assert!(keyring(&key).verify(&signatures, b"massage").is_err(), "{}", way.tool);
        }
    }
}

/// gzip's time stamp and the like mean nothing and may differ; the key's name and the signature may not.
#[test]
fn a_changed_bit_of_the_signature_member_is_refused_or_means_nothing() {
    let key = key();
    let member = key.sign(b"message").unwrap();
    let right = read(&member);
    let mut refused = 0;
    for bit in 0..member.len() * 8 {
        let mut changed = member.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        match read(&changed) {
            None => refused += 1,
            found => assert_eq!(found, right, "bit {bit}"),
        }
    }
    assert!(refused > member.len() * 7, "{refused} of {}", member.len() * 8);
}

#[test]
fn a_signature_of_an_algorithm_to_come_does_no_harm() {
    let key = key();
    let mut archive = Vec::new();
    let mut entry = crate::apk::tar::Entry::new(".SIGN.MLDSA65.Jane Doe#1.pub", EntryKind::File, 0o644);
    entry.size = 3309;
    crate::apk::tar::append(&mut archive, &entry, &mut &[7; 3309][..]).unwrap();
    let both = [gzip::compress_like_gzip(&archive), key.sign(b"message").unwrap()].concat();
    assert_eq!(keyring(&key).verify(&read(&both).unwrap(), b"message").unwrap(), [NAME]);
}

#[test]
fn what_is_among_signatures_and_is_none_is_refused() {
    use crate::apk::tar::{Entry, append, header};
    let member = |name: &str, kind: EntryKind, size: usize| {
        let mut archive = header(&Entry::new(".SIGN.DSA.x", EntryKind::File, 0o644));
        let entry = Entry { size: size as u64, ..Entry::new(name, kind, 0o644) };
        append(&mut archive, &entry, &mut &vec![0; size][..]).unwrap();
        split(&gzip::compress_like_gzip(&archive)).unwrap_err()
    };
    for (name, kind, size) in [
        ("APKINDEX", EntryKind::File, 0),
        (".SIGN.RSA", EntryKind::File, 0),
        (".SIGN.RSA.", EntryKind::File, 0),
        (".SIGN.RSA.a/b", EntryKind::File, 0),
        (".SIGN.RSA.a", EntryKind::Symlink(b"b".to_vec()), 0),
        (".SIGN.RSA.a", EntryKind::File, 2049),
    ] {
        let error = member(name, kind, size);
        assert!(matches!(&error, SignatureError::NotASignature { name: found } if found == name), "{error}");
    }
    let huge = member(".SIGN.DSA.y", EntryKind::File, 1 << 17);
    assert!(matches!(huge, SignatureError::TooLarge), "{huge}");
    let many = key().sign(b"").unwrap().repeat(8);
    assert!(matches!(split(&many), Err(SignatureError::TooMany)));
}

#[test]
fn an_unknown_key_is_named() {
    let (key, other) = (key(), SigningKey::generate_small("other.rsa.pub").unwrap());
    let signatures = read(&key.sign(b"message").unwrap()).unwrap();
    let error = keyring(&other).verify(&signatures, b"message").unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is only signed by me@example.org-5f3e.rsa.pub (RSA256), which is not among the trusted keys (other.rsa.pub)"
    );
    // With another key of the same name, the signature is wrong and not unknown.
    let namesake = SigningKey::generate_small(NAME).unwrap();
    let error = keyring(&namesake).verify(&signatures, b"message").unwrap_err();
    assert!(matches!(error, SignatureError::Invalid { .. }));
    // Beside a trusted one, an unknown one does no harm.
    let both = [signatures, read(&other.sign(b"message").unwrap()).unwrap()].concat();
    assert_eq!(keyring(&other).verify(&both, b"message").unwrap(), ["other.rsa.pub"]);
}

#[test]
fn private_keys_survive_pem() {
    let key = key();
    let again = SigningKey::from_pem(NAME, key.private_pem().unwrap().as_bytes()).unwrap();
    assert_eq!(again.sign(b"message").unwrap(), key.sign(b"message").unwrap());
    assert!(!format!("{key:?}").contains("pair"));
}

#[test]
fn refuses_keys_that_are_none() {
    let key = key();
    let public = key.public_pem().unwrap();
    for pem in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", &public.replace('M', "-")] {
        assert!(PublicKey::from_pem(NAME, pem.as_bytes()).is_err(), "{pem}");
    }
    assert!(matches!(SigningKey::from_pem(NAME, public.as_bytes()), Err(KeyError::NotAKey { .. })));
    for name in ["../x.rsa.pub", "x.pub", ".rsa.pub", "a b.rsa.pub", ""] {
        assert!(matches!(SigningKey::generate_small(name), Err(KeyError::Name { .. })), "{name}");
    }
}

#[test]
fn pins_decide_which_key_files_are_trusted() {
    let key = key();
    let pem = key.public_pem().unwrap();
    let mut keyring = Keyring::new();
    let mut pins = Pins::alpine();
    let error = keyring.trust_pinned(NAME, pem.as_bytes(), &pins).unwrap_err();
    assert!(matches!(error, KeyError::NotPinned { found, .. } if found == Sha256::of(&pem)));
    pins.add(NAME, Sha256::of("another"));
    assert!(matches!(keyring.trust_pinned(NAME, pem.as_bytes(), &pins), Err(KeyError::WrongFingerprint { .. })));
    assert!(keyring.is_empty());
    pins.add(NAME, Sha256::of(&pem));
    keyring.trust_pinned(NAME, pem.as_bytes(), &pins).unwrap();
    assert_eq!(keyring.keys().map(|(name, _)| name).collect::<Vec<_>>(), [NAME]);
}

#[test]
fn a_pinned_key_may_have_other_line_ends() {
    let pem = key().public_pem().unwrap();
    let mut pins = Pins::default();
    pins.add(NAME, Sha256::of(&pem));
    let mut keyring = Keyring::new();
    keyring.trust_pinned(NAME, pem.replace('\n', "\r\n").as_bytes(), &pins).unwrap();
    assert_eq!(keyring.keys().next().unwrap().1.fingerprint(), Sha256::of(&pem), "locks have the pinned one");
    let other = pem.replace('\n', "\r\n\n");
    assert!(keyring.trust_pinned(NAME, other.as_bytes(), &pins).is_err());
}

#[test]
fn all_of_alpines_keys_are_pinned() {
    let pins = Pins::alpine();
    assert_eq!(pins.iter().count(), ALPINE_KEY_COUNT);
    let builder = pins.get("alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub").unwrap();
    assert_eq!(builder.to_string(), "207e4696d3c05f7cb05966aee557307151f1f00217af4143c1bcaf33b8df733f");
}

/// As many as version 2.5 of the package alpine-keys ships.
const ALPINE_KEY_COUNT: usize = 17;
