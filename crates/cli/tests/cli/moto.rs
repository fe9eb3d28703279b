//! `plan` and `send` against moto, an independent emulator: its container instances and its EC2.
//!
//! Moto has no host ports: its tasks in bridge mode are skips. `python/moto_fleet.py` corrects other differences.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::receivers::Receivers;
use crate::support::{Run, notifier};

/// Not used by simulators, which begin at 127.1.0.0.
const SUBNET: &str = "127.0.77.0/24";
const HOSTS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 77, 11), Ipv4Addr::new(127, 0, 77, 12), Ipv4Addr::new(127, 0, 77, 13)];
const FARGATE: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 77, 101), Ipv4Addr::new(127, 0, 77, 102)];

/// Moto with a fleet: `agent` on every host in host mode, `web` on Fargate, `classic` in bridge mode, and `quiet`, which
/// did not opt in.
struct Moto {
    process: Child,
    url: String,
    /// The ARN of the task at each address, as boto3 read it.
    tasks: BTreeMap<Ipv4Addr, String>,
}

impl Moto {
    fn start(port: u16) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let list =
            |addresses: &[Ipv4Addr]| addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(",");
        let mut command = Command::new(testkit::python::interpreter());
        command.arg(here.join("tests/python/moto_fleet.py"));
        command.args([SUBNET, &port.to_string(), &list(&HOSTS), &list(&FARGATE)]);
        command.env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut made = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut made).unwrap();
        let made: Value = serde_json::from_str(&made).expect("moto did not start");
        let tasks = serde_json::from_value(made["tasks"].clone()).unwrap();
        Self { process, url: made["url"].as_str().unwrap().to_owned(), tasks }
    }

    fn run(&self, arguments: &str) -> Run {
        notifier(arguments).at(&self.url).env("NOTIFIER_ALLOW_NETWORKS", SUBNET).run()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have already ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The objects of a run, without the summary.
fn records(run: &Run) -> Vec<Value> {
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("summary").is_none()).collect()
}

/// The task at each address, for records with an address.
fn addresses(run: &Run, port: u16) -> BTreeMap<Ipv4Addr, String> {
    let address = |record: &Value| {
        let address = record["address"].as_str()?.strip_suffix(&format!(":{port}"))?.parse().unwrap();
        Some((address, record["task"].as_str()?.to_owned()))
    };
    records(run).iter().filter_map(address).collect()
}

/// The values of a service's records in this column, with their numbers.
fn column<'a>(records: &'a [Value], service: &str, column: &str) -> BTreeMap<&'a str, usize> {
    let mut words = BTreeMap::new();
    for record in records.iter().filter(|record| record["service"] == service) {
        *words.entry(record[column].as_str().unwrap_or("null")).or_default() += 1;
    }
    words
}

#[test]
fn every_task_of_moto_is_planned_and_notified_once_at_its_address() {
    let receivers = Receivers::at(&[HOSTS.as_slice(), &FARGATE].concat());
    let moto = Moto::start(receivers.port);

    let plan = moto.run("plan --cluster prod --format json");
    assert_eq!((plan.code, plan.stderr.as_str()), (0, ""), "{plan}");
    assert_eq!(addresses(&plan, receivers.port), moto.tasks);
    let planned = records(&plan);
    assert_eq!(column(&planned, "agent", "decision"), [("call", 3)].into());
    assert_eq!(column(&planned, "web", "decision"), [("call", 2)].into());
    assert_eq!(column(&planned, "classic", "decision"), [("skip", 1)].into());
    assert_eq!(column(&planned, "quiet", "decision"), [("ignore", 1)].into());
    // One page, one batch, one call per revision: the minimum of calls.
    let calls = concat!(
        r#""aws_calls":{"EC2 DescribeInstances":1,"ECS DescribeContainerInstances":1,"#,
        r#""ECS DescribeTaskDefinition":4,"ECS DescribeTasks":1,"ECS ListTasks":1}"#
    );
    assert!(plan.stdout.contains(calls), "{plan}");
    assert!(receivers.heard().is_empty(), "a plan calls nobody");

    let notified = moto.run("send --cluster prod --id cache-7 --allow-skips --format json");
    assert_eq!(notified.code, 0, "{notified}");
    assert_eq!(addresses(&notified, receivers.port), moto.tasks);
    let sent = records(&notified);
    assert_eq!(column(&sent, "agent", "outcome"), [("delivered", 3)].into());
    assert_eq!(column(&sent, "web", "outcome"), [("delivered", 2)].into());
    let unmapped = format!("container port {} is not mapped to a TCP port of the host", receivers.port);
    assert_eq!(column(&sent, "classic", "reason"), [(unmapped.as_str(), 1)].into());
    let heard = receivers.heard();
    assert_eq!(heard.keys().collect::<Vec<_>>(), moto.tasks.keys().collect::<Vec<_>>());
    for (address, requests) in heard {
        let [(line, body)] = requests.as_slice() else { panic!("{address} was called {requests:?}") };
        assert_eq!(line, "POST /v1.0/notify HTTP/1.1");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["ecstask"], &body["id"]),
            (&Value::from(moto.tasks[&address].as_str()), &"cache-7".into())
        );
    }
}

#[test]
fn a_cluster_that_moto_does_not_know_is_wrong_use() {
    let run = Moto::start(8080).run("plan --cluster prdo");
    assert_eq!(run.code, 2, "{run}");
    assert!(
        run.stderr.starts_with("error: there is no cluster `prdo` in this account and region\n"),
        "{run}"
    );
}
