//! What to do about a container that was not told. Pure.

use crate::model::Delivery;
use crate::model::{Cause, Outcome};

/// What to do about a container that was not told, as one short sentence; `None` when it was told.
///
/// It goes by outcome, status and cause alone, so containers with the same trouble get the same words. How to tell them
/// again is not said: that depends on who asks (`send` once more, or `redrive`).
#[must_use]
pub fn advice(entry: &Delivery) -> Option<&'static str> {
    match entry.outcome {
        Some(Outcome::Delivered | Outcome::Gone) => None,
        None => Some(pending(entry)),
        // Records of earlier versions have no cause: a status says the most, then the outcome.
        Some(Outcome::Rejected | Outcome::Failed) => match (entry.cause, entry.status) {
            (None | Some(Cause::Answered), Some(status)) => Some(answered(status)),
            (Some(cause), _) => Some(because(cause)),
            (None, None) => Some(because(Cause::Other)),
        },
        Some(Outcome::Skipped) => Some(because(entry.cause.unwrap_or(Cause::Other))),
    }
}

fn pending(entry: &Delivery) -> &'static str {
    match entry.cause {
        Some(Cause::Cancelled) => "nothing: the broadcast was cancelled, so it is not called any more",
        Some(Cause::Interrupted) => because(Cause::Interrupted),
        Some(Cause::GivenUp) => {
            "its message is in the dead letters or lost: `redrive --dry-run` shows the dead letters"
        }
        _ if entry.attempts.is_some_and(|attempts| attempts > 0) => {
            "the notifier tries it again: wait for the end"
        }
        _ => {
            "wait for the end; if nothing changes, see whether the notifier runs and whether its dead letters hold the message"
        }
    }
}

/// The task answered, but not that it accepts the event.
fn answered(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "authentication failed: check the receiver's key (it needs one that signs here, NOTIFIER_SIGNING_SECRET) and its clock"
        }
        404 => "it serves no such path: mend the label NOTIFY_ME_API_URI, or the service",
        405 => "it does not take this method: serve POST, or set the label NOTIFY_ME_METHOD",
        413 => "the event is too large for it: send less data, or raise its limit",
        415 => "it does not read CloudEvents in JSON (application/cloudevents+json): mend the service",
        421 => {
            "another task answered at its address: see whether ECS still knows the task, then tell it again"
        }
        300..=399 => "redirects are not followed: let the label NOTIFY_ME_API_URI name where it leads",
        408 | 425 | 429 => "it is too busy: tell it again later, or fewer at a time (NOTIFIER_CONCURRENCY)",
        503 => {
            "it says that it is unavailable: its own log and its health say why; tell it again when it is well"
        }
        500..=599 => "it failed at it: its own log says why; tell it again when it is mended",
        _ => "it refuses the event: its own log says why; tell it again when it is mended",
    }
}

fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::Label => "correct its labels in the task definition, and deploy that",
        Cause::NoSuchService => "correct the service's name, or deploy it",
        Cause::NotDescribed => {
            "send the event to its service again; if it stays so, check the ECS endpoint setting"
        }
        Cause::TaskDefinition => "let the notifier read task definitions: ecs:DescribeTaskDefinition",
        Cause::NetworkModeNone => "give its task a network: awsvpc, bridge or host",
        Cause::PortNotMapped => "map the port in the task definition (portMappings, tcp), and deploy that",
        Cause::NoAddress => "its task is just starting: tell it again in a minute",
        Cause::Host => {
            "see whether its container instance is registered, and let the notifier call ec2:DescribeInstances"
        }
        Cause::AddressRefused => "if the address is yours, add its network to NOTIFIER_ALLOW_NETWORKS",
        Cause::ContainerNotRunning => "see why it stopped while its task runs, then tell it again",
        Cause::Health => {
            "see why its health check does not pass; NOTIFIER_HEALTH=ignore calls it all the same"
        }
        Cause::Discovery => "mend what the reason says, then ask for the broadcast again",
        Cause::Unreachable => {
            "see whether it listens at that port on every address (0.0.0.0, ::), and whether its security group lets the notifier in"
        }
        Cause::ConnectTimedOut => {
            "see whether its security group, network ACL and routes let the notifier in; else it is too busy to accept"
        }
        Cause::TimedOut => {
            "let it answer 202 at once and work afterwards, or give it more time (NOTIFIER_TIMEOUT_MS)"
        }
        Cause::Broken => {
            "it hung up before it answered: its own log says why; a crash or a proxy's limit are usual"
        }
        Cause::NotHttp => {
            "what answers speaks no HTTP/1.1: see whether the labelled port is the right one, and wants https"
        }
        Cause::Tls => {
            "see whether it serves TLS, and whether NOTIFIER_TLS_CA vouches for the name that the labels say"
        }
        Cause::Unsignable => "drop the label NOTIFY_ME_CONTENT_MODE=binary, which cannot be signed",
        Cause::Nowhere => "its task runs, but cannot be called: see its health and ports, then tell it again",
        Cause::Lost => {
            "let the notifier call ecs:DescribeTasks, and see whether AWS throttles it; then tell it again"
        }
        Cause::NoRoom => {
            "lower NOTIFIER_CONCURRENCY, or give the notifier more open files (ulimit -n) and memory"
        }
        Cause::Interrupted => "nobody calls it any more: send the event again to whoever has no outcome",
        Cause::Fault => "a fault of the notifier: please report it with the reason",
        Cause::Cancelled | Cause::Dropped => "nothing; to tell it after all, send the event with another id",
        Cause::Answered | Cause::GivenUp | Cause::Stopped | Cause::Other => {
            "mend what the reason says, then tell it again"
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
    fn a_cause_is_the_word_that_json_has_and_words_of_later_versions_are_other() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
            assert_eq!(serde_json::from_value::<Cause>(cause.as_str().into()).unwrap(), cause);
        }
        assert_eq!(BTreeSet::from(Cause::ALL.map(Cause::as_str)).len(), Cause::ALL.len());
        assert_eq!(serde_json::from_str::<Cause>("\"of-tomorrow\"").unwrap(), Cause::Other);
    }

    #[test]
    fn whoever_was_told_gets_none_and_everybody_else_some() {
        for cause in Cause::ALL.map(Some).into_iter().chain([None]) {
            for status in [None, Some(404)] {
                for told in [Outcome::Delivered, Outcome::Gone] {
                    assert_eq!(advice(&entry(Some(told), cause, status)), None);
                }
                for not in [Some(Outcome::Failed), Some(Outcome::Rejected), Some(Outcome::Skipped), None] {
                    let advice = advice(&entry(not, cause, status)).unwrap();
                    assert!(advice.len() <= 130 && !advice.ends_with('.'), "{advice}");
                }
            }
        }
    }

    #[test]
    fn what_a_task_answered_decides_what_to_do() {
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
        check(&[400, 409, 422], Outcome::Rejected, "refuses the event");
        check(&[429], Outcome::Failed, "too busy");
        check(&[503], Outcome::Failed, "says that it is unavailable");
        check(&[500, 502, 504], Outcome::Failed, "failed at it");
    }

    #[test]
    fn a_cause_counts_for_more_than_the_status_of_an_earlier_answer() {
        let check = |outcome, cause, says: &str| {
            let advice = advice(&entry(outcome, Some(cause), Some(503))).unwrap();
            assert!(advice.contains(says), "{advice}");
        };
        check(Some(Outcome::Failed), Cause::Unreachable, "security group");
        check(Some(Outcome::Failed), Cause::TimedOut, "202 at once");
        check(Some(Outcome::Rejected), Cause::Dropped, "another id");
        check(Some(Outcome::Skipped), Cause::Health, "NOTIFIER_HEALTH=ignore");
    }

    #[test]
    fn who_is_pending_is_waited_for() {
        let tried = Delivery { attempts: Some(3), ..entry(None, Some(Cause::Answered), Some(503)) };
        assert_eq!(advice(&tried), Some("the notifier tries it again: wait for the end"));
        assert!(advice(&Delivery::default()).unwrap().contains("dead letters"));
        let cancelled = Delivery { cause: Some(Cause::Cancelled), ..tried.clone() };
        assert!(advice(&cancelled).unwrap().contains("not called any more"));
        let given_up = Delivery { cause: Some(Cause::GivenUp), ..tried.clone() };
        assert!(advice(&given_up).unwrap().contains("redrive"));
        let interrupted = Delivery { cause: Some(Cause::Interrupted), ..tried };
        assert!(advice(&interrupted).unwrap().contains("nobody calls it any more"));
    }
}
