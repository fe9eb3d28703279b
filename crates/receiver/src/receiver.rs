//! The receiver: its settings, and the checks that every request goes through.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Request};
use http_body::Body;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use wire::headers::{GET_BROADCAST, GET_CONTAINER, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use wire::signature::{SignatureError, Signed, TOLERANCE, VerifyingKeys};
use wire::{Audience, BroadcastId, DeliveryId, Draft, Envelope};

use crate::body::{self, Limits};
use crate::identity::Identity;
use crate::notification::Notification;
use crate::payload::Whole;
use crate::refusal::Refusal;
use crate::seen::{Claim, Memory, Seen};
use crate::work::{Place, Work};

/// What a receiver does with a `GET` without a body, as the proof of concept sent it and `NOTIFY_ME_METHOD=GET` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Get {
    /// Refused with 405.
    #[default]
    Refuse,
    /// Accepted with a valid signature of the empty body and an id that was made for this task.
    Signed,
    /// Accepted from anybody who reaches the port, as often as they like.
    Unsigned,
}

/// When a sender is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    #[default]
    AtOnce,
    AfterHandler,
}

/// A layer that lets only true notifications through to a handler, each once.
///
/// Cloning it is cheap, and clones share their limits: make one per process.
#[derive(Clone)]
pub struct Receiver(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    keys: RwLock<Arc<VerifyingKeys>>,
    identity: Identity,
    tolerance: Duration,
    get: Get,
    limits: Limits,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    pub(crate) answer: Answer,
    pub(crate) seen: Arc<dyn Seen>,
    pub(crate) work: Work,
}

/// Settings of a [`Receiver`]. The defaults suit a service that is told a few things an hour.
#[must_use]
pub struct Builder {
    keys: VerifyingKeys,
    identity: Identity,
    tolerance: Duration,
    get: Get,
    answer: Answer,
    body_bytes_max: usize,
    body_timeout: Duration,
    memory_bytes_max: usize,
    concurrency: usize,
    waiting_max: usize,
    seen: Option<Arc<dyn Seen>>,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

/// How many deliveries are remembered. Default of [`Builder::seen`].
const IDS_MAX: usize = 16 * 1024;
/// How long a delivery is remembered. Default of [`Builder::seen`].
const KEEP: Duration = Duration::from_hours(1);

impl Builder {
    /// How far the time of an attempt may be from now. Default: 5 minutes.
    pub fn tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// What to do with a `GET`. Default: refuse it.
    pub fn get(self, get: Get) -> Self {
        Self { get, ..self }
    }

    /// Answers when the handler is done, with what it answers, instead of at once with 202.
    ///
    /// The sender then learns whether it worked, and tries again if not; but it waits for 3 seconds only, unless it is told
    /// otherwise. A handler always runs to its end, even if the sender has hung up.
    pub fn answer_after_handler(self) -> Self {
        Self { answer: Answer::AfterHandler, ..self }
    }

    /// The most bytes of one body. Default: 1 MiB, more than any event has.
    pub fn body_bytes_max(self, body_bytes_max: usize) -> Self {
        Self { body_bytes_max, ..self }
    }

    /// The longest that a body may take to arrive. Default: 5 s.
    pub fn body_timeout(self, body_timeout: Duration) -> Self {
        Self { body_timeout, ..self }
    }

    /// The most bytes of all bodies that are being read, wait, or are handled. Default: 32 MiB.
    pub fn memory_bytes_max(self, memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, ..self }
    }

    /// Notifications handled at the same time. Default: 8.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    /// Notifications that are accepted and wait to be handled; beyond, the answer is 503. Default: 256.
    pub fn waiting_max(self, waiting_max: usize) -> Self {
        Self { waiting_max, ..self }
    }

    /// Where handled deliveries are remembered. Default: [`Memory`], 16,384 of them for an hour.
    pub fn seen(self, seen: Arc<dyn Seen>) -> Self {
        Self { seen: Some(seen), ..self }
    }

