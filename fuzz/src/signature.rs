//! Signatures, and the keys that check them.

use std::sync::LazyLock;

use mailimg::apk::Keyring;
use mailimg::apk::signature::Signature;
use mailimg::apk::tar::{self, Entry, EntryKind};

use crate::common::{Outcome, Target, mended};

pub const TARGET: Target = Target { check, seeds };

/// A made-up key, whose private half was thrown away.
const KEY: &[u8] = include_bytes!("example.rsa.pub");
const KEY_NAME: &str = "example.rsa.pub";
/// A signature by it.
const SIGNATURE: &[u8] = include_bytes!("example.signature");
const SIGNED: &[u8] = b"message";

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let mut keyring = Keyring::new();
    keyring.trust(KEY_NAME, KEY).expect("a key");
    keyring
});

fn check(input: &[u8]) -> Outcome {
    if input.starts_with(b"-----") {
        return Ok(Keyring::new().trust(KEY_NAME, input)?);
    }
    let signatures = Signature::read(&mended(input))?;
    KEYRING.verify(&signatures, SIGNED)?;
    assert!(signatures.iter().any(|it| it.key == KEY_NAME && it.bytes == SIGNATURE), "a forged signature");
    assert!(KEYRING.verify(&signatures, b"another message").is_err());
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    let member = |names: &[&str]| {
        let mut archive = Vec::new();
        for name in names {
            let mut entry = Entry::new(*name, EntryKind::File, 0o644);
            entry.size = SIGNATURE.len() as u64;
            tar::append(&mut archive, &entry, &mut &*SIGNATURE).unwrap();
        }
        archive
    };
    vec![
        member(&[".SIGN.RSA256.example.rsa.pub"]),
        member(&[".SIGN.RSA.example.rsa.pub"]),
        member(&[".SIGN.DSA.other.pub", ".SIGN.RSA512.other.rsa.pub", ".SIGN.RSA256.example.rsa.pub"]),
        KEY.to_vec(),
    ]
}
