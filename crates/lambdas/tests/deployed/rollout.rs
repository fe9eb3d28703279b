//! Waves through the functions of the module, in true time.

use std::collections::BTreeMap;
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::report::Counts;
use serde_json::json;
use testkit::fleets;
use tokio::time::{Instant, sleep};
use wire::BroadcastId;

use crate::QUIET;
use crate::stack::{SOON, Stack, Twist};

const PAUSE: Duration = Duration::from_secs(5);
/// The ledger counts in milliseconds, and a call is received before its outcome is recorded.
const ROUNDING: Duration = Duration::from_millis(50);

fn id(name: &str) -> BroadcastId {
    BroadcastId::try_from(name.to_owned()).unwrap()
}

/// Requests a broadcast in waves to the service of this name.
async fn request(stack: &Stack, service: &str, pace: serde_json::Value) {
    let event = json!({ "id": service, "type": "com.example.reload" });
    let body = json!({ "cluster": "prod", "services": [service], "event": event, "pace": pace });
    stack.send("services", &body.to_string()).await;
}

async fn ended(stack: &Stack, service: &str) -> Recorded {
    let until = Instant::now() + SOON;
    loop {
        let recorded = stack.ledger.read(&id(service)).await.unwrap();
        if let Some(recorded) = recorded.filter(|recorded| recorded.is_complete) {
            return recorded;
        }
        assert!(Instant::now() < until, "the broadcast to {service} does not end");
        sleep(QUIET / 10).await;
    }
}

/// Time of each call of a service.
fn calls(stack: &Stack, service: &str) -> Vec<(String, Duration)> {
    let received = stack.simulator.received().into_iter();
    let of_service = received.filter(|call| call.service.as_deref() == Some(service));
    of_service.map(|call| (call.task, call.at)).collect()
}

#[tokio::test]
#[ignore = "needs terraform and the archives: `make test-deployed`"]
async fn waves_follow_their_pauses_continue_and_stop() {
    let refuses = "answers = [{ status = 403 }]";
    let services = [("paused", ""), ("manual", ""), ("refusing", refuses)];
    let services = services.map(|(name, answers)| fleets::service(name, 20, "/n", answers));
    let stack = Stack::apply(&fleets::fleet(&services), Twist::default()).await;
    request(&stack, "paused", json!({ "waves": "1,25%", "pause": "5s" })).await;
    request(&stack, "manual", json!({ "waves": "1", "pause": "manual" })).await;
    request(&stack, "refusing", json!({ "waves": "5%", "pause": "1s" })).await;

    let recorded = ended(&stack, "paused").await;
    assert_eq!(recorded.report.counts(), Counts { delivered: 20, ..Counts::default() });
    let wave_of = |task: &str| {
        let entry = recorded.report.entries().iter().find(|entry| entry.member.task == task);
        entry.and_then(|entry| entry.wave).expect("a wave")
    };
    let mut waves = BTreeMap::<u16, Vec<Duration>>::new();
    for (task, at) in calls(&stack, "paused") {
        waves.entry(wave_of(&task)).or_default().push(at);
    }
    assert_eq!(waves.values().map(Vec::len).collect::<Vec<_>>(), [1, 4, 15]);
    let waves: Vec<_> = waves.into_values().collect();
    for pair in waves.windows(2) {
        let [end, begin] = [pair[0].iter().max().unwrap(), pair[1].iter().min().unwrap()];
        assert!(*begin + ROUNDING >= *end + PAUSE, "{waves:?}");
    }

    let recorded = ended(&stack, "refusing").await;
    assert_eq!(recorded.report.counts(), Counts { rejected: 1, skipped: 19, ..Counts::default() });
    assert_eq!(recorded.stopped.map(|stopped| stopped.wave), Some(1));
    assert_eq!(calls(&stack, "refusing").len(), 1);

    assert_eq!(calls(&stack, "manual").len(), 1, "nobody has continued");
    assert!(stack.ledger.continue_after(&id("manual"), 1).await.unwrap());
    let counts = ended(&stack, "manual").await.report.counts();
    assert_eq!(counts, Counts { delivered: 20, ..Counts::default() });
    assert_eq!(calls(&stack, "manual").len(), 20);
    stack.destroy().await;
}
