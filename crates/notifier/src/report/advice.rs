//! What to do about a container that was not notified. Pure.

use crate::model::Delivery;
use crate::model::{Cause, Outcome};

/// What to do about a container that was not notified, as one short sentence; `None` if it was notified.
///
/// It depends only on outcome, status and cause, so containers with the same problem get the same advice. It does not say
/// how to send the event again: `send` or `redrive`, depending on the command.
pub fn advice(entry: &Delivery) -> Option<&'static str> {
    match entry.outcome {
        Some(Outcome::Delivered | Outcome::Gone) => None,
        None => Some(pending(entry)),
        // Records of earlier versions have no cause: the status is used, then the outcome.
        Some(Outcome::Rejected | Outcome::Failed) => match (entry.cause, entry.status) {
            (None | Some(Cause::Answered), Some(status)) => Some(answered(status)),
            (Some(cause), _) => Some(because(cause)),
            (None, None) => Some(because(Cause::Other)),
        },
        Some(Outcome::Skipped) if entry.cause == Some(Cause::Stopped) => Some(STOPPED),
        Some(Outcome::Skipped) => Some(because(entry.cause.unwrap_or(Cause::Other))),
    }
}

/// The same in a broadcast whose latest wave is known: a container of a later wave waits for nothing else.
pub fn advice_in_wave(entry: &Delivery, latest: Option<u16>) -> Option<&'static str> {
    let is_later = latest.zip(entry.wave).is_some_and(|(latest, wave)| wave > latest);
    if is_later && entry.outcome.is_none() && entry.cause.is_none() {
        return Some("called in a later wave: nothing to do, or `continue` where the pause is manual");
    }
    advice(entry)
}

/// Its broadcast was stopped before the call.
const STOPPED: &str = "not called: find out why the containers before it failed or the alarm was raised, then send the event with another id";

fn pending(entry: &Delivery) -> &'static str {
    match entry.cause {
        Some(Cause::Cancelled) => {
            "nothing: the broadcast was cancelled, so the container is not called any more"
        }
        Some(Cause::Stopped) => STOPPED,
        Some(Cause::Interrupted) => because(Cause::Interrupted),
        Some(Cause::GivenUp) => {
            "the message is in the dead letters or lost: `redrive --dry-run` lists the dead letters"
        }
        _ if entry.attempts.is_some_and(|attempts| attempts > 0) => "retry pending: wait for the end",
        _ => {
            "wait for the end; if nothing changes, check that the notifier runs and whether the message is in its dead letters"
        }
    }
}

/// The task answered, but not that it accepts the event.
fn answered(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "authentication failed: check the receiver's key (it must match NOTIFIER_SIGNING_SECRET) and its clock"
        }
        404 => "path not found: correct the label NOTIFY_ME_API_URI, or the service",
        405 => "method not allowed: accept POST, or set the label NOTIFY_ME_METHOD",
        413 => "event too large: send less data, or raise the receiver's limit",
        415 => "content type refused: the service must accept application/cloudevents+json",
        421 => {
            "another task has its address: check whether the task still exists in ECS, then send the event again"
        }
        300..=399 => {
            "redirects are not followed: set the label NOTIFY_ME_API_URI to the target of the redirect"
        }
        408 | 425 | 429 => "too busy: send the event again later, or lower NOTIFIER_CONCURRENCY",
        503 => "service unavailable: check the task's log and health, then send the event again",
        500..=599 => "server error: check the task's log; after a fix, send the event again",
        _ => "event refused: check the task's log; after a fix, send the event again",
    }
}

fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::Label => "correct the labels in the task definition and deploy it",
        Cause::NoSuchService => "correct the service's name, or deploy it",
        Cause::NotDescribed => {
            "send the event to the service again; if the error remains, check the ECS endpoint setting"
        }
        Cause::TaskDefinition => "allow the notifier ecs:DescribeTaskDefinition",
        Cause::NetworkModeNone => "set the task's network mode to awsvpc, bridge or host",
        Cause::PortNotMapped => "map the port in the task definition (portMappings, tcp) and deploy it",
        Cause::NoAddress => "the task is still starting: send the event again in a minute",
        Cause::Host => {
            "check that the container instance is registered, and allow the notifier ec2:DescribeInstances"
        }
        Cause::AddressRefused => "if the address is yours, add its network to NOTIFIER_ALLOW_NETWORKS",
        Cause::ContainerNotRunning => {
            "find out why the container stopped while its task runs, then send the event again"
        }
        Cause::Health => {
            "check why the health check fails; NOTIFIER_HEALTH=ignore calls unhealthy containers too"
        }
        Cause::Discovery => "fix the reason, then publish the event again",
        Cause::Unreachable => {
            "check that the container listens on that port on every address (0.0.0.0, ::), and that its security group allows the notifier"
        }
        Cause::ConnectTimedOut => {
            "check that security group, network ACL and routes allow the notifier; otherwise the task is too busy to accept connections"
        }
        Cause::TimedOut => {
            "answer 202 at once and process the event afterwards, or raise NOTIFIER_TIMEOUT_MS"
        }
        Cause::Broken => {
            "connection closed before the answer: check the task's log; a crash or a proxy's limit is the usual cause"
        }
        Cause::NotHttp => "no HTTP/1.1 at this port: check the port in the label, and whether it needs https",
        Cause::Tls => {
            "check that the task serves TLS, and that a CA of NOTIFIER_TLS_CA issued a certificate for the name in the labels"
        }
        Cause::Unsignable => "remove the label NOTIFY_ME_CONTENT_MODE=binary: such requests cannot be signed",
        Cause::Method => "remove the label NOTIFY_ME_METHOD=GET: a question needs a request with a body",
        Cause::Nowhere => {
            "the task runs but cannot be called: check its health and ports, then send the event again"
        }
        Cause::Lost => {
            "allow the notifier ecs:DescribeTasks, and check for AWS throttles; then send the event again"
        }
        Cause::NoRoom => {
            "lower NOTIFIER_CONCURRENCY, or give the notifier more open files (ulimit -n) and memory"
        }
        Cause::Interrupted => {
            "not called: `send --failed-of` sends the event to the containers without an outcome"
        }
        Cause::Fault => "bug in the notifier: please report it with the reason",
        Cause::Cancelled | Cause::Dropped => {
            "nothing; to notify it all the same, send the event with another id"
        }
        Cause::Answered | Cause::GivenUp | Cause::Stopped | Cause::Other => {
            "fix the reason, then send the event again"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn entry(outcome: Option<Outcome>, cause: Option<Cause>, status: Option<u16>) -> Delivery {
        Delivery { outcome, cause, status, ..Delivery::default() }
    }

    #[test]
    fn a_cause_is_a_word_in_json_and_words_of_later_versions_are_read_as_other() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
            assert_eq!(serde_json::from_value::<Cause>(cause.as_str().into()).unwrap(), cause);
        }
        assert_eq!(BTreeSet::from(Cause::ALL.map(Cause::as_str)).len(), Cause::ALL.len());
        assert_eq!(serde_json::from_str::<Cause>("\"of-tomorrow\"").unwrap(), Cause::Other);
    }

    #[test]
    fn only_containers_that_were_not_notified_have_advice() {
        for cause in Cause::ALL.map(Some).into_iter().chain([None]) {
            for status in [None, Some(404)] {
                for notified in [Outcome::Delivered, Outcome::Gone] {
                    assert_eq!(advice(&entry(Some(notified), cause, status)), None);
                }
                for not in [Some(Outcome::Failed), Some(Outcome::Rejected), Some(Outcome::Skipped), None] {
                    let advice = advice(&entry(not, cause, status)).unwrap();
                    assert!(advice.len() <= 130 && !advice.ends_with('.'), "{advice}");
                }
            }
        }
    }

    #[test]
    fn advice_depends_on_the_status() {
        let check = |statuses: &[u16], outcome, says: &str| {
            for status in statuses {
                for cause in [Some(Cause::Answered), None] {
                    let advice = advice(&entry(Some(outcome), cause, Some(*status))).unwrap();
                    assert!(advice.contains(says), "{status}: {advice}");
                }
            }
        };
        check(&[401, 403], Outcome::Rejected, "check the receiver's key");
        check(&[404], Outcome::Rejected, "NOTIFY_ME_API_URI");
        check(&[405], Outcome::Rejected, "NOTIFY_ME_METHOD");
        check(&[413], Outcome::Rejected, "send less data");
        check(&[301, 307], Outcome::Rejected, "redirects are not followed");
        check(&[400, 409, 422], Outcome::Rejected, "event refused");
        check(&[429], Outcome::Failed, "too busy");
        check(&[503], Outcome::Failed, "service unavailable");
        check(&[500, 502, 504], Outcome::Failed, "server error");
    }

    #[test]
    fn a_cause_takes_precedence_over_the_status_of_an_earlier_answer() {
        let check = |outcome, cause, says: &str| {
            let advice = advice(&entry(outcome, Some(cause), Some(503))).unwrap();
            assert!(advice.contains(says), "{advice}");
        };
        check(Some(Outcome::Failed), Cause::Unreachable, "security group");
        check(Some(Outcome::Failed), Cause::TimedOut, "202 at once");
        check(Some(Outcome::Rejected), Cause::Dropped, "another id");
        check(Some(Outcome::Skipped), Cause::Health, "NOTIFIER_HEALTH=ignore");
        check(Some(Outcome::Skipped), Cause::Stopped, "why the containers before it failed");
    }

    #[test]
    fn advice_for_a_pending_container_depends_on_its_cause() {
        let tried = Delivery { attempts: Some(3), ..entry(None, Some(Cause::Answered), Some(503)) };
        assert_eq!(advice(&tried), Some("retry pending: wait for the end"));
        assert!(advice(&Delivery::default()).unwrap().contains("dead letters"));
        let cancelled = Delivery { cause: Some(Cause::Cancelled), ..tried.clone() };
        assert!(advice(&cancelled).unwrap().contains("not called any more"));
        let given_up = Delivery { cause: Some(Cause::GivenUp), ..tried.clone() };
        assert!(advice(&given_up).unwrap().contains("redrive"));
        let interrupted = Delivery { cause: Some(Cause::Interrupted), ..tried };
        assert!(advice(&interrupted).unwrap().contains("not called: "));
    }

    #[test]
    fn a_container_of_a_later_wave_waits_for_its_wave_and_nothing_else() {
        let waits = |wave, cause, latest| {
            let advice = advice_in_wave(&Delivery { wave, ..entry(None, cause, None) }, latest);
            advice.unwrap().contains("later wave")
        };
        assert!(waits(Some(3), None, Some(2)));
        assert!(!waits(Some(2), None, Some(2)));
        assert!(!waits(None, None, Some(2)));
        assert!(!waits(Some(3), None, None));
        assert!(!waits(Some(3), Some(Cause::Cancelled), Some(2)));
    }
}
