//! A simulator in this process with receivers, queues and dead-letter queues, and a ledger in a file, for a daemon and
//! the commands of the ledger.

use std::collections::BTreeMap;

use serde_json::Value;
use simulator::fleet::AlarmState;
use simulator::{Received, Simulator, TaskView};
use tempfile::TempDir;
use testkit::fleets;
pub(crate) use testkit::fleets::fleet;
use tokio::runtime::Runtime;

use crate::support::{Notifier, Run, Running, notifier, until};

/// The queues, in the order of the stages; the dead letters of each are in `NAME-dead`.
const QUEUES: [&str; 3] = ["observer", "services", "tasks"];
/// Visibility timeout. After a kill, messages in flight are delivered again after this time.
const VISIBILITY_SECONDS: u32 = 5;
/// More receives than any test makes.
const RECEIVES_MAX: u32 = 10;

pub(crate) struct Pipeline {
    sim: Simulator,
    directory: TempDir,
    // Behind the simulator, which needs it to end.
    runtime: Runtime,
}

impl Pipeline {
    pub(crate) fn new(fleet: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let visibility = VISIBILITY_SECONDS.to_string();
        let queues = fleets::stage_queues(RECEIVES_MAX, &[("VisibilityTimeout", &visibility)]);
        let sim = runtime.block_on(fleets::start(fleet, queues));
        Self { sim, directory: tempfile::tempdir().unwrap(), runtime }
    }

    /// A run with the queues, the ledger and the simulator.
    pub(crate) fn notifier(&self, arguments: &str) -> Notifier {
        let run = notifier(arguments).at(&self.sim.url());
        let ledger = format!("sqlite:{}", self.ledger().display());
        QUEUES.iter().fold(run.env("NOTIFIER_LEDGER", &ledger), |run, name| {
            run.env(&format!("NOTIFIER_{}_QUEUE_URL", name.to_uppercase()), &self.queue_url(name))
        })
    }

    /// A daemon that only logs errors, because nothing reads its output.
    pub(crate) fn serve(&self, arguments: &str) -> Running {
        let daemon = self.notifier(&format!("serve --listen none --log-level error {arguments}")).start();
        until("the daemon has made the ledger", || self.ledger().exists());
        daemon
    }

    /// The ledger's file.
    pub(crate) fn ledger(&self) -> std::path::PathBuf {
        self.directory.path().join("ledger.db")
    }

    /// Publishes the event `b-1` and waits for the end of its broadcast.
    pub(crate) fn broadcast(&self) -> Run {
        self.notifier("publish --cluster prod --id b-1 --wait=90 --format json").run()
    }

    /// The report of `b-1` when it has ended, by service, and the exit code.
    pub(crate) fn report(&self) -> (BTreeMap<String, Value>, i32) {
        let run = self.notifier("report b-1 --wait=90 --format json").run();
        (by_service(&run), run.code)
    }

    pub(crate) fn queue_url(&self, name: &str) -> String {
        format!("{}/111122223333/{name}", self.sim.url())
    }

    /// Sends any body to a queue.
    pub(crate) fn send(&self, queue: &str, body: &str) {
        let message = serde_json::json!({ "QueueUrl": self.queue_url(queue), "MessageBody": body });
        self.runtime.block_on(self.sim.sqs("SendMessage", message)).unwrap();
    }

    /// Receives every message of a queue without finishing it, as in a crash, until SQS moves them to the dead letters.
    pub(crate) fn exhaust(&self, queue: &str) {
        let receive = serde_json::json!({
            "QueueUrl": self.queue_url(queue),
            "VisibilityTimeout": 0,
            "MaxNumberOfMessages": 10,
        });
        let depth = |queue: &str| {
            let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
            let ask = serde_json::json!({ "QueueUrl": self.queue_url(queue), "AttributeNames": names });
            let answer = self.runtime.block_on(self.sim.sqs("GetQueueAttributes", ask)).unwrap();
            let number = |name: &str| answer["Attributes"][name].as_str().unwrap().parse::<usize>().unwrap();
            names.map(number).iter().sum::<usize>()
        };
        until("SQS has moved every message", || {
            self.runtime.block_on(self.sim.sqs("ReceiveMessage", receive.clone())).unwrap();
            depth(queue) == 0
        });
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.sim.received()
    }

    /// The state of a CloudWatch alarm from now on.
    pub(crate) fn set_alarm(&self, name: &str, state: AlarmState) {
        self.sim.set_alarm(name, state);
    }

    /// The first task of a service.
    pub(crate) fn task(&self, service: &str) -> TaskView {
        self.sim.tasks().into_iter().find(|task| task.service.as_deref() == Some(service)).unwrap()
    }

    /// Stops `from`, and lets `to` answer at its address.
    pub(crate) fn move_address(&self, from: &str, to: &str) {
        self.runtime.block_on(self.sim.move_address(from, to)).unwrap();
    }
}

/// Describes a service that wants its calls at `/notify`.
pub(crate) fn service(name: &str, tasks: usize, container: &str) -> String {
    fleets::service(name, tasks, "/notify", container)
}

/// The JSON lines of a stream.
pub(crate) fn json(stream: &str) -> Vec<Value> {
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stream.lines().map(read).collect()
}

/// The lines of a report by service, of which each has one task; the summary stands under the empty name.
pub(crate) fn by_service(run: &Run) -> BTreeMap<String, Value> {
    json(&run.stdout)
        .into_iter()
        .map(|line| (line["service"].as_str().unwrap_or_default().to_owned(), line))
        .collect()
}
