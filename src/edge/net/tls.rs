//! TLS for SIP streams: certificates and keys from files, and who may be believed (RFC 5922).
//!
//! rustls with the primitives of ring; TLS 1.2 and 1.3. Files are read when they are provisioned and on an order to
//! reload, never while a connection is made: connections that are up keep what they were made with.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::core::tls::{ClientTls, ServerTls, Verify};
use crate::proto::x509::Certificate;

/// Where systems keep the authorities that everybody trusts.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Largest file of certificates or keys, in octets.
const FILE_MAX: u64 = 4 << 20;

/// Why TLS cannot be had as provisioned.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read.
    Read(PathBuf, io::Error),
    /// A private key that others may read.
    Exposed(PathBuf, u32),
    /// A file holds no certificate, or none that can be read.
    NoCertificate(PathBuf),
    /// A file holds no private key, or none that can be read.
    NoKey(PathBuf),
    /// No file of authorities on this system.
    NoAuthorities,
    /// Certificate and key don't belong together, or rustls knows their kind not.
    Unusable(PathBuf, RustlsError),
    /// The certificates of a file cannot verify anybody.
    Verifier(PathBuf, String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Exposed(path, mode) => {
                write!(f, "{}: others may read this private key (mode {mode:03o}); chmod 600 it", path.display())
            }
            Self::NoCertificate(path) => write!(f, "{}: no certificate in PEM", path.display()),
            Self::NoKey(path) => write!(f, "{}: no private key in PEM", path.display()),
            Self::NoAuthorities => f.write_str("no certificates of authorities on this system; name some by `ca`"),
            Self::Unusable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Verifier(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Unusable(_, error) => Some(error),
            _ => None,
        }
    }
}

/// The server's side, and its certificate for those who watch its expiry.
pub struct Server {
    /// For each connection that is accepted.
    pub config: Arc<ServerConfig>,
    /// What it shows.
    pub certificate: Certificate,
}

/// Reads what the server side needs. Paths are relative to `dir`.
///
/// # Errors
/// [`TlsError`].
pub fn server(dir: &FilePath, settings: &ServerTls) -> Result<Server, TlsError> {
    let path = dir.join(&settings.certificate);
    let (chain, key) = (certificates(&path)?, private_key(&dir.join(&settings.key))?);
    let certificate = first(&path, &chain)?;
    let unusable = |error| TlsError::Unusable(path.clone(), error);
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(unusable)?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let path = dir.join(ca);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&path)?), provider());
            let verifier =
                if settings.require_client_certificate { verifier } else { verifier.allow_unauthenticated() };
            let built = verifier.build().map_err(|error| TlsError::Verifier(path, error.to_string()))?;
            builder.with_client_cert_verifier(built)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(unusable)?;
    Ok(Server { config: Arc::new(config), certificate })
}

/// The client's side of one profile.
#[derive(Clone)]
pub struct Client {
    /// For each connection that is made.
    pub config: Arc<ClientConfig>,
    /// Whom the certificate must name.
    pub name: ServerName<'static>,
    /// The name that the certificate was held against; `None` where none is.
    pub verified: Option<String>,
    /// What we show, where we show one.
    pub certificate: Option<Certificate>,
}

/// Reads what connections of a profile need. Paths are relative to `dir`; `name` is the host that is called.
///
/// # Errors
/// [`TlsError`].
pub fn client(dir: &FilePath, settings: &ClientTls, name: &str) -> Result<Client, TlsError> {
    let verify = settings.verification().unwrap_or_default();
    let roots = match (&settings.ca, verify) {
        (_, Verify::Nothing) => RootCertStore::empty(),
        (Some(ca), _) => roots(&dir.join(ca))?,
        (None, _) => system_roots()?,
    };
    let verifier = Arc::new(Verifier { roots, verify, algorithms: provider().signature_verification_algorithms });
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Unusable(dir.to_owned(), error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let name = settings.server_name.as_deref().unwrap_or(name);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| TlsError::Verifier(dir.to_owned(), format!("{name:?} is no name of a server")))?;
    let (config, certificate) = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            let path = dir.join(certificate);
            let chain = certificates(&path)?;
            let shown = first(&path, &chain)?;
            let key = private_key(&dir.join(key))?;
            let config = builder.with_client_auth_cert(chain, key);
            (config.map_err(|error| TlsError::Unusable(path, error))?, Some(shown))
        }
        _ => (builder.with_no_client_auth(), None),
    };
    let verified = match verify {
        Verify::Nothing | Verify::Chain => None,
        Verify::Name => Some(name.to_str().into_owned()),
    };
    Ok(Client { config: Arc::new(config), name, verified, certificate })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(path: &FilePath) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Read(path.to_owned(), error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&mut file, FILE_MAX), &mut text).map_err(failed)?;
    Ok(text)
}

fn certificates(path: &FilePath) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::NoCertificate(path.to_owned()))
}

fn first(path: &FilePath, chain: &[CertificateDer<'_>]) -> Result<Certificate, TlsError> {
    chain.first().and_then(|der| Certificate::parse(der)).ok_or_else(|| TlsError::NoCertificate(path.to_owned()))
}

fn private_key(path: &FilePath) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mode = fs::metadata(path).map_err(|error| TlsError::Read(path.to_owned(), error))?.permissions().mode();
    // A group may be meant: system keys often belong to root:ssl-cert with 640.
    if mode & 0o007 != 0 {
        return Err(TlsError::Exposed(path.to_owned(), mode & 0o777));
    }
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| TlsError::NoKey(path.to_owned()))
}

fn roots(path: &FilePath) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(path)?);
    if roots.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(roots) }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = SYSTEM_AUTHORITIES.iter().map(FilePath::new).find(|path| path.is_file());
    roots(found.ok_or(TlsError::NoAuthorities)?)
}

/// The domains that a peer's certificate speaks for. The verifier has looked at it before.
pub(super) fn domains(chain: Option<&[CertificateDer<'_>]>) -> Vec<String> {
    let certificate = chain.and_then(|chain| chain.first()).and_then(|der| Certificate::parse(der));
    certificate.map_or(Vec::new(), |certificate| certificate.domains)
}

/// Verifies servers: the chain by webpki, the name by RFC 5922 section 7.2, which knows `sip` URIs and no wildcards.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    verify: Verify,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        if self.verify == Verify::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let (roots, algorithms) = (&self.roots, self.algorithms.all);
        rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        let named = match server_name {
            _ if self.verify == Verify::Chain => true,
            ServerName::DnsName(name) => {
                Certificate::parse(end_entity).is_some_and(|certificate| certificate.speaks_for(name.as_ref()))
            }
            // RFC 5922 knows no addresses; who calls one may have a certificate for it all the same.
            other => {
                return rustls::client::verify_server_name(&parsed, other).map(|()| ServerCertVerified::assertion());
            }
        };
        if named {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(RustlsError::InvalidCertificate(CertificateError::NotValidForName))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
