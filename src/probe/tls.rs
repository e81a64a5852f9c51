//! Certificates and versions of TLS.
//!
//! rustls verifies certificates, as in `http`. OpenSSL only finds out what the server would accept: it sends nothing
//! that must stay secret, so it needs no valid certificate.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslConnector, SslMethod, SslVerifyMode, SslVersion};
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio_openssl::SslStream;

use super::endpoint::Endpoint;
use super::imap::Imap;
use super::reply::Problem;
use super::target::{ProbeError, Target};
use super::transport::before_tls;

/// Which certificates are valid: those for the site's name that this machine trusts, and the site's own.
pub(super) struct Trust {
    name: ServerName<'static>,
    verifier: Arc<Verifier>,
    smtp: TlsParameters,
    imap: Arc<ClientConfig>,
}

impl Trust {
    pub(super) fn in_site(target: &Target) -> Result<Self, ProbeError> {
        let wrong = |error: &dyn fmt::Display| ProbeError::Tls { reason: error.to_string() };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let own = &target.own_certificates;
        let verifier = Verifier::new_with_extra_roots(own.iter().cloned(), Arc::clone(&provider));
        let verifier = Arc::new(verifier.map_err(|error| wrong(&error))?);
        let imap = ClientConfig::builder_with_provider(provider);
        let imap = imap.with_safe_default_protocol_versions().map_err(|error| wrong(&error))?;
        let imap = imap.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier) as _).with_no_client_auth();
        // With its default store, lettre makes the same verifier.
        let mut smtp = TlsParameters::builder(target.hostname.to_string());
        for certificate in own {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| wrong(&error))?;
            smtp = smtp.add_root_certificate(certificate);
        }
        Ok(Self {
            name: ServerName::try_from(target.hostname.to_string()).map_err(|error| wrong(&error))?,
            verifier,
            smtp: smtp.build().map_err(|error| wrong(&error))?,
            imap: Arc::new(imap),
        })
    }

    pub(super) fn for_smtp(&self) -> TlsParameters {
        self.smtp.clone()
    }

    pub(super) async fn for_imap(&self, stream: Imap) -> std::io::Result<tokio_rustls::client::TlsStream<Imap>> {
        tokio_rustls::TlsConnector::from(Arc::clone(&self.imap)).connect(self.name.clone(), stream).await
    }

    /// Whether a certificate is valid for the site now.
    pub(super) fn verify(&self, presented: &Presented) -> Result<(), rustls::Error> {
        let Some((certificate, others)) = presented.chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        self.verifier.verify_server_cert(certificate, others, &self.name, &[], UnixTime::now()).map(|_| ())
    }
}

/// What a server shows of itself.
pub(super) struct Presented {
    /// Its certificate comes first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// Negative once the certificate has expired.
    pub(super) days_left: i32,
}

/// What came of an attempt to start TLS.
pub(super) enum Handshake {
    Done(Presented),
    Refused(String),
    /// This machine's OpenSSL doesn't speak this version.
    Unable,
}

/// Starts TLS, whatever the certificate, with this version only or with any.
pub(super) async fn handshake(
    target: &Target,
    endpoint: Endpoint,
    only: Option<SslVersion>,
) -> Result<Handshake, Problem> {
    let tcp = before_tls(target, endpoint).await?;
    let local = |error: ErrorStack| Problem::new("can't set up TLS", &error);
    let ssl = client(target.hostname.as_str(), only).map_err(local)?;
    let mut stream = SslStream::new(ssl, tcp).map_err(local)?;
    match Pin::new(&mut stream).connect().await {
        Ok(()) => presented(&stream).map(Handshake::Done).map_err(local),
        Err(error) if is_unable(error.ssl_error()) => Ok(Handshake::Unable),
        Err(error) => Ok(Handshake::Refused(Problem::new("TLS can't be started", &error).detail)),
    }
}

fn client(hostname: &str, only: Option<SslVersion>) -> Result<Ssl, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_verify(SslVerifyMode::NONE);
    if only.is_some() {
        // OpenSSL's default level would refuse old versions by itself, and so would some machines' configuration.
        builder.set_cipher_list("ALL:@SECLEVEL=0")?;
        builder.set_min_proto_version(only)?;
        builder.set_max_proto_version(only)?;
    }
    let mut ssl = Ssl::new(builder.build().context())?;
    ssl.set_hostname(hostname)?;
    Ok(ssl)
}

/// Whether OpenSSL gave up before it asked the server.
fn is_unable(errors: Option<&ErrorStack>) -> bool {
    let reasons = errors.into_iter().flat_map(ErrorStack::errors).filter_map(openssl::error::Error::reason);
    reasons.into_iter().any(|reason| ["no protocols available", "unsupported protocol version"].contains(&reason))
}

fn presented<S>(stream: &SslStream<S>) -> Result<Presented, ErrorStack> {
    let certificates = stream.ssl().peer_cert_chain().into_iter().flatten();
    let chain = certificates.map(|it| Ok(CertificateDer::from(it.to_der()?))).collect::<Result<_, ErrorStack>>()?;
    let days_left = match stream.ssl().peer_certificate() {
        Some(certificate) => Asn1Time::days_from_now(0)?.diff(certificate.not_after())?.days,
        None => 0,
    };
    Ok(Presented { chain, days_left })
}
