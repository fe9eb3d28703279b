//! How one container's HTTP server answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Either;

use super::log::{Log, Received};
use crate::fleet::{Answer, Container};
use crate::http::{Filler, Reply, full};
use crate::world::{Cluster, Task};

/// The behaviour of one container of one task; its ports share it, and with it the place in the list of answers.
#[derive(Debug)]
pub(super) struct Script {
    task: String,
    cluster: String,
    service: Option<String>,
    pub(super) container: String,
    answers: Vec<Answer>,
    path: Option<String>,
    method: Option<String>,
    own_only: bool,
    requests: AtomicUsize,
}

impl Script {
    pub(super) fn of(cluster: &Cluster, task: &Task, container: &Container) -> Self {
        Self {
            task: task.arn.clone(),
            cluster: cluster.name.clone(),
            service: task.recipe.service.clone(),
            container: container.name.clone(),
            answers: task.answers.clone().unwrap_or_else(|| container.answers.clone()),
            path: container.path.clone(),
            method: container.method.clone(),
            own_only: container.own_only,
            requests: AtomicUsize::new(0),
        }
    }

    /// Answers one request and notes it down.
    pub(super) async fn answer(&self, log: &Log, address: SocketAddr, request: Request<Bytes>) -> Reply {
        let _open = log.open();
        let answer = self.choose(&request);
        let status = (!answer.hang && !answer.reset).then_some(answer.status);
        let delay = Duration::from_millis(answer.delay_ms);
        log.push(Received { delay, ..self.received(log, address, request, status) });
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if answer.hang {
            // Dropped when the client goes, and then no longer open.
            std::future::pending().await
        } else if answer.reset {
            Reply::Reset
        } else {
            Reply::Answer(response(&answer))
        }
    }

    /// A request that the application does not serve takes no place in the list of answers.
    fn choose(&self, request: &Request<Bytes>) -> Answer {
        let refusal = if self.path.as_deref().is_some_and(|path| path != request.uri().path()) {
            Some(404)
        } else if self.method.as_deref().is_some_and(|method| method != request.method().as_str()) {
            Some(405)
        } else if self.own_only && !contains(request.body(), self.task.as_bytes()) {
            Some(421)
        } else {
            None
        };
        if let Some(status) = refusal {
            return Answer { status, ..Answer::default() };
        }
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        self.answers.get(request).or(self.answers.last()).cloned().unwrap_or_default()
    }

    fn received(
        &self,
        log: &Log,
        address: SocketAddr,
        request: Request<Bytes>,
        status: Option<u16>,
    ) -> Received {
        let (parts, body) = request.into_parts();
        let headers = parts.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Received {
            at: log.now(),
            task: self.task.clone(),
            cluster: self.cluster.clone(),
            service: self.service.clone(),
            container: self.container.clone(),
            address,
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            headers: headers.collect(),
            body,
            status,
            delay: Duration::ZERO,
        }
    }
}

fn response(answer: &Answer) -> Response<crate::http::ReplyBody> {
    let body = match (answer.body_bytes, answer.claimed_bytes) {
        (None, None) => full(answer.body.clone()),
        (bytes, claimed) => {
            Either::Right(Filler::new(bytes.unwrap_or_default(), claimed.unwrap_or_default()))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        // Checked with the fleet: an invalid one never gets here.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len().max(1)).any(|window| window == part)
}
