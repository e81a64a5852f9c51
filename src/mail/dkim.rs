//! DKIM keys (RFC 6376), one per domain, and their DNS records.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8PathBuf;

use super::secrets::read_secret;
use crate::config::{ConfigError, DomainName, Project};

/// Why a record can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    /// The site has no domains.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The domain is not one of the site's.
    #[error("{domain} is not one of the domains in mailimg.toml")]
    ForeignDomain { domain: DomainName },
    /// The key file can't be read.
    #[error("can't read the DKIM key {path}")]
    Read { path: Utf8PathBuf, source: std::io::Error },
    /// The file is not a key.
    #[error("{path} is not an RSA key (PKCS#8, PEM)")]
    Key { path: Utf8PathBuf },
}

/// A TXT record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The full name, without a trailing dot.
    pub name: String,
    /// The value as one text.
    pub value: String,
}

impl Record {
    /// The record as a line of a zone file. Strings in a TXT record have at most 255 bytes (RFC 1035, section 3.3), so
    /// a longer value is split, and resolvers join it again.
    #[must_use]
    pub fn zone_line(&self) -> String {
        let strings: Vec<String> =
            self.value.as_bytes().chunks(255).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
        format!("{}. IN TXT ( {} )", self.name, strings.join(" "))
    }
}

/// The file of a domain's key, relative to the secrets directory.
#[must_use]
pub fn key_path(selector: &str, domain: &DomainName) -> Utf8PathBuf {
    Utf8PathBuf::from("dkim").join(format!("{selector}.{domain}.pem"))
}

/// The record for one of the site's domains.
pub fn record(project: &Project, domain: &DomainName) -> Result<Record, DkimError> {
    let site = project.site();
    if !project.domains("the record of a DKIM key")?.contains(domain) {
        return Err(DkimError::ForeignDomain { domain: domain.clone() });
    }
    let path = project.secrets_dir().join(key_path(&site.dkim.selector, domain));
    let pem = read_secret(&path).map_err(|source| DkimError::Read { path: path.clone(), source })?;
    let public = public_key(&pem).ok_or(DkimError::Key { path })?;
    Ok(Record {
        name: format!("{}._domainkey.{domain}", site.dkim.selector),
        value: format!("v=DKIM1; h=sha256; k=rsa; p={}", STANDARD.encode(public)),
    })
}

/// A new 2048-bit RSA key, as PKCS#8 in PEM. RFC 8301 requires at least 1024 bits and recommends 2048; some verifiers
/// don't support more.
pub(super) fn generate() -> Result<String, aws_lc_rs::error::Unspecified> {
    let key = KeyPair::generate(KeySize::Rsa2048)?;
    let der: Pkcs8V1Der<'_> = key.as_der()?;
    let pem = pem::Pem::new("PRIVATE KEY", der.as_ref());
    Ok(pem::encode_config(&pem, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)))
}

/// The SubjectPublicKeyInfo in DER, which is the value of `p=`.
fn public_key(pem: &str) -> Option<Vec<u8>> {
    let key = KeyPair::from_pkcs8(pem::parse(pem).ok()?.contents()).ok()?;
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
    Some(der.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_public_half() {
        let pem = generate().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(pem.lines().all(|line| line.len() <= 64));
        let public = public_key(&pem).unwrap();
        // 2048 bits of modulus and what surrounds them.
        assert_eq!(public.len(), 294);
        assert_eq!(public_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), None);
    }

    #[test]
    fn long_records_are_cut_into_strings() {
        let record = Record { name: "mail._domainkey.example.org".to_owned(), value: "x".repeat(400) };
        let line = record.zone_line();
        assert_eq!(
            line,
            format!("mail._domainkey.example.org. IN TXT ( \"{}\" \"{}\" )", "x".repeat(255), "x".repeat(145))
        );
    }
}
