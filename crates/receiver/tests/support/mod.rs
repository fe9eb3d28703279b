//! Signed requests, a fixed clock, and a handler that records its calls.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its part; a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ecs_task_notifier_receiver::{
    FullBody, Identity, Notification, Receiver, ReceiverBuilder, ReceiverService, on_event,
};
use ecs_task_notifier_wire::signature::{SigningKeys, VerifyingKeys};
use ecs_task_notifier_wire::{Audience, BroadcastId, DeliveryId, Draft, Envelope, headers};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const OTHER_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
pub(crate) const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/prod/a";
pub(crate) const NOW: i64 = 1_795_512_600;

/// A request as it can be changed before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) body: Bytes,
}

/// What is signed: change it, then sign it.
pub(crate) struct EventRequest {
    pub(crate) secret: String,
    pub(crate) broadcast: String,
    pub(crate) task: String,
    pub(crate) at: i64,
    pub(crate) data: String,
}

impl Default for EventRequest {
    fn default() -> Self {
        Self {
            secret: SECRET.to_owned(),
            broadcast: "b-1".to_owned(),
            task: TASK.to_owned(),
            at: NOW,
            data: r#"{"cache":"prices"}"#.to_owned(),
        }
    }
}

impl EventRequest {
    pub(crate) fn of(broadcast: impl Into<String>) -> Self {
        Self { broadcast: broadcast.into(), ..Self::default() }
    }

    pub(crate) fn sign(&self) -> Sent {
        let broadcast = BroadcastId::try_from(self.broadcast.clone()).unwrap();
        let draft: Draft = serde_json::from_str(&format!(r#"{{"data":{}}}"#, self.data)).unwrap();
        let event = draft.complete(&broadcast, UNIX_EPOCH).unwrap();
        let id = DeliveryId::derive(&broadcast, &self.task, "web");
        let mut audience = Audience::new(&self.task, "web");
        audience.service = "shop".into();
        audience.cluster = "prod".into();
        audience.delivery = id.to_string();
        let body = serde_json::to_vec(&Envelope::new(event, audience)).unwrap();
        sign(&self.secret, id.as_str(), self.at, Method::POST, body)
    }
}

/// Signs whatever body this is.
pub(crate) fn sign(secret: &str, id: &str, at: i64, method: Method, body: impl Into<Bytes>) -> Sent {
    let body = body.into();
    let signature = SigningKeys::parse(secret).unwrap().sign(id, at, &body);
    let headers = BTreeMap::from([
        (headers::WEBHOOK_ID, id.to_owned()),
        (headers::WEBHOOK_TIMESTAMP, at.to_string()),
        (headers::WEBHOOK_SIGNATURE, signature),
        ("content-type", headers::CLOUDEVENTS_JSON.to_owned()),
    ]);
    Sent { method, headers, body }
}

impl Sent {
    pub(crate) fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.insert(header, value.to_owned());
        self
    }

    pub(crate) fn without(mut self, header: &'static str) -> Self {
        self.headers.remove(header);
        self
    }

    pub(crate) fn request<B>(&self, body: B) -> Request<B> {
        let mut request = Request::builder().method(self.method.clone()).uri("/notify");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(body).unwrap()
    }
}

/// What the handler did.
#[derive(Clone, Default)]
pub(crate) struct Notes {
    pub(crate) seen: Arc<Mutex<Vec<Notification>>>,
    pub(crate) fail: Arc<Mutex<Vec<Fault>>>,
    /// While set, the handler waits for a permit.
    pub(crate) gate: Arc<Mutex<Option<Arc<Semaphore>>>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Error,
    Panic,
}

impl Notes {
    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn shut(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    pub(crate) async fn handle(self, notification: Notification) -> Result<(), &'static str> {
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.seen.lock().unwrap().push(notification);
        let fault = self.fail.lock().unwrap().pop();
        match fault {
            None => Ok(()),
            Some(Fault::Error) => Err("no such cache"),
            Some(Fault::Panic) => panic!("staged"),
        }
    }
}

pub(crate) fn builder() -> ReceiverBuilder {
    Receiver::builder(VerifyingKeys::parse(SECRET).unwrap(), Identity::task(TASK))
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
}

/// A receiver around a handler that takes notes.
pub(crate) struct Bench<S> {
    pub(crate) receiver: Receiver,
    pub(crate) notes: Notes,
    pub(crate) service: ReceiverService<S>,
}

#[derive(Clone)]
pub(crate) struct Noted(pub(crate) Notes);

pub(crate) fn bench(builder: ReceiverBuilder) -> Bench<Noted> {
    let (receiver, notes) = (builder.build(), Notes::default());
    Bench { service: receiver.layer(Noted(notes.clone())), receiver, notes }
}

impl<B: Send + 'static> Service<Request<B>> for Noted {
    type Response = Response<FullBody>;
    type Error = std::convert::Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let notes = self.0.clone();
        on_event(move |notification| notes.clone().handle(notification)).call(request)
    }
}

/// Status, headers and the body's text, without its line end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Bench<Noted> {
    pub(crate) async fn send(&self, sent: &Sent) -> Answer {
        self.call(sent.request(Full::new(sent.body.clone()))).await
    }

    pub(crate) async fn call<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let (head, body) = self.service.clone().call(request).await.unwrap().into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap().trim_end().to_owned();
        Answer { status: head.status, headers: head.headers, text }
    }

    /// Waits until the handler was called so often.
    pub(crate) async fn handled(&self, count: usize) {
        for _ in 0..1000 {
            if self.notes.count() >= count {
                // The receiver still has to note how it went.
                tokio::time::sleep(Duration::from_millis(5)).await;
                assert_eq!(self.notes.count(), count);
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("handled {} instead of {count}", self.notes.count());
    }
}

/// The system's time, for tests over sockets.
pub(crate) fn unix_now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

pub(crate) fn system_clock() -> SystemTime {
    time::OffsetDateTime::now_utc().into()
}
