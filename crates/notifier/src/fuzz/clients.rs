//! What we make of AWS's answers, through the SDK: discovery, a queue, secrets.

use std::fmt::Display;

use wire::{Broadcast, BroadcastId, Draft, ObserverMessage};

use super::canned::Answers;
use super::wrong;
use crate::aws::Aws;
use crate::base::Environment;
use crate::base::Rng;
use crate::fleet::{Discovery, HealthPolicy};
use crate::model::Member;
use crate::model::network::Networks;
use crate::queue::{Inbox, Queue};
use crate::secrets::{Kept, SecretRef, Vault, signing_keys};

/// The most things of one kind that a verdict names.
const NAMED_MAX: usize = 6;

/// Waits for it, in time that passes at once while everybody waits; whatever it left running ends with it.
#[expect(clippy::expect_used, reason = "a runtime of this machine")]
fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// The first few, and how many more there are.
fn some<T: Display>(all: impl ExactSizeIterator<Item = T>) -> String {
    let count = all.len();
    let mut named: Vec<String> = all.take(NAMED_MAX).map(|one| one.to_string()).collect();
    if count > NAMED_MAX {
        named.push(format!("and {} more", count - NAMED_MAX));
    }
    if named.is_empty() { "none".to_owned() } else { named.join(", ") }
}

fn who(member: &Member) -> String {
    let task = member.task.rsplit('/').next().unwrap_or_default();
    // AWS chooses ARNs, and takes no container name that does not print.
    format!("{}/{}/{}", member.service, task.escape_debug(), member.container.escape_debug())
}

/// Whom both ways of discovery find in the cluster `prod`, when AWS answers so: lines of `Operation [status] body`.
///
/// # Panics
///
/// When a task is to be called twice, or at an address that is closed.
#[must_use]
pub fn discovered(answers: &[u8]) -> String {
    let aws = Aws::answered_by(Answers::of(answers));
    let networks = Networks::default();
    let scope = ObserverMessage::new("prod");
    let found = wait_for(Discovery::new(&aws, HealthPolicy::Detect, networks.clone()).fleet(&scope));
    let whole = match found {
        Err(error) => wrong(&error),
        Ok(fleet) => {
            let mut members: Vec<&Member> =
                fleet.endpoints.iter().map(|endpoint| &*endpoint.member).collect();
            members.dedup();
            assert_eq!(members.len(), fleet.endpoints.len(), "called twice: {:?}", fleet.endpoints);
            assert!(fleet.endpoints.iter().all(|endpoint| networks.check(endpoint.address.ip()).is_ok()));
            format!(
                "call {}; skip {}; leave {}",
                some(fleet.endpoints.iter().map(|one| {
                    let starting = if one.is_starting { ", starting" } else { "" };
                    format!("{} at {}{starting}", who(&one.member), one.address)
                })),
                some(fleet.skips.iter().map(|one| format!("{}: {}", who(&one.member), one.reason))),
                some(fleet.not_targeted.iter().map(|one| format!("{}: {}", who(&one.member), one.reason))),
            )
        }
    };
    format!("{whole} | {}", services(answers, &scope))
}

/// The same cluster by its services.
fn services(answers: &[u8], scope: &ObserverMessage) -> String {
    let aws = Aws::answered_by(Answers::of(answers));
    let Ok(id) = BroadcastId::try_from("b-1".to_owned()) else { return String::new() };
    let Ok(event) = Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH) else {
        return String::new();
    };
    let broadcast = Broadcast::new(event);
    let discovery = Discovery::new(&aws, HealthPolicy::Detect, Networks::default());
    match wait_for(discovery.services(scope, &broadcast)) {
        Err(error) => wrong(&error),
        Ok(found) => {
            let messages =
                found.messages.iter().map(|one| format!("{} {}{}", one.service, one.port, one.path));
            format!("services {}; leave {}", some(messages), found.not_targeted.len())
        }
    }
}

/// What a worker reads of its queue, when SQS answers so: lines of `Operation [status] body`.
#[must_use]
pub fn inbox(answers: &[u8]) -> String {
    let aws = Aws::answered_by(Answers::of(answers));
    wait_for(async {
        let queue = Queue::at(aws.sqs, "http://sqs.invalid/1/q", Rng::seeded(1));
        let inbox = match Inbox::open(queue).await {
            Ok(inbox) => inbox,
            Err(error) => return wrong(&error),
        };
        match inbox.receive(10).await {
            Err(error) => wrong(&error),
            Ok(messages) => some(messages.iter().map(|message| {
                let last = if inbox.is_last_receive(message) { " (last)" } else { "" };
                let (id, receives, sent) = (&message.id, message.receives, message.sent.unix_timestamp());
                format!("{} received {receives}{last} sent {sent}: {:?}", id.escape_debug(), message.body)
            })),
        }
    })
}

/// What signs, when Secrets Manager and Systems Manager answer so: lines of `Operation [status] body`.
///
/// # Panics
///
/// When the verdict repeats a value that was handed out.
#[must_use]
pub fn secrets(answers: &[u8]) -> String {
    let verdict = |reference: SecretRef| {
        let aws = Aws::answered_by(Answers::of(answers));
        let vault = Vault::new(Environment::default(), Some(aws.secrets));
        let opened = Kept::open(vault, vec![reference], std::time::Duration::from_secs(3600), signing_keys);
        match wait_for(opened) {
            Err(error) => wrong(&error),
            Ok(keys) => format!("{:?}", wait_for(keys.current()).value),
        }
    };
    let said =
        [SecretRef::SecretsManager("k".to_owned()), SecretRef::Ssm("k".to_owned())].map(verdict).join("; ");
    for value in handed_out(answers) {
        assert!(!said.contains(&value), "a value is repeated: {said}");
    }
    said
}

/// The values in answers that are no errors, where they are long enough not to stand elsewhere by chance.
fn handed_out(answers: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answers);
    let body = |line: &str| {
        let body = line.strip_prefix("GetSecretValue ").or(line.strip_prefix("GetParameter "))?;
        let json: serde_json::Value = serde_json::from_str(body).ok()?;
        let value = json.get("SecretString").or(json.get("Parameter").and_then(|one| one.get("Value")))?;
        value.as_str().filter(|value| value.len() >= 12).map(str::to_owned)
    };
    text.lines().filter_map(body).collect()
}
