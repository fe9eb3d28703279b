//! One attempt with its proof: signed at the time it is made, by the keys of that time.

use ::http::StatusCode;
use time::OffsetDateTime;
use tokio::time::Instant;
use wire::{Broadcast, Scheme};

use super::answer::AnswerReader;
use super::auth::Proof;
use super::request::request;
use super::spans::{Sent, span};
use super::tls::Secured;
use super::{AttemptError, Deliverer, DeliveryJob, http};
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
        job: &DeliveryJob,
        trace: TraceContext,
        deadline: Option<Instant>,
        mut answer: Option<&mut AnswerReader>,
    ) -> Result<StatusCode, AttemptError> {
        let endpoint = &job.endpoint;
        self.networks.check(endpoint.address.ip()).map_err(AttemptError::Refused)?;
        let service = &endpoint.member.service;
        let proof = self.auth.proof(service).await;
        let resend = job.requests();
        let to = (broadcast, endpoint);
        let result = self.send_with(to, &proof, trace, resend, deadline, answer.as_deref_mut()).await;
        match &result {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                match self.auth.newer(service, proof).await {
                    Some(newer) => self.send_with(to, &newer, trace, resend + 1, deadline, answer).await,
                    None => result,
                }
            }
            _ => result,
        }
    }

    /// One request, and its span. `resend`: requests of the delivery before it.
    async fn send_with(
        &self,
        (broadcast, endpoint): (&Broadcast, &Endpoint),
        proof: &Proof,
        trace: TraceContext,
        resend: u32,
        deadline: Option<Instant>,
        answer: Option<&mut AnswerReader>,
    ) -> Result<StatusCode, AttemptError> {
        let now = self.clock.now();
        let context = self.spans.decide(trace.hop(&self.rng));
        let started = self.spans.is_on().then(Instant::now);
        let result = self.exchange((broadcast, endpoint), proof, context, now, deadline, answer).await;
        if let Some(started) = started {
            let sent =
                Sent { broadcast, endpoint, parent: trace.span, context, resend, now, result: &result };
            self.spans.end(context, trace.span, result.is_err(), || span(&sent, started.elapsed()));
        }
        result
    }

    async fn exchange(
        &self,
        (broadcast, endpoint): (&Broadcast, &Endpoint),
        proof: &Proof,
        context: TraceContext,
        now: OffsetDateTime,
        deadline: Option<Instant>,
        answer: Option<&mut AnswerReader>,
    ) -> Result<StatusCode, AttemptError> {
        let Endpoint { address, target, .. } = endpoint;
        let request = request(broadcast, endpoint, now.unix_timestamp(), proof, context)?;
        let secured = match target.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                let config = self.auth.tls().await.ok_or(AttemptError::NoTls)?;
                Some(Secured::new(config, target.server_name.as_deref(), address.ip())?)
            }
        };
        http::exchange(*address, secured, request, &self.options, deadline, now.into(), answer).await
    }
}
