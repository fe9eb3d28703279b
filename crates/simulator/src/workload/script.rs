//! How one container's HTTP server answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Either;

use super::log::{Log, Received};
use crate::chance::seed_of;
use crate::fleet::{Answer, Container};
use crate::http::{Filler, Reply, full};
use crate::world::{Cluster, Recipe, Task};

/// The behaviour of one container of one task; its ports share it, and with it the place in the list of answers.
#[derive(Debug)]
pub(super) struct Script {
    task: String,
    cluster: String,
    recipe: Arc<Recipe>,
    /// Place of the container in the task definition.
    container: usize,
    /// The task's own answers, if they differ from the container's.
    answers: Option<Vec<Answer>>,
    requests: AtomicUsize,
}

impl Script {
    /// For the container at this place of the task's definition; `None` where there is no such container.
    pub(super) fn of(cluster: &Cluster, task: &Task, container: usize) -> Option<Self> {
        task.definitions().get(container)?;
        Some(Self {
            task: task.arn.clone(),
            cluster: cluster.name.clone(),
            recipe: Arc::clone(&task.recipe),
            container,
            answers: task.answers.clone(),
            requests: AtomicUsize::new(0),
        })
    }

    fn container(&self) -> Option<&Container> {
        self.recipe.definition.containers.get(self.container)
    }

    /// The container's name.
    pub(super) fn name(&self) -> &str {
        self.container().map_or("", |container| &container.name)
    }

    /// Answers one request and notes it down.
    pub(super) async fn answer(&self, log: &Log, address: SocketAddr, request: Request<Bytes>) -> Reply {
        let _open = log.open();
        let (answer, latency) = self.choose(&request);
        let status = (!answer.hang && !answer.reset).then_some(answer.status);
        let delay = Duration::from_millis(answer.delay_ms).saturating_add(latency);
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

    /// The answer, and what the container's distribution adds to its delay. A request that the application does not
    /// serve takes no place in the list of answers.
    fn choose(&self, request: &Request<Bytes>) -> (Answer, Duration) {
        let Some(container) = self.container() else { return Default::default() };
        let refusal = if container.path.as_deref().is_some_and(|path| path != request.uri().path()) {
            Some(404)
        } else if container.method.as_deref().is_some_and(|method| method != request.method().as_str()) {
            Some(405)
        } else if container.own_only && !contains(request.body(), self.task.as_bytes()) {
            Some(421)
        } else {
            None
        };
        if let Some(status) = refusal {
            return (Answer { status, ..Answer::default() }, Duration::ZERO);
        }
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let answers = self.answers.as_ref().unwrap_or(&container.answers);
        let answer = answers.get(request).or(answers.last()).cloned().unwrap_or_default();
        let task = || seed_of(0, &self.task);
        let latency = container.latency.map(|latency| latency.time(task(), request as u64));
        (answer, latency.unwrap_or_default())
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
            service: self.recipe.service.clone(),
            container: self.name().to_owned(),
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
