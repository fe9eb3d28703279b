//! The receiver: its settings and the checks of every request.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ecs_task_notifier_wire::headers::{
    GET_BROADCAST, GET_CONTAINER, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
};
use ecs_task_notifier_wire::signature::{SignatureError, SignatureHeaders, TOLERANCE, VerifyingKeys};
use ecs_task_notifier_wire::{Audience, BroadcastId, DeliveryId, Draft, Envelope};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Request};
use http_body::Body;
use tokio::sync::Semaphore;

use crate::body::{self, Limits};
use crate::capacity::{Capacity, Slot};
use crate::dedup::{Claim, DedupStore, MemoryStore};
use crate::identity::Identity;
use crate::notification::Notification;
use crate::payload::FullBody;
use crate::refusal::Refusal;

/// How a receiver handles a `GET` without a body, which a task requests with the label `NOTIFY_ME_METHOD=GET`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetPolicy {
    /// Refuses it with 405.
    #[default]
    Refuse,
    /// Accepts it with a valid signature and a delivery id that belongs to this task.
    Signed,
    /// Accepts it without any check and without deduplication. Everybody who can reach the port can call the handler.
    Unsigned,
}

/// When the receiver responds to an accepted request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ResponseMode {
    #[default]
    Immediate,
    AfterHandler,
}

/// A layer that passes only authentic notifications to a handler, each of them once.
///
/// Cloning is cheap, and all clones share their limits and their [`DedupStore`]. Create one receiver per process.
#[derive(Clone)]
pub struct Receiver(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    keys: RwLock<Arc<VerifyingKeys>>,
    identity: Identity,
    tolerance: Duration,
    get_policy: GetPolicy,
    limits: Limits,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    pub(crate) response_mode: ResponseMode,
    pub(crate) dedup_store: Arc<dyn DedupStore>,
    pub(crate) capacity: Capacity,
}

/// The settings of a [`Receiver`]. The defaults suit a service that receives a few events an hour.
#[must_use]
pub struct ReceiverBuilder {
    keys: VerifyingKeys,
    identity: Identity,
    tolerance: Duration,
    get_policy: GetPolicy,
    response_mode: ResponseMode,
    body_bytes_max: usize,
    body_timeout: Duration,
    memory_bytes_max: usize,
    concurrency: usize,
    waiting_max: usize,
    dedup_store: Option<Arc<dyn DedupStore>>,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

/// How many delivery ids are kept. Default of [`ReceiverBuilder::dedup_store`].
const IDS_MAX: usize = 16 * 1024;
/// How long a delivery id is kept. Default of [`ReceiverBuilder::dedup_store`].
const KEEP: Duration = Duration::from_secs(60 * 60);

impl ReceiverBuilder {
    /// The maximum difference between the timestamp of a request and now. Default: 5 minutes.
    pub fn tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// How to handle a `GET`. Default: refuse it.
    pub fn get_policy(self, get_policy: GetPolicy) -> Self {
        Self { get_policy, ..self }
    }

    /// Sends the response of the handler when it is done, instead of an immediate 202.
    ///
    /// The sender then learns whether the handler succeeded, and tries again if not. By default the sender waits only
    /// 3 seconds for a response. A handler always runs to its end, even if the sender has closed the connection.
    pub fn respond_after_handler(self) -> Self {
        Self { response_mode: ResponseMode::AfterHandler, ..self }
    }

    /// The maximum size of one body in bytes. Default: 1 MiB, more than the largest event.
    pub fn body_bytes_max(self, body_bytes_max: usize) -> Self {
        Self { body_bytes_max, ..self }
    }

    /// The maximum time until a body is complete. Default: 5 s.
    pub fn body_timeout(self, body_timeout: Duration) -> Self {
        Self { body_timeout, ..self }
    }

    /// The maximum size of all bodies in memory together: being read, waiting or being handled. Default: 32 MiB.
    pub fn memory_bytes_max(self, memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, ..self }
    }

    /// How many notifications are handled at the same time. Default: 8.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    /// How many accepted notifications may wait for the handler. The receiver refuses more with 503. Default: 256.
    pub fn waiting_max(self, waiting_max: usize) -> Self {
        Self { waiting_max, ..self }
    }

    /// The store of handled deliveries. Default: a [`MemoryStore`] of 16,384 ids, each kept for an hour.
    pub fn dedup_store(self, store: Arc<dyn DedupStore>) -> Self {
        Self { dedup_store: Some(store), ..self }
    }

