//! Alarms over the wire: against the simulator, two emulators with alarms made by boto3, and answers that are none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use futures_util::future::join_all;
use notifier::aws::Aws;
use notifier::pipeline::{ALARMS_KEPT, AlarmReader};
use notifier::rollout::Alarms;
use serde_json::json;
use simulator::faults::{Fault, When};
use simulator::fleet::AlarmState;
use simulator::{Fleet, Options, Simulator};
use testkit::boto::{Boto, ministack};
use testkit::emulator::Emulator;
use testkit::stub_server::StubServer;

const FLEET: &str = "
    alarm = [
        { name = 'errors' },
        { name = 'new', state = 'INSUFFICIENT_DATA' },
        { name = 'all & \"more\"', composite = true },
    ]";

async fn simulator() -> Simulator {
    Simulator::start(Fleet::from_toml(FLEET).unwrap(), Options::default()).await.unwrap()
}

fn reader(url: &str) -> AlarmReader {
    AlarmReader::new(Aws::at(url, "us-east-1").cloudwatch)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Why the alarms are unknown.
async fn unknown(url: &str, asked: &[&str]) -> String {
    match reader(url).read(&names(asked)).await {
        Alarms::Unknown(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_alarm_is_quiet_until_it_is_raised_and_an_unknown_one_is_never_quiet() {
    let sim = simulator().await;
    let all = names(&["errors", "new", "all & \"more\""]);
    assert_eq!(reader(&sim.url()).read(&all).await, Alarms::Quiet);
    sim.set_alarm("all & \"more\"", AlarmState::Alarm);
    assert_eq!(reader(&sim.url()).read(&all).await, Alarms::Raised("all & \"more\"".to_owned()));
    assert_eq!(
        reader(&sim.url()).read(&names(&["errors"])).await,
        Alarms::Quiet,
        "only what is asked counts"
    );
    let missing = unknown(&sim.url(), &["errors", "errors-prod"]).await;
    assert_eq!(missing, "there is no alarm `errors-prod` in this account and region");
}

#[tokio::test]
async fn gates_at_once_share_one_request_and_an_answer_is_used_for_some_seconds() {
    let sim = simulator().await;
    let (reader, asked) = (reader(&sim.url()), names(&["errors"]));
    let answers = join_all((0..50).map(|_| reader.read(&asked))).await;
    assert!(answers.iter().all(|alarms| *alarms == Alarms::Quiet));
    assert_eq!(sim.count("DescribeAlarms"), 1);
    sim.set_alarm("errors", AlarmState::Alarm);
    assert_eq!(reader.read(&asked).await, Alarms::Quiet, "the answer is kept");
    // Only for the move: with a paused clock, the client's time limits would pass while the simulator answers.
    tokio::time::pause();
    tokio::time::advance(ALARMS_KEPT + Duration::from_millis(1)).await;
    tokio::time::resume();
    assert_eq!(reader.read(&asked).await, Alarms::Raised("errors".to_owned()));
    assert_eq!(sim.count("DescribeAlarms"), 2);
    assert_eq!(reader.read(&[]).await, Alarms::Quiet);
    assert_eq!(sim.count("DescribeAlarms"), 2, "without names, nothing is asked");
}

#[tokio::test]
async fn throttles_and_lost_connections_are_tried_again() {
    let sim = simulator().await;
    for fault in [Fault::Throttle, Fault::Fail, Fault::Reset, Fault::LoseAnswer] {
        sim.faults().clear();
        sim.faults().order("DescribeAlarms", When::First(1), fault);
        assert_eq!(reader(&sim.url()).read(&names(&["errors"])).await, Alarms::Quiet, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_never_quiet() {
    for body in
        ["", "<html>", "{}x", r#"{"MetricAlarms": [{"AlarmName": "errors"}]}"#, r#"{"MetricAlarms": 1}"#]
    {
        let server = StubServer::start(move |_| (200, body.to_owned())).await;
        let reason = unknown(&server.url, &["errors"]).await;
        assert!(reason.starts_with("CloudWatch did not answer DescribeAlarms: "), "{body}: {reason}");
    }
    let empty = StubServer::start(|_| (200, "{}".to_owned())).await;
    assert!(unknown(&empty.url, &["errors"]).await.starts_with("there is no alarm `errors`"));
    let state = r#"{"MetricAlarms": [{"AlarmName": "errors", "StateValue": "PURPLE"}]}"#;
    let server = StubServer::start(move |_| (200, state.to_owned())).await;
    assert_eq!(unknown(&server.url, &["errors"]).await, "alarm `errors` has the unknown state \"PURPLE\"");
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let body = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: u is not authorized"}"#;
    let server = StubServer::start(move |_| (400, body.to_owned())).await;
    assert_eq!(
        unknown(&server.url, &["errors"]).await,
        "allow the action cloudwatch:DescribeAlarms for all resources: CloudWatch refused DescribeAlarms: \
         AccessDeniedException: User: u is not authorized (status 400)"
    );
    let [asked] = &server.requests()[..] else { panic!("one request, and no retry") };
    assert_eq!(asked.headers["x-amz-target"], "GraniteServiceVersion20100801.DescribeAlarms");
    assert!(asked.headers["authorization"].to_str().unwrap().contains("/us-east-1/monitoring/aws4_request"));
}

/// Makes a metric alarm by boto3, and reads each of its states.
async fn reads_what_boto3_made(emulator: &Emulator) -> Boto {
    let mut boto = Boto::start(&emulator.url);
    let metric = json!({ "AlarmName": "errors <5xx>", "Namespace": "shop", "MetricName": "errors",
        "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold" });
    boto.call("cloudwatch", "put_metric_alarm", metric).await;
    let set = async |boto: &mut Boto, state: &str| {
        let set = json!({ "AlarmName": "errors <5xx>", "StateValue": state, "StateReason": "test" });
        boto.call("cloudwatch", "set_alarm_state", set).await;
    };
    let asked = names(&["errors <5xx>"]);
    set(&mut boto, "OK").await;
    assert_eq!(reader(&emulator.url).read(&asked).await, Alarms::Quiet);
    set(&mut boto, "INSUFFICIENT_DATA").await;
    assert_eq!(reader(&emulator.url).read(&asked).await, Alarms::Quiet);
    set(&mut boto, "ALARM").await;
    assert_eq!(reader(&emulator.url).read(&asked).await, Alarms::Raised("errors <5xx>".to_owned()));
    assert!(unknown(&emulator.url, &["other"]).await.starts_with("there is no alarm `other`"));
    boto
}

#[tokio::test]
async fn alarms_of_ministack() {
    let emulator = ministack(false).await;
    let mut boto = reads_what_boto3_made(&emulator).await;
    let composite = json!({ "AlarmName": "any", "AlarmRule": "ALARM(\"errors <5xx>\")" });
    boto.call("cloudwatch", "put_composite_alarm", composite).await;
    let any = reader(&emulator.url).read(&names(&["any"])).await;
    assert_eq!(any, Alarms::Raised("any".to_owned()), "its only child is raised");
}

/// Moto fails to make a composite alarm.

#[tokio::test]
async fn alarms_of_moto() {
    let moto = Emulator::start("moto.server", &["-H", "127.0.0.1", "-p", "{port}"], &[]).await;
    reads_what_boto3_made(&moto).await;
}
