//! What a request proves itself with, and what the notifier asks of whom it calls: keys, headers, certificates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rustls::ClientConfig;
use wire::signature::SigningKeys;

use super::{headers, tls};
use crate::secrets::{Current, Kept, SecretError, SecretRef, Vault, signing_keys};

/// Whether requests are signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// Nobody said: they are not, and somebody should be told.
    #[default]
    Undecided,
    /// They are not, by choice.
    Off,
    /// By the keys that these references name.
    By(Vec<SecretRef>),
}

/// Where the secrets are that deliveries need. The default has none: requests are unsigned, and `https` trusts whom the
/// system trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// The keys that sign requests to every service that has none of its own.
    pub signing: Signing,
    /// The keys of single services, by name.
    pub signing_of_services: BTreeMap<String, Vec<SecretRef>>,
    /// Headers that every request carries: a line `name: value` for each.
    pub headers: Option<SecretRef>,
    /// The only certificate authorities that may vouch for a task, in PEM; without them, those of the system.
    pub tls_ca: Option<SecretRef>,
    /// Our own certificate, its chain included, and its private key, both in PEM: for tasks that ask who calls.
    pub tls_client: Option<(SecretRef, SecretRef)>,
    /// How old a secret of AWS may be before it is read again.
    pub refresh: Duration,
}

/// The secrets of deliveries, read and kept up to date. Cloning it is cheap. The default is that of [`AuthSettings`].
#[derive(Clone, Debug, Default)]
pub struct Auth {
    keys: Option<Kept<SigningKeys>>,
    keys_of_services: BTreeMap<String, Kept<SigningKeys>>,
    headers: Option<Kept<HeaderMap>>,
    tls: Option<Kept<Arc<ClientConfig>>>,
}

impl Auth {
    /// Reads every secret that the options name.
    ///
    /// # Errors
    ///
    /// The first that cannot be read, or is not what it should be.
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
        let (references, make) = tls_sources(options);
        trust.tls = Some(Kept::open(vault.clone(), references, refresh, make).await?);
        Ok(trust)
    }

    /// What one attempt at a container of this service proves itself with.
    pub(super) async fn proof(&self, service: &str) -> Proof {
        Proof {
            keys: match self.keys_for(service) {
                Some(keys) => Some(keys.current().await),
                None => None,
            },
            headers: match &self.headers {
                Some(headers) => Some(headers.current().await.value),
                None => None,
            },
        }
    }

    /// A proof by newer keys, if there are any: for a receiver that does not accept these.
    pub(super) async fn newer(&self, service: &str, refused: Proof) -> Option<Proof> {
        let keys = self.keys_for(service)?.newer_than(refused.keys?.generation).await?;
        Some(Proof { keys: Some(keys), ..refused })
    }

    /// How `https` is spoken; `None` when that was never set up.
    pub(super) async fn tls(&self) -> Option<Arc<ClientConfig>> {
        match &self.tls {
            Some(tls) => Some(Arc::clone(&tls.current().await.value)),
            None => None,
        }
    }

    fn keys_for(&self, service: &str) -> Option<&Kept<SigningKeys>> {
        self.keys_of_services.get(service).or(self.keys.as_ref())
    }
}

type MakeTls = fn(&[crate::secrets::Material]) -> Result<Arc<ClientConfig>, crate::secrets::Unusable>;

fn tls_sources(options: &AuthSettings) -> (Vec<SecretRef>, MakeTls) {
    match (options.tls_ca.clone(), options.tls_client.clone()) {
        (None, None) => (Vec::new(), tls::of_system),
        (Some(ca), None) => (vec![ca], tls::of_authority),
        (None, Some((certificate, key))) => (vec![certificate, key], tls::of_system_as_client),
        (Some(ca), Some((certificate, key))) => (vec![ca, certificate, key], tls::of_authority_as_client),
    }
}

/// What one attempt proves itself with.
pub(super) struct Proof {
    /// `None` leaves the request unsigned.
    pub(super) keys: Option<Current<SigningKeys>>,
    pub(super) headers: Option<Arc<HeaderMap>>,
}