    /// The clock. Default: the system clock.
    pub fn clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Builds the receiver.
    #[must_use]
    pub fn build(self) -> Receiver {
        // A timestamp may be before or after now, so a recorded request is valid for twice the tolerance.
        let replay_window = self.tolerance * 2;
        Receiver(Arc::new(Inner {
            keys: RwLock::new(Arc::new(self.keys)),
            identity: self.identity,
            tolerance: self.tolerance,
            get_policy: self.get_policy,
            limits: Limits {
                bytes: self.body_bytes_max,
                time: self.body_timeout,
                memory: Arc::new(Semaphore::new(self.memory_bytes_max.min(Semaphore::MAX_PERMITS))),
            },
            clock: self.clock,
            response_mode: self.response_mode,
            dedup_store: self
                .dedup_store
                .unwrap_or_else(|| Arc::new(MemoryStore::new(IDS_MAX, KEEP, replay_window))),
            capacity: Capacity::new(self.concurrency, self.waiting_max),
        }))
    }
}

/// How far the clocks of sender and task may differ at the expiry of a question.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(30);

/// A request that passed every check, and its slot.
pub(crate) struct Accepted {
    pub notification: Notification,
    pub request: Request<FullBody>,
    pub slot: Slot,
    /// Whether the delivery was claimed. An unsigned `GET` has no delivery id to claim, and a question may come again.
    pub claimed: bool,
    pub response_mode: ResponseMode,
}

impl Receiver {
    /// Starts a receiver that accepts events signed with one of these keys and addressed to this task.
    pub fn builder(keys: VerifyingKeys, identity: Identity) -> ReceiverBuilder {
        ReceiverBuilder {
            keys,
            identity,
            tolerance: TOLERANCE,
            get_policy: GetPolicy::default(),
            response_mode: ResponseMode::default(),
            body_bytes_max: ecs_task_notifier_wire::MESSAGE_BYTES_MAX,
            body_timeout: Duration::from_secs(5),
            memory_bytes_max: 32 * 1024 * 1024,
            concurrency: 8,
            waiting_max: 256,
            dedup_store: None,
            #[expect(
                clippy::disallowed_methods,
                reason = "the default of a setting: tests pass their own clock"
            )]
            clock: Box::new(SystemTime::now),
        }
    }

    /// Replaces the keys. During a key rotation, pass the old and the new keys together.
    pub fn replace_keys(&self, keys: VerifyingKeys) {
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Refuses new events with 503, and waits at most `grace` until the accepted events are handled.
    ///
    /// Returns the number of events that are not handled yet. They are lost when the process ends. Call it at shutdown,
    /// during or after the shutdown of the server.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.0.capacity.drain(grace).await
    }

    /// Makes every check, cheapest first: the body is read after the headers are checked, and parsed after the signature
    /// is verified.
    pub(crate) async fn accept<B: Body>(&self, request: Request<B>) -> Result<Accepted, Refusal> {
        let inner = &*self.0;
        if inner.capacity.is_closed() {
            return Err(Refusal::ShuttingDown);
        }
        let (mut parts, body) = request.into_parts();
        let is_get = match (&parts.method, inner.get_policy) {
            (&Method::POST, _) => false,
            (&Method::GET, GetPolicy::Signed | GetPolicy::Unsigned) => true,
            (_, GetPolicy::Refuse) => return Err(Refusal::Method("POST")),
            _ => return Err(Refusal::Method("GET, POST")),
        };
        let now = (inner.clock)();
        if is_get && inner.get_policy == GetPolicy::Unsigned {
            let notification = unsigned_get(now)?.in_trace(&parts.headers);
            let slot = inner.capacity.reserve(None)?;
            parts.extensions.insert(notification.clone());
            let request = Request::from_parts(parts, FullBody::default());
            let response_mode = inner.response_mode;
            return Ok(Accepted { notification, request, slot, claimed: false, response_mode });
        }
        let headers = signature_headers(&parts, now, inner.tolerance)?;
        let (id, timestamp) = (headers.id().to_owned(), headers.timestamp());
        if !is_get && !is_cloud_event(&parts) {
            return Err(Refusal::MediaType);
        }
        let body = body::read(body, &inner.limits).await?;
        let keys = Arc::clone(&inner.keys.read().unwrap_or_else(PoisonError::into_inner));
        keys.verify(&headers, &body.bytes)?;

        let envelope = if is_get {
            signed_get(&parts, &inner.identity, &id, timestamp)?
        } else {
            let envelope = envelope(&body.bytes)?;
            inner.identity.check(&envelope.audience.task)?;
            envelope
        };
        let is_question = envelope.event.is_question();
        if is_question && is_expired(&envelope, now) {
            return Err(Refusal::Expired);
        }
        // Before the claim, so that every claimed delivery is handled.
        let slot = inner.capacity.reserve(body.memory)?;
        let response_mode = if is_question {
            ResponseMode::AfterHandler
        } else {
            self.claim(&id).await?;
            inner.response_mode
        };
        let notification = Notification::new(envelope, id, timestamp).in_trace(&parts.headers);
        parts.extensions.insert(notification.clone());
        let request = Request::from_parts(parts, body.bytes.into());
        Ok(Accepted { notification, request, slot, claimed: !is_question, response_mode })
    }

    /// Claims a delivery, unless it was claimed before.
    async fn claim(&self, id: &str) -> Result<(), Refusal> {
        match (self.0.dedup_store.claim(id).await, self.0.response_mode) {
            (Claim::First, _) => Ok(()),
            (Claim::Done, _) | (Claim::InProgress, ResponseMode::Immediate) => Err(Refusal::Repeat),
            (Claim::InProgress, ResponseMode::AfterHandler) => Err(Refusal::InProgress),
            (Claim::Unknown, _) => Err(Refusal::Busy),
        }
    }
}