    /// Where the time of day comes from. Default: the system.
    pub fn clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// The receiver.
    #[must_use]
    pub fn build(self) -> Receiver {
        // Before and after now: a recorded request is accepted for as long as that.
        let replay_window = self.tolerance * 2;
        Receiver(Arc::new(Inner {
            keys: RwLock::new(Arc::new(self.keys)),
            identity: self.identity,
            tolerance: self.tolerance,
            get: self.get,
            limits: Limits {
                bytes: self.body_bytes_max,
                time: self.body_timeout,
                room: Arc::new(Semaphore::new(self.memory_bytes_max.min(Semaphore::MAX_PERMITS))),
            },
            clock: self.clock,
            answer: self.answer,
            seen: self.seen.unwrap_or_else(|| Arc::new(Memory::new(IDS_MAX, KEEP, replay_window))),
            work: Work::new(self.concurrency, self.waiting_max),
        }))
    }
}

/// A request that passed every check, and what it holds while it is handled.
pub(crate) struct Admitted {
    pub notification: Notification,
    pub request: Request<Whole>,
    pub place: Place,
    /// Bare requests of strangers are not remembered: they have no id.
    pub claimed: bool,
}

impl Receiver {
    /// A receiver of events that are signed with one of these keys and meant for this task.
    pub fn builder(keys: VerifyingKeys, identity: Identity) -> Builder {
        Builder {
            keys,
            identity,
            tolerance: TOLERANCE,
            get: Get::default(),
            answer: Answer::default(),
            body_bytes_max: wire::MESSAGE_BYTES_MAX,
            body_timeout: Duration::from_secs(5),
            memory_bytes_max: 32 * 1024 * 1024,
            concurrency: 8,
            waiting_max: 256,
            seen: None,
            #[expect(
                clippy::disallowed_methods,
                reason = "the default of a setting: whoever tests passes a clock"
            )]
            clock: Box::new(SystemTime::now),
        }
    }

    /// Uses these keys from now on. While keys rotate, they are the old and the new ones together.
    pub fn replace_keys(&self, keys: VerifyingKeys) {
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Refuses new events (503, so that they are tried again) and waits until those accepted are handled, at most for
    /// `grace`. How many are then still not handled is returned: they are lost when the process ends.
    ///
    /// Call it when the process is told to stop, after the server has stopped accepting connections or beside it.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.0.work.drain(grace).await
    }

    /// Every check, cheapest first: nothing of a body is read before the headers could be ours, and nothing of it is
    /// parsed before it is known to be.
    pub(crate) async fn admit<B: Body>(&self, request: Request<B>) -> Result<Admitted, Refusal> {
        let inner = &*self.0;
        if inner.work.is_closed() {
            return Err(Refusal::ShuttingDown);
        }
        let (mut parts, body) = request.into_parts();
        let is_get = match (&parts.method, inner.get) {
            (&Method::POST, _) => false,
            (&Method::GET, Get::Signed | Get::Unsigned) => true,
            (_, Get::Refuse) => return Err(Refusal::Method("POST")),
            _ => return Err(Refusal::Method("GET, POST")),
        };
        let now = (inner.clock)();
        if is_get && inner.get == Get::Unsigned {
            let (notification, place) = (unsigned(now)?, inner.work.place(None)?);
            parts.extensions.insert(notification.clone());
            let request = Request::from_parts(parts, Whole::default());
            return Ok(Admitted { notification, request, place, claimed: false });
        }
        let signed = signed(&parts, now, inner.tolerance)?;
        let (id, at) = (signed.id().to_owned(), signed.seconds());
        if !is_get && !is_cloud_event(&parts) {
            return Err(Refusal::MediaType);
        }
        let held = body::read(body, &inner.limits).await?;
        let keys = Arc::clone(&inner.keys.read().unwrap_or_else(PoisonError::into_inner));
        keys.verify(&signed, &held.bytes)?;

        let envelope = if is_get { bound(&parts, &inner.identity, &id, at)? } else { envelope(&held.bytes)? };
        if !is_get {
            inner.identity.check(&envelope.audience.task)?;
        }
        // A place first: what is claimed is handled.
        let place = inner.work.place(held.room)?;
        match (inner.seen.claim(&id).await, inner.answer) {
            (Claim::First, _) => {}
            (Claim::Done, _) | (Claim::InProgress, Answer::AtOnce) => return Err(Refusal::Repeat),
            (Claim::InProgress, Answer::AfterHandler) => return Err(Refusal::InProgress),
            (Claim::Unknown, _) => return Err(Refusal::Busy),
        }
        let notification = Notification::new(envelope, id, at);
        parts.extensions.insert(notification.clone());
        let request = Request::from_parts(parts, held.bytes.into());
        Ok(Admitted { notification, request, place, claimed: true })
    }
}

