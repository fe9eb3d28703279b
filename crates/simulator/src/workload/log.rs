//! What the fleet's containers received.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::lock;
use crate::ring::Ring;

/// One HTTP request that a container received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// Time since 1970-01-01 UTC by the simulator's clock.
    pub at: Duration,
    /// ARN of the task that answered, even if another was meant.
    pub task: String,
    /// Name of its cluster.
    pub cluster: String,
    /// Name of its service; `None` for a standalone task.
    pub service: Option<String>,
    /// Name of the container.
    pub container: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Request method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in the order received, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
    /// The status that was answered; `None` when it was a reset or no answer at all.
    pub status: Option<u16>,
    /// How long the answer is held back.
    pub delay: Duration,
}

impl Received {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What a header takes beside its text.
const HEADER_BYTES: usize = size_of::<(String, String)>();

/// The requests received, within bounds.
#[derive(Debug)]
pub(crate) struct Log {
    clock: Clock,
    ring: Mutex<Ring<Received>>,
    count: AtomicUsize,
    open: AtomicUsize,
    open_most: AtomicUsize,
}

/// A request that has not been answered yet; it has when this is dropped, or its client went away.
pub(crate) struct Open<'a>(&'a Log);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Log {
    pub(crate) fn new(clock: Clock, count_max: usize, bytes_max: usize) -> Self {
        Self {
            clock,
            ring: Mutex::new(Ring::new(count_max, bytes_max)),
            count: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            open_most: AtomicUsize::new(0),
        }
    }

    /// How many requests came in, kept or not.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The most requests that were waiting for their answers at once.
    pub(crate) fn open_most(&self) -> usize {
        self.open_most.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) -> Open<'_> {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.open_most.fetch_max(open, Ordering::Relaxed);
        Open(self)
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    pub(crate) fn push(&self, received: Received) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let headers = received.headers.iter().map(|(name, value)| HEADER_BYTES + name.len() + value.len());
        let names = received.task.len() + received.path.len();
        let bytes = size_of::<Received>() + received.body.len() + headers.sum::<usize>() + names;
        lock(&self.ring).push(received, bytes);
    }

    pub(crate) fn all(&self) -> Vec<Received> {
        lock(&self.ring).all()
    }

    pub(crate) fn clear(&self) {
        lock(&self.ring).clear();
    }
}
