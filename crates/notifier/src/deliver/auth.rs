//! Authentication in both directions: signing keys, headers and certificates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use http::HeaderMap;
use rustls::ClientConfig;
use wire::signature::SigningKeys;

use super::{headers, tls};
use crate::secrets::{Current, Kept, SecretError, SecretRef, Vault, signing_keys};

/// Whether requests are signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// Not configured: requests are unsigned, with a warning.
    #[default]
    Undecided,
    /// Unsigned by choice.
    Off,
    /// Signed with the keys of these references.
    By(Vec<SecretRef>),
}

/// References to the secrets of deliveries. The default has none: requests are unsigned, and `https` trusts the CAs of
/// the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// The keys for services without their own keys.
    pub signing: Signing,
    /// The keys of single services, by name.
    pub signing_of_services: BTreeMap<String, Vec<SecretRef>>,
    /// Extra request headers, one `name: value` per line.
    pub headers: Option<SecretRef>,
    /// The only CAs trusted for tasks, in PEM (default: the system's).
    pub tls_ca: Option<SecretRef>,
    /// The client certificate with its chain, and its private key, both in PEM: for tasks that require one.
    pub tls_client: Option<(SecretRef, SecretRef)>,
    /// The maximum age of a secret from AWS before it is read again.
    pub refresh: Duration,
}

/// The secrets of deliveries, refreshed in time. Cloning it is cheap. The default is that of [`AuthSettings`].
#[derive(Clone, Debug, Default)]
pub struct Auth {
    keys: Option<Kept<SigningKeys>>,
    keys_of_services: BTreeMap<String, Kept<SigningKeys>>,
    headers: Option<Kept<HeaderMap>>,
    tls: Option<Kept<Arc<ClientConfig>>>,
}

impl Auth {
    /// Reads every secret of the options.
    ///
    /// # Errors
    ///
    /// The first secret that cannot be read, or is not valid.
    pub async fn load(options: &AuthSettings, vault: &Vault) -> Result<Self, SecretError> {
        let refresh = options.refresh;
        let keys =
            |references: &[SecretRef]| Kept::open(vault.clone(), references.to_vec(), refresh, signing_keys);
        let mut trust = Self::default();
        if let Signing::By(references) = &options.signing {
            trust.keys = Some(keys(references).await?);
        }
        for (service, references) in &options.signing_of_services {
            trust.keys_of_services.insert(service.clone(), keys(references).await?);
        }
        if let Some(reference) = &options.headers {
            let reference = vec![reference.clone()];
            trust.headers = Some(Kept::open(vault.clone(), reference, refresh, headers::headers).await?);
        }
        let client = options.tls_client.iter().flat_map(|(certificate, key)| [certificate, key]);
        let references = options.tls_ca.iter().chain(client).cloned().collect();
        trust.tls = Some(Kept::open(vault.clone(), references, refresh, tls::config).await?);
        Ok(trust)
    }

    /// The keys and headers for one attempt at a container of this service.
    pub(super) async fn proof(&self, service: &str) -> Proof {
        let keys = OptionFuture::from(self.keys_for(service).map(Kept::current)).await;
        let headers = OptionFuture::from(self.headers.as_ref().map(Kept::current)).await;
        Proof { keys, headers: headers.map(|headers| headers.value) }
    }

    /// The same with newer keys, if there are any: for a receiver that refused these.
    pub(super) async fn newer(&self, service: &str, refused: Proof) -> Option<Proof> {
        let keys = self.keys_for(service)?.newer_than(refused.keys?.generation).await?;
        Some(Proof { keys: Some(keys), ..refused })
    }

    /// The TLS configuration; `None` if there is none.
    pub(super) async fn tls(&self) -> Option<Arc<ClientConfig>> {
        let tls = OptionFuture::from(self.tls.as_ref().map(Kept::current)).await?;
        Some(Arc::clone(&tls.value))
    }

    fn keys_for(&self, service: &str) -> Option<&Kept<SigningKeys>> {
        self.keys_of_services.get(service).or(self.keys.as_ref())
    }
}

/// The keys and headers of one attempt.
pub(super) struct Proof {
    /// `None` leaves the request unsigned.
    pub(super) keys: Option<Current<SigningKeys>>,
    pub(super) headers: Option<Arc<HeaderMap>>,
}
