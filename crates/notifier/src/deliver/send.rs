//! One attempt with its proof: signed at the time it is made, by the keys of that time.

use ::http::StatusCode;
use tokio::time::Instant;
use wire::{Broadcast, Scheme};

use super::auth::Proof;
use super::request::request;
use super::tls::Secured;
use super::{AttemptError, Deliverer, http};
use crate::base::trace::TraceContext;
use crate::model::Endpoint;

impl Deliverer {
    /// Sends the request to an allowed address, and reads the answer.
    ///
    /// A task that does not accept the signature (401) may know keys that were rotated in just now: they are read again,
    /// and if they have changed, the request is repeated.
    pub(super) async fn send(
        &self,
        broadcast: &Broadcast,
        endpoint: &Endpoint,
        trace: TraceContext,
        deadline: Option<Instant>,
    ) -> Result<StatusCode, AttemptError> {
        self.networks.check(endpoint.address.ip()).map_err(AttemptError::Refused)?;
        let service = &endpoint.member.service;
        let proof = self.auth.proof(service).await;
        let result = self.send_with(broadcast, endpoint, &proof, trace, deadline).await;
        match &result {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                match self.auth.newer(service, proof).await {
                    Some(newer) => self.send_with(broadcast, endpoint, &newer, trace, deadline).await,
                    None => result,
                }
            }
            _ => result,
        }
    }

    async fn send_with(
        &self,
        broadcast: &Broadcast,
        endpoint: &Endpoint,
        proof: &Proof,
        trace: TraceContext,
        deadline: Option<Instant>,
    ) -> Result<StatusCode, AttemptError> {
        let Endpoint { address, target, .. } = endpoint;
        let now = self.clock.now();
        let span = trace.hop(&self.rng);
        let request = request(broadcast, endpoint, now.unix_timestamp(), proof, span)?;
        let secured = match target.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                let config = self.auth.tls().await.ok_or(AttemptError::NoTls)?;
                Some(Secured::new(config, target.server_name.as_deref(), address.ip())?)
            }
        };
        http::exchange(*address, secured, request, &self.options, deadline, now.into()).await
    }
}
