//! One attempt with its proof: signed at the time it is made, by the keys of that time.

use ::http::StatusCode;
use tokio::time::Instant;
use wire::Scheme;

use super::auth::Proof;
use super::request::Call;
use super::tls::Secured;
use super::{AttemptError, Deliverer, http};

impl Deliverer {
    /// Sends the request and reads the answer.
    ///
    /// A task that does not accept the signature (401) may know keys that were rotated in just now: they are read again,
    /// and if they have changed, the request is repeated.
    pub(super) async fn send(
        &self,
        call: &Call,
        deadline: Option<Instant>,
    ) -> Result<StatusCode, AttemptError> {
        let proof = self.auth.proof(&call.service).await;
        let result = self.send_with(call, &proof, deadline).await;
        match &result {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                match self.auth.newer(&call.service, proof).await {
                    Some(newer) => self.send_with(call, &newer, deadline).await,
                    None => result,
                }
            }
            _ => result,
        }
    }

    async fn send_with(
        &self,
        call: &Call,
        proof: &Proof,
        deadline: Option<Instant>,
    ) -> Result<StatusCode, AttemptError> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let request = call.request(now.unix_timestamp(), proof)?;
        let secured = match call.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                let config = self.auth.tls().await.ok_or(AttemptError::NoTls)?;
                Some(Secured::new(config, call.server_name.as_deref(), call.address.ip())?)
            }
        };
        http::exchange(call.address, secured, request, inner.limits, deadline, now.into()).await
    }
}
