//! TLS to a task: trusted CAs and the handshake. Certificates are always verified; no setting disables that.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::AttemptError;
use crate::secrets::{Material, Unusable};

/// The most certificates in one CA bundle: three times as many as public bundles have.
const AUTHORITIES_MAX: usize = 500;
/// The most certificates of one chain.
const CHAIN_MAX: usize = 16;

/// Why TLS cannot be set up. Never repeats a key.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
struct TlsError {
    problem: &'static str,
    source: rustls::Error,
}

fn because(problem: &'static str) -> impl Fn(rustls::Error) -> TlsError {
    move |source| TlsError { problem, source }
}

/// The configuration for these secrets: the CAs, if there are any, then a client's certificate and key, if there are any.
///
/// Trusts only these CAs, else those of the system. A system without CAs trusts no task. With a certificate, the notifier
/// shows it to tasks.
pub(crate) fn config(secrets: &[Material]) -> Result<Arc<ClientConfig>, Unusable> {
    let (roots, client) = match secrets {
        [] => (system(), None),
        [ca] => (authorities(ca.newest())?, None),
        [certificate, key] => (system(), Some((certificate, key))),
        [ca, certificate, key, ..] => (authorities(ca.newest())?, Some((certificate, key))),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(because("TLS cannot be set up"))?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = chain(certificate.newest())?;
            let key = PrivateKeyDer::from_pem_slice(key.newest().as_bytes());
            let key = key.map_err(|_| "the client's key is not a private key in PEM")?;
            let unusable = because("the client's certificate and key cannot be used together");
            builder.with_client_auth_cert(chain, key).map_err(unusable)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Every task is called once in a broadcast, and its certificate is verified each time.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn system() -> RootCertStore {
    let mut store = RootCertStore::empty();
    // Certificates that cannot be parsed are not trusted.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

fn authorities(pem: &str) -> Result<RootCertStore, Unusable> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).take(AUTHORITIES_MAX) {
        let certificate = certificate.map_err(|_| "the certificate authorities are not in PEM")?;
        store.add(certificate).map_err(because("a certificate authority cannot be used"))?;
    }
    if store.is_empty() { Err("there is no certificate authority".into()) } else { Ok(store) }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).take(CHAIN_MAX).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| "the client certificate is not in PEM".into())
}

/// How one connection is secured.
#[derive(Debug)]
pub(super) struct Secured {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Secured {
    /// Requires a certificate with this DNS name, or else with the address.
    pub(super) fn new(
        config: Arc<ClientConfig>,
        name: Option<&str>,
        address: IpAddr,
    ) -> Result<Self, AttemptError> {
        let name = match name {
            None => ServerName::from(address),
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| AttemptError::ServerName)?,
        };
        Ok(Self { config, name })
    }

    /// The handshake on an open connection.
    pub(super) async fn handshake(self, stream: TcpStream) -> Result<TlsStream<TcpStream>, AttemptError> {
        let connector = TlsConnector::from(self.config);
        connector.connect(self.name, stream).await.map_err(|error| {
            if is_passing(&error) { AttemptError::TlsBroken(error) } else { AttemptError::Tls(error) }
        })
    }
}

/// Whether the same handshake may succeed later: only if the connection was closed. Other errors would repeat.
fn is_passing(error: &io::Error) -> bool {
    error.get_ref().is_none_or(|cause| cause.downcast_ref::<rustls::Error>().is_none())
}
