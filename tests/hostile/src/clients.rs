//! Discovery, a queue and secrets on hostile responses of AWS, read through the SDK.

use std::fmt::Display;

use notifier::base::{Environment, Rng};
use notifier::fleet::{Discovery, HealthPolicy};
use notifier::model::Member;
use notifier::model::network::Networks;
use notifier::queue::{Consumer, Queue};
use notifier::secrets::{Kept, SecretRef, Vault, signing_keys};
use wire::{Broadcast, BroadcastId, Draft, ObserverMessage, PartMessage};

use crate::canned;
use crate::parsers::wrong;

/// Maximum number of names of one kind in a verdict.
const NAMED_MAX: usize = 6;

/// Runs the future on a runtime of its own, with a paused clock: waits take no time, and leftover tasks end with it.
#[expect(clippy::expect_used, reason = "a runtime of this machine")]
fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// Returns the first few, and the number of the rest.
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
    // AWS chooses ARNs and accepts only printable container names, so the product does not escape them.
    format!("{}/{}/{}", member.service, task.escape_debug(), member.container.escape_debug())
}

/// The cluster `prod` in the responses of ECS and EC2: lines of `Operation [status] body`. Both ways of discovery read it.
///
/// # Panics
///
/// If a task would be called twice, or at an address outside the allowed networks.
pub(crate) fn ecs(responses: &[u8]) -> String {
    let aws = canned::aws(responses);
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
                some(fleet.skips.iter().map(|one| format!(
                    "{}: {}",
                    who(&one.member),
                    one.reason.as_deref().unwrap_or_default()
                ))),
                some(fleet.not_targeted.iter().map(|one| format!("{}: {}", who(&one.member), one.reason))),
            )
        }
    };
    format!("{whole} | {}", services(responses, &scope))
}

/// The same cluster, discovered by its services.
fn services(responses: &[u8], scope: &ObserverMessage) -> String {
    let aws = canned::aws(responses);
    let Ok(id) = BroadcastId::try_from("b-1".to_owned()) else { return String::new() };
    let Ok(event) = Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH) else {
        return String::new();
    };
    let broadcast = Broadcast::new(event);
    let discovery = Discovery::new(&aws, HealthPolicy::Detect, Networks::default());
    match wait_for(discovery.services(scope, &broadcast)) {
        Err(error) => wrong(&error),
        Ok(found) => {
            let messages = found.messages.iter().map(|one| match one {
                PartMessage::Service(one) => format!("{} {}{}", one.service, one.port, one.path),
                PartMessage::Page(page) => format!("page {:?}", page.tasks),
                PartMessage::Cover(cover) => format!("cover {}", cover.covers_until),
                PartMessage::Gate(gate) => format!("gate {}", gate.gate),
            });
            format!("services {}; leave {}", some(messages), found.not_targeted.len())
        }
    }
}

/// A queue in SQS's responses, and its messages: lines of `Operation [status] body`.
pub(crate) fn sqs(responses: &[u8]) -> String {
    let aws = canned::aws(responses);
    wait_for(async {
        let queue = Queue::at(aws.sqs, "http://sqs.invalid/1/q", Rng::seeded(1));
        let consumer = match Consumer::open(queue).await {
            Ok(consumer) => consumer,
            Err(error) => return wrong(&error),
        };
        match consumer.receive(10).await {
            Err(error) => wrong(&error),
            Ok(messages) => some(messages.iter().map(|message| {
                let last = if consumer.is_last_receive(message) { " (last)" } else { "" };
                let (id, receives, sent) = (&message.id, message.receives, message.sent.unix_timestamp());
                format!("{} received {receives}{last} sent {sent}: {:?}", id.escape_debug(), message.body)
            })),
        }
    })
}

/// Responses of Secrets Manager and Systems Manager: lines of `Operation [status] body`.
///
/// # Panics
///
/// If the verdict repeats a secret.
pub(crate) fn secret_answers(responses: &[u8]) -> String {
    let verdict = |reference: SecretRef| {
        let aws = canned::aws(responses);
        let vault = Vault::new(Environment::default(), Some(aws.secrets));
        let opened = Kept::open(vault, vec![reference], std::time::Duration::from_secs(3600), signing_keys);
        match wait_for(opened) {
            Err(error) => wrong(&error),
            Ok(keys) => format!("{:?}", wait_for(keys.current()).value),
        }
    };
    let said =
        [SecretRef::SecretsManager("k".to_owned()), SecretRef::Ssm("k".to_owned())].map(verdict).join("; ");
    for value in secret_values(responses) {
        assert!(!said.contains(&value), "the verdict repeats a secret: {said}");
    }
    said
}

/// Returns the secrets of successful responses that are too long to be in a verdict by chance.
fn secret_values(responses: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(responses);
    let body = |line: &str| {
        let body = line.strip_prefix("GetSecretValue ").or(line.strip_prefix("GetParameter "))?;
        let json: serde_json::Value = serde_json::from_str(body).ok()?;
        let value = json.get("SecretString").or(json.get("Parameter").and_then(|one| one.get("Value")))?;
        value.as_str().filter(|value| value.len() >= 12).map(str::to_owned)
    };
    text.lines().filter_map(body).collect()
}