fn signed(parts: &Parts, now: SystemTime, tolerance: Duration) -> Result<Signed<'_>, SignatureError> {
    let value = |header| {
        parts
            .headers
            .get(header)
            .and_then(|value| value.to_str().ok())
            .ok_or(SignatureError::Header { header, rule: "is missing" })
    };
    let (id, timestamp) = (value(WEBHOOK_ID)?, value(WEBHOOK_TIMESTAMP)?);
    Signed::read(id, timestamp, value(WEBHOOK_SIGNATURE)?, unix(now), tolerance)
}

fn unix(now: SystemTime) -> i64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Structured mode, one event. Parameters such as `charset` follow after a semicolon.
fn is_cloud_event(parts: &Parts) -> bool {
    let Some(Ok(value)) = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/cloudevents+json")
}

fn envelope(body: &[u8]) -> Result<Envelope, Refusal> {
    // The body is signed, so its sender may be told what is wrong with it.
    serde_json::from_slice(body).map_err(|error| Refusal::Malformed(format!("not a CloudEvent: {error}")))
}

/// The event that a signed `GET` stands for, if it is for this task.
///
/// A `GET` has no body that says so, and its signature covers no header but the id. The id is derived from the broadcast,
/// the task and the container: what the headers say of the first and the last must lead to it with this task.
fn bound(parts: &Parts, identity: &Identity, id: &str, at: i64) -> Result<Envelope, Refusal> {
    let Some(task) = identity.arn() else { return bare(id, at) };
    let value = |header: &'static str| {
        let value = parts.headers.get(header).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| Refusal::Malformed(format!("header `{header}` is missing")))
    };
    let (broadcast, container) = (value(GET_BROADCAST)?, value(GET_CONTAINER)?);
    let envelope = bare(broadcast, at)?;
    if DeliveryId::derive(envelope.event.id(), task, container).as_str() != id {
        return Err(Refusal::OtherTask);
    }
    let (task, container, delivery) = (task.to_owned(), container.to_owned(), id.to_owned());
    let audience = Audience { task, container, delivery, ..Audience::default() };
    Ok(Envelope { audience, ..envelope })
}

/// The event that a `GET` stands for: one of the default type, without data.
fn bare(id: &str, at: i64) -> Result<Envelope, Refusal> {
    let wrong = |error: &dyn fmt::Display| Refusal::Malformed(error.to_string());
    let id = BroadcastId::try_from(id.to_owned()).map_err(|error| wrong(&error))?;
    let time = OffsetDateTime::from_unix_timestamp(at).map_err(|error| wrong(&error))?;
    let event = Draft::default().complete(&id, time).map_err(|error| wrong(&error))?;
    Ok(Envelope { event, audience: Audience::default() })
}

/// The notification of somebody who did not say who they are.
fn unsigned(now: SystemTime) -> Result<Notification, Refusal> {
    let nanos = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let (id, at) = (format!("get-{nanos}"), unix(now));
    Ok(Notification::new(bare(&id, at)?, id, at))
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("identity", &self.identity).finish_non_exhaustive()
    }
}
