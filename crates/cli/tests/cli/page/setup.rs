//! A ledger that is filled through the library, and a page on it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use notifier::base::Clock;
use notifier::ledger::{BroadcastRecord, Ledger, PartRecord};
use notifier::model::{Cause, Delivery, Member, Outcome};
use notifier::store::sqlite::Sqlite;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wire::{BroadcastId, Draft, PartId};

use crate::support::{Notifier, Running, notifier};

const CLUSTER: &str = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod";

pub(super) fn id(text: &str) -> BroadcastId {
    BroadcastId::try_from(text.to_owned()).unwrap()
}

/// A ledger in a file.
pub(super) struct Filled {
    pub(super) ledger: Ledger,
    pub(super) directory: TempDir,
    // Behind the ledger, whose tasks run in it.
    pub(super) runtime: Runtime,
}

impl Filled {
    pub(super) fn new() -> Self {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
        let clock = Clock::system();
        let ledger = runtime.block_on(async {
            let store = Sqlite::open(directory.path().join("ledger.db"), clock.clone()).await.unwrap();
            Ledger::new(Arc::new(store), clock, 30)
        });
        Self { ledger, directory, runtime }
    }

    /// Records a broadcast of one part, with these deliveries as expected; an outcome in them counts.
    pub(super) fn broadcast(&self, id: &str, deliveries: &[Delivery]) {
        self.recorded(record(id), deliveries);
    }

    pub(super) fn recorded(&self, record: BroadcastRecord, deliveries: &[Delivery]) {
        let (broadcast, part) = (record.id.clone(), PartId::derive([record.id.as_str()]));
        let parts = [(part.clone(), "web".to_owned())];
        let (skips, expected): (Vec<_>, Vec<_>) =
            deliveries.iter().cloned().partition(|one| one.outcome == Some(Outcome::Skipped));
        let part = PartRecord {
            id: part,
            cluster: record.cluster.clone(),
            service: "web".to_owned(),
            failure: None,
        };
        self.runtime.block_on(async {
            self.ledger.broadcast(record, &parts, &[]).await.unwrap();
            self.ledger.part(&broadcast, &part, &expected, &skips).await.unwrap();
        });
    }

    pub(super) fn settle(&self, broadcast: &str, delivery: Delivery) {
        self.runtime.block_on(self.ledger.settle(&id(broadcast), delivery)).unwrap();
    }

    pub(super) fn run(&self, arguments: &str) -> Notifier {
        notifier(&format!("{arguments} --ledger sqlite:{}/ledger.db", self.directory.path().display()))
    }

    pub(super) fn page(&self, arguments: &str) -> Page {
        Page::of(self.run(&format!("page --listen 127.0.0.1:0 --quiet {arguments}")).start())
    }
}

impl Page {
    /// The page of a process that has just been started.
    pub(super) fn of(mut process: Running) -> Self {
        let line = process.line();
        let (address, token) = line.split_once("/#token=").unwrap_or((line.trim_end_matches('/'), ""));
        let address = address.strip_prefix("http://").unwrap().to_owned();
        Self { address, token: token.to_owned(), process }
    }
}

pub(super) fn record(name: &str) -> BroadcastRecord {
    let clock = Clock::system();
    let event = Draft::new("com.example.cache.clear").complete(&id(name), clock.now()).unwrap();
    BroadcastRecord {
        id: id(name),
        event,
        data_left_out: None,
        event_digest: None,
        cluster: CLUSTER.to_owned(),
        clusters: Vec::new(),
        tags: std::collections::BTreeMap::new(),
        split: false,
        services: Vec::new(),
        standalone: false,
        pace: None,
        asked_by: Some("AROAEXAMPLE:alice".to_owned()),
        asked_at: clock.unix_seconds() * 1_000,
        not_targeted: 0,
        folded: 0,
        found: None,
        failure: None,
    }
}

/// The delivery to task `number` of a service.
pub(super) fn delivery(service: &str, number: u32, outcome: Option<Outcome>) -> Delivery {
    let task = format!("arn:aws:ecs:eu-west-1:111122223333:task/prod/{number:032x}");
    let member = Member::of_task(CLUSTER, &task);
    let member = Member { service: service.to_owned(), container: "app".to_owned(), ..member };
    let (reason, cause, status) = match outcome {
        Some(Outcome::Rejected) => (Some("answered 404 Not Found"), Some(Cause::Answered), Some(404)),
        Some(Outcome::Failed) => (Some("no answer within 3 s"), Some(Cause::TimedOut), None),
        Some(Outcome::Skipped) => (Some("its health is UNHEALTHY"), Some(Cause::Health), None),
        Some(Outcome::Delivered) => (None, None, Some(200)),
        _ => (None, None, None),
    };
    let is_called = outcome.is_some_and(|outcome| outcome != Outcome::Skipped);
    Delivery {
        member: Arc::new(member),
        address: Some(([10, 0, 1, 7], 30_000 + u16::try_from(number % 30_000).unwrap()).into()),
        outcome,
        reason: reason.map(str::to_owned),
        cause,
        attempts: is_called.then_some(1),
        status,
        latency: is_called.then(|| Duration::from_micros(1_500 + u64::from(number) % 90_000)),
        late: false,
        answer: None,
        wave: None,
        zone: None,
    }
}

/// A page in another process.
pub(super) struct Page {
    pub(super) address: String,
    pub(super) token: String,
    pub(super) process: Running,
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Page {
    /// A request without a session; HTTP/1.0, so that the answer has no chunks.
    pub(super) fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = ("host", self.address.as_str());
        let own = Some(host).filter(|_| headers.iter().all(|(name, _)| *name != "host"));
        let headers = headers.iter().copied().chain(own);
        let headers: String = headers.map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.0\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// A request with the token.
    pub(super) fn get(&self, path: &str) -> Answer {
        self.raw("GET", path, &[("authorization", &self.bearer())], "")
    }

    /// The body of a page that must be there.
    pub(super) fn body(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    /// The same when the answer has begun with the status 200.
    pub(super) fn begin(&self, path: &str) -> TcpStream {
        let mut stream = self.open(path);
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        stream
    }

    /// Sends a request with the token, and leaves its answer unread.
    pub(super) fn open(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        let (address, bearer) = (&self.address, self.bearer());
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: {bearer}\r\n\r\n").unwrap();
        stream
    }
}
