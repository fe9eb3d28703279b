//! Exports spans to an OpenTelemetry collector.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | a bounded queue, batches of it, and retries |
//! | `encode` | spans in OTLP's protobuf (pure) |
//! | `post` | one request |
//!
//! The encoding is written here: the crate `opentelemetry-proto` brings the SDK and two more generators of random numbers,
//! and all that is needed are 8 messages of a stable format, which only grows.

mod encode;
mod post;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, warn};

use self::encode::Resource;
use self::post::Collector;
use crate::base::spans::{Span, Spans};
use crate::base::text::chain;
use crate::secrets::{SecretError, Vault};
use crate::settings::TraceSettings;

/// Spans that wait for the collector; further ones are dropped. About 4 MB.
const WAITING_MAX: usize = 4_096;
/// The most spans of one request.
const BATCH_MAX: usize = 512;
/// The longest time that a span waits for others.
const BATCH_TIME_MAX: Duration = Duration::from_secs(5);
/// Waits before a request is repeated.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Exports the spans of a process.
#[derive(Debug)]
pub(super) struct Exporter {
    queue: mpsc::Sender<Command>,
    spans: Spans,
}

#[derive(Debug)]
enum Command {
    Export(Box<Span>),
    Flush(oneshot::Sender<()>),
}

impl Exporter {
    /// Begins to export; `None` if the settings name no collector.
    pub(super) async fn start(
        settings: &TraceSettings,
        refresh: Duration,
        vault: &Vault,
        function: Option<&str>,
    ) -> Result<Option<Self>, SecretError> {
        let TraceSettings { endpoint, headers, one_in } = settings;
        let Some(url) = endpoint else { return Ok(None) };
        // Boxed: a read of a secret in AWS is a large future.
        let collector = Box::pin(Collector::open(url.clone(), headers.as_ref(), refresh, vault)).await?;
        let (queue, commands) = mpsc::channel(WAITING_MAX);
        let sender = queue.clone();
        let spans = Spans::to(*one_in, move |span| sender.try_send(Command::Export(Box::new(span))).is_ok());
        let batcher = Batcher {
            collector,
            resource: Resource::new(function),
            spans: spans.clone(),
            waiting: Vec::new(),
            failed: 0,
            reported: 0,
        };
        tokio::spawn(batcher.run(commands));
        Ok(Some(Self { queue, spans }))
    }

    pub(super) fn spans(&self) -> Spans {
        self.spans.clone()
    }

    /// Waits until the spans so far are with the collector, or given up.
    pub(super) async fn flush(&self, limit: Duration) {
        let flush = async {
            let (done, is_done) = oneshot::channel();
            if self.queue.send(Command::Flush(done)).await.is_ok() {
                // An error means that the exporter has ended.
                let _ = is_done.await;
            }
        };
        if timeout(limit, flush).await.is_err() {
            warn!(?limit, "The collector was too slow for the last spans");
        }
    }
}

/// Takes spans from the queue, and posts them in batches.
struct Batcher {
    collector: Collector,
    resource: Resource,
    spans: Spans,
    waiting: Vec<Span>,
    /// Requests in a row that failed.
    failed: u64,
    /// Dropped spans that the log knows of.
    reported: u64,
}

impl Batcher {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut due = Instant::now();
        loop {
            let command = if self.waiting.is_empty() {
                commands.recv().await
            } else {
                match timeout_at(due, commands.recv()).await {
                    Ok(command) => command,
                    Err(_elapsed) => {
                        self.export().await;
                        continue;
                    }
                }
            };
            match command {
                Some(Command::Export(span)) => {
                    if self.waiting.is_empty() {
                        due = Instant::now() + BATCH_TIME_MAX;
                    }
                    self.waiting.push(*span);
                    if self.waiting.len() >= BATCH_MAX {
                        self.export().await;
                    }
                }
                Some(Command::Flush(done)) => {
                    self.export().await;
                    // Its sender may have given up.
                    let _ = done.send(());
                }
                None => return self.export().await,
            }
        }
    }

    async fn export(&mut self) {
        let spans = std::mem::take(&mut self.waiting);
        if !spans.is_empty() {
            let body = Bytes::from(encode::request(&self.resource, &spans));
            self.post(&body, spans.len()).await;
        }
        let dropped = self.spans.dropped();
        if dropped > self.reported {
            let spans = dropped - self.reported;
            warn!(spans, "Dropped {spans} spans: more than {WAITING_MAX} were waiting for the collector");
            self.reported = dropped;
        }
    }

    async fn post(&mut self, body: &Bytes, spans: usize) {
        let mut again = AGAIN_AFTER.into_iter();
        loop {
            let error = match self.collector.post(body.clone()).await {
                Ok(()) => {
                    debug!(spans, "Exported {spans} spans");
                    self.failed = 0;
                    return;
                }
                Err(error) => error,
            };
            if let Some(wait) = again.next().filter(|_| error.is_passing()) {
                sleep(wait).await;
                continue;
            }
            self.failed += 1;
            // An outage may last for hours: each doubling is logged, not each failure.
            if self.failed.is_power_of_two() {
                let (error, failures) = (chain(&error), self.failed);
                warn!(spans, failures, error, "The collector did not take {spans} spans");
            }
            return;
        }
    }
}
