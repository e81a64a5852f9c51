//! Certificates: a self-signed one for the outside, and a private authority for connections between services.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// A certificate with its key, both as PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The most that some clients accept, even of a certificate that the user has chosen to trust (Apple).
const PUBLIC_DAYS: i64 = 825;
/// Nobody outside sees these, and nothing would renew them.
const INTERNAL_DAYS: i64 = 20 * 365;

/// A self-signed certificate for the public host name.
pub(super) fn self_signed(hostname: &str) -> Result<Pair, rcgen::Error> {
    let mut params = named(hostname, PUBLIC_DAYS);
    params.subject_alt_names = CertificateParams::new([hostname.to_owned()])?.subject_alt_names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// The site's own certificate authority.
pub(super) fn authority() -> Result<Pair, rcgen::Error> {
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: authority_params().self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// A certificate for a service, usable on both ends of a connection, signed with the authority's key.
pub(super) fn signed(service: &str, authority_key: &str) -> Result<Pair, rcgen::Error> {
    let issuer = Issuer::new(authority_params(), KeyPair::from_pem(authority_key)?);
    let mut params = named(service, INTERNAL_DAYS);
    params.subject_alt_names = CertificateParams::new([service.to_owned()])?.subject_alt_names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
}

/// Builds the authority's name in one place, so that certificates always refer to it by the same name.
fn authority_params() -> CertificateParams {
    let mut params = named("mailimg internal authority", INTERNAL_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // Clocks of different machines differ.
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(days);
    params
}