/// Whether nobody waits for the answer any more. Without an expiry, the age of the signature is the limit.
fn is_expired(envelope: &Envelope, now: SystemTime) -> bool {
    let expiry = envelope.event.expires_at().and_then(|expiry| expiry.checked_add(CLOCKS_DIFFER_MAX));
    expiry.is_some_and(|expiry| now > expiry)
}

fn signature_headers(
    parts: &Parts,
    now: SystemTime,
    tolerance: Duration,
) -> Result<SignatureHeaders<'_>, SignatureError> {
    let value = |header| {
        parts
            .headers
            .get(header)
            .and_then(|value| value.to_str().ok())
            .ok_or(SignatureError::Header { header, rule: "is missing" })
    };
    let (id, timestamp) = (value(WEBHOOK_ID)?, value(WEBHOOK_TIMESTAMP)?);
    SignatureHeaders::parse(id, timestamp, value(WEBHOOK_SIGNATURE)?, unix_seconds(now), tolerance)
}

fn unix_seconds(now: SystemTime) -> i64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Whether the content type is one CloudEvent in structured JSON, with or without parameters such as `charset`.
fn is_cloud_event(parts: &Parts) -> bool {
    let Some(Ok(value)) = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/cloudevents+json")
}

fn envelope(body: &[u8]) -> Result<Envelope, Refusal> {
    // The body is signed, so the sender may see the details of the error.
    serde_json::from_slice(body).map_err(|error| Refusal::Malformed(format!("not a CloudEvent: {error}")))
}

/// The event of a signed `GET`, if the `GET` is addressed to this task.
///
/// A `GET` has no body, and its signature covers only the delivery id and the timestamp. The delivery id is a hash of
/// broadcast, task and container, so it must equal the hash of the two headers and the own task.
fn signed_get(parts: &Parts, identity: &Identity, id: &str, timestamp: i64) -> Result<Envelope, Refusal> {
    let Some(task) = identity.arn() else { return default_event(id, timestamp) };
    let value = |header: &'static str| {
        let value = parts.headers.get(header).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| Refusal::Malformed(format!("header `{header}` is missing")))
    };
    let (broadcast, container) = (value(GET_BROADCAST)?, value(GET_CONTAINER)?);
    let mut envelope = default_event(broadcast, timestamp)?;
    if DeliveryId::derive(envelope.event.id(), task, container).as_str() != id {
        return Err(Refusal::OtherTask);
    }
    envelope.audience = Audience::new(task, container);
    id.clone_into(&mut envelope.audience.delivery);
    Ok(envelope)
}

/// An event of the default type without data, which is what a `GET` means.
fn default_event(id: &str, timestamp: i64) -> Result<Envelope, Refusal> {
    let malformed = |error: &dyn fmt::Display| Refusal::Malformed(error.to_string());
    let id: BroadcastId = id.parse().map_err(|error| malformed(&error))?;
    let time = UNIX_EPOCH
        .checked_add(Duration::from_secs(timestamp.unsigned_abs()))
        .ok_or_else(|| Refusal::Malformed("the timestamp is too large".to_owned()))?;
    let event = Draft::default().complete(&id, time).map_err(|error| malformed(&error))?;
    Ok(Envelope::new(event, Audience::default()))
}

/// The notification of an unsigned `GET`, with a new id.
fn unsigned_get(now: SystemTime) -> Result<Notification, Refusal> {
    let nanos = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let (id, timestamp) = (format!("get-{nanos}"), unix_seconds(now));
    Ok(Notification::new(default_event(&id, timestamp)?, id, timestamp))
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReceiverBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverBuilder").field("identity", &self.identity).finish_non_exhaustive()
    }
}
