use std::io::Read;

use flate2::bufread::GzDecoder;

use super::*;
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
    let mut archive = Vec::new();
    let mut rest = member;
    GzDecoder::new(&mut rest).read_to_end(&mut archive).ok()?;
    let used = member.len() - rest.len();
    Signature::read(&archive, &member[..used]).ok()
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
fn any_changed_bit_of_the_signature_member_is_refused() {
    let key = key();
    let keyring = keyring(&key);
    let member = key.sign(b"message").unwrap();
    let accepted: Vec<_> = (0..member.len() * 8)
        .filter(|bit| {
            let mut changed = member.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            read(&changed).is_some_and(|signatures| keyring.verify(&signatures, b"message").is_ok())
        })
        .collect();
    assert_eq!(accepted, [0_usize; 0]);
}

#[test]
fn an_unknown_key_is_named() {
    let (key, other) = (key(), SigningKey::generate_small("other.rsa.pub").unwrap());
    let signatures = read(&key.sign(b"message").unwrap()).unwrap();
    let error = keyring(&other).verify(&signatures, b"message").unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is signed by me@example.org-5f3e.rsa.pub (RSA256) only, and none of the trusted keys is of that name \
         (other.rsa.pub)"
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
fn all_of_alpines_keys_are_pinned() {
    let pins = Pins::alpine();
    assert_eq!(pins.iter().count(), ALPINE_KEY_COUNT);
    let builder = pins.get("alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub").unwrap();
    assert_eq!(builder.to_string(), "207e4696d3c05f7cb05966aee557307151f1f00217af4143c1bcaf33b8df733f");
}

/// As many as version 2.5 of the package alpine-keys ships.
const ALPINE_KEY_COUNT: usize = 17;
