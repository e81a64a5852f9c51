//! Users' passwords, hashed here so that they never reach another process.

use bcrypt::Version;

/// bcrypt ignores further bytes.
const MOST: usize = 72;
const LEAST: usize = 8;
/// 2^10 rounds: about 50 ms per login on one processor of a small server.
const COST: u32 = 10;

/// Why a password can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short to be safe, or longer than bcrypt can tell apart.
    #[error("the password has {found} bytes, but must have {LEAST} to {MOST}")]
    Length {
        /// Bytes in UTF-8.
        found: usize,
    },
    /// Mail clients could not send it.
    #[error("the password contains a control character")]
    Control,
    /// The hash function failed.
    #[error("can't hash the password")]
    Hash { source: bcrypt::BcryptError },
}

/// The password's bcrypt hash as Dovecot stores it: `{BLF-CRYPT}$2y$10$…`.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    if !(LEAST..=MOST).contains(&password.len()) {
        return Err(PasswordError::Length { found: password.len() });
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordError::Control);
    }
    let parts = bcrypt::hash_with_result(password, COST).map_err(|source| PasswordError::Hash { source })?;
    Ok(format!("{{BLF-CRYPT}}{}", parts.format_for_version(Version::TwoY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_salted_bcrypt() {
        let one = hash("correct horse").unwrap();
        let bare = one.strip_prefix("{BLF-CRYPT}").unwrap();
        assert!(bare.starts_with("$2y$10$"), "{bare}");
        assert!(bcrypt::verify("correct horse", bare).unwrap());
        assert!(!bcrypt::verify("correct house", bare).unwrap());
        assert_ne!(one, hash("correct horse").unwrap());
    }

    #[test]
    fn unusable_passwords_are_refused() {
        assert!(matches!(hash("short"), Err(PasswordError::Length { found: 5 })));
        assert!(matches!(hash(&"a".repeat(73)), Err(PasswordError::Length { found: 73 })));
        assert!(hash(&"a".repeat(72)).is_ok());
        assert!(matches!(hash("with\0null byte"), Err(PasswordError::Control)));
    }
}
