//! Certificates and versions of TLS, with rustls as in `http`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use rustls_platform_verifier::Verifier;
use x509_parser::prelude::{FromDer as _, X509Certificate};

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
    /// Until the certificate expires. Negative once it has. None if it can't be read.
    pub(super) days_left: Option<i64>,
}

/// What came of an attempt to start TLS.
pub(super) enum Handshake {
    Done(Presented),
    Refused(String),
}

/// Starts TLS with one of these versions, whatever the certificate. Nothing is sent that must stay secret.
pub(super) async fn handshake(
    target: &Target,
    trust: &Trust,
    endpoint: Endpoint,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Handshake, Problem> {
    let tcp = before_tls(target, endpoint).await?;
    let witness = Arc::new(Witness { verifier: Arc::clone(&trust.verifier), seen: OnceLock::new() });
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_protocol_versions(versions).map_err(|error| Problem::new("can't set up TLS", &error))?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::clone(&witness) as _).with_no_client_auth();
    match tokio_rustls::TlsConnector::from(Arc::new(config)).connect(trust.name.clone(), tcp).await {
        Ok(_) => {
            let chain = witness.seen.get().cloned().unwrap_or_default();
            Ok(Handshake::Done(Presented { days_left: days_left(&chain), chain }))
        }
        Err(error) => Ok(Handshake::Refused(Problem::new("TLS can't be started", &error).detail)),
    }
}

/// Days until the server's certificate expires, if it can be read.
fn days_left(chain: &[CertificateDer]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    let now = i64::try_from(UnixTime::now().as_secs()).ok()?;
    Some((certificate.validity().not_after.timestamp() - now) / (24 * 60 * 60))
}

/// Accepts every certificate, and keeps what it saw.
#[derive(Debug)]
struct Witness {
    verifier: Arc<Verifier>,
    seen: OnceLock<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen
            .get_or_init(|| std::iter::once(certificate).chain(others).map(|it| it.clone().into_owned()).collect());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
