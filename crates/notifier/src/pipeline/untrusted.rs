//! Messages from untrusted senders on an inner queue, and which of their values are used.
//!
//! Such a message may request a call, as those of the proof of concept do. Address and service come from ECS. Its
//! broadcast counts only if the ledger has it, with the same event and with this recipient. Otherwise the message is a
//! broadcast of its own, with the id that SQS assigned.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::field::display;
use tracing::{debug, warn};
use wire::{Broadcast, Draft, PartMessage};

use super::{Ctx, StageError, broadcast, complete};
use crate::fleet::{Recheck, RecheckError};
use crate::model::arn::TaskArn;
use crate::model::{Endpoint, Member};
use crate::queue::Message;

/// Logs that a message is not trusted: as a warning at each doubling of their number, not for each message.
pub(super) fn log(ctx: &Ctx, received: &Message) {
    let messages = ctx.untrusted.fetch_add(1, Ordering::Relaxed) + 1;
    let id = received.message_id.as_str();
    let sender = received.sender.as_deref().unwrap_or("unknown");
    let before = received.senders_before.as_deref();
    let trace_id = received.trace_id().map(display);
    debug!(message.id = id, trace_id, sender, before, "Message {id} comes from a sender that is not trusted");
    if messages.is_power_of_two() {
        warn!(
            messages,
            message.id = id,
            trace_id,
            sender,
            before,
            "A sender on an inner queue is not in NOTIFIER_TRUSTED_SENDERS; its messages are checked against ECS first"
        );
    }
}

/// The broadcasts that a message may belong to by its own, unverified values, the likeliest first.
pub(super) fn unverified(
    carried: Option<&Broadcast>,
    received: &Message,
) -> Result<Vec<Broadcast>, StageError> {
    let mut unverified: Vec<_> = carried.cloned().into_iter().collect();
    if received.id != received.message_id || received.sent != received.queued {
        unverified.push(broadcast(draft(carried), received)?);
    }
    Ok(unverified)
}

/// The broadcast of a message that is one itself: the event keeps its attributes, and gets the id of the message.
pub(super) fn own(carried: Option<&Broadcast>, received: &Message) -> Result<Broadcast, StageError> {
    complete(draft(carried), &received.message_id, received.queued)
}

fn draft(carried: Option<&Broadcast>) -> Draft {
    let mut draft = carried.map(|carried| Draft::from(carried.event.clone())).unwrap_or_default();
    draft.id = None;
    draft
}

/// The first of the `unverified` broadcasts that the ledger has and that this message is a part of.
pub(super) async fn with_part(
    ctx: &Ctx,
    unverified: Vec<Broadcast>,
    message: &PartMessage,
) -> Result<Option<Broadcast>, StageError> {
    for broadcast in unverified {
        if ctx.ledger.known(&broadcast, message.cluster()).await?.is_some_and(|known| known.has_part(message))
        {
            return Ok(Some(broadcast));
        }
    }
    Ok(None)
}

/// The first of the `unverified` broadcasts that the ledger has and that includes this container.
///
/// It does if the ledger has a delivery to the container, or if a lookup in ECS has just confirmed (`is_found`) that
/// the task belongs to one of the broadcast's services. Of a broadcast in waves, the container's wave must have begun too.
pub(super) async fn with_member(
    ctx: &Ctx,
    unverified: Vec<Broadcast>,
    member: &Member,
    is_found: bool,
) -> Result<Option<Broadcast>, StageError> {
    // With an ARN of the old format, the cluster comes only from the message, so a failed lookup proves nothing.
    if !is_found && TaskArn::parse(&member.task).is_none_or(|task| task.cluster.is_none()) {
        return Ok(None);
    }
    for broadcast in unverified {
        let Some(known) = ctx.ledger.known(&broadcast, &member.cluster).await? else { continue };
        let state = ctx.ledger.state(&broadcast.id, member).await?;
        if state.is_none() && !(is_found && known.has_member(member)) {
            continue;
        }
        // Of a task that ECS does not know any more, only the ledger knows the service.
        let service =
            if is_found { &member.service } else { state.as_ref().map_or("", |state| &state.member.service) };
        let is_its_turn = match known.parts_in_waves(service) {
            Some(parts) => ctx.ledger.has_begun(&broadcast.id, parts, member).await?,
            None => true,
        };
        if is_its_turn {
            return Ok(Some(broadcast));
        }
    }
    Ok(None)
}

/// An endpoint without unverified values. The task and the container's name stay for the lookup; address and path stay,
/// so that [`Discovery::recheck`](crate::fleet::Discovery::recheck) can identify a container without a name.
///
/// # Errors
///
/// If the task's ARN is not valid.
pub(super) fn without_unverified(endpoint: Endpoint) -> Result<Endpoint, StageError> {
    let Member { cluster: named, task: arn, container, .. } = &*endpoint.member;
    // A wrong ARN would fail the lookup of the other tasks in its batch too.
    let Some(task) = TaskArn::parse(arn) else {
        return Err(StageError::Endpoint("`notify_task_arn` is not the ARN of an ECS task".to_owned()));
    };
    let cluster = match task.cluster {
        Some(cluster) if *named != task.cluster_arn().unwrap_or_default() => cluster,
        _ => named,
    };
    let member = Member { container: container.clone(), ..Member::of_task(cluster, arn) };
    Ok(Endpoint { member: Arc::new(member), ..endpoint })
}

/// Looks an unverified endpoint up in ECS; `None` if it does not exist. A starting container exists: it is looked up
/// again before it is called.
pub(super) async fn find(ctx: &Ctx, endpoint: &Endpoint) -> Result<Option<Endpoint>, RecheckError> {
    Ok(match ctx.discovery.recheck(&endpoint.member, Some(endpoint)).await? {
        Recheck::At(found) => Some(found),
        Recheck::Stopped(_) | Recheck::Nowhere(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use wire::{Message as _, TaskMessage};

    use super::*;
    use crate::pipeline::endpoint::endpoint;

    const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/prod/0123456789abcdef0123456789abcdef";

    fn verified(more: &str) -> Member {
        let body = format!(
            r#"{{"notify_task_arn":"{TASK}","notify_me_host_address":"10.0.0.1","notify_me_host_port":"1","notify_me_api_uri":"/n",
                "service":"victim","task_definition":"arn:td","container":"app"{more}}}"#
        );
        without_unverified(endpoint(TaskMessage::from_body(&body).unwrap()).unwrap())
            .unwrap()
            .member
            .as_ref()
            .clone()
    }

    #[test]
    fn the_cluster_is_that_of_the_arn_and_the_service_is_not_taken_from_the_message() {
        for (named, expected) in [
            ("", "prod"),
            ("prod", "prod"),
            ("other", "prod"),
            (
                "arn:aws:ecs:eu-west-1:111122223333:cluster/prod",
                "arn:aws:ecs:eu-west-1:111122223333:cluster/prod",
            ),
            ("arn:aws:ecs:us-east-1:111122223333:cluster/prod", "prod"),
            ("arn:aws:ecs:eu-west-1:999999999999:cluster/prod", "prod"),
        ] {
            let member = verified(&format!(r#","cluster":"{named}""#));
            assert_eq!(member.cluster, expected, "{named}");
            assert_eq!((member.service, member.task_definition), (String::new(), String::new()));
            assert_eq!((member.task.as_str(), member.container.as_str()), (TASK, "app"));
        }
    }

    fn received() -> Message {
        let sent = OffsetDateTime::UNIX_EPOCH;
        Message::new("m-2".to_owned(), String::new(), sent + time::Duration::hours(1))
    }

    fn carried() -> Broadcast {
        let mut draft = Draft::new("a.b");
        draft.id = Some("to-come".to_owned());
        let received = received();
        broadcast(draft, &received).unwrap()
    }

    #[test]
    fn a_broadcast_of_its_own_has_the_id_that_sqs_assigned_to_the_message() {
        let received = Message { id: "m-1".to_owned(), sent: OffsetDateTime::UNIX_EPOCH, ..received() };
        let own = own(Some(&carried()), &received).unwrap();
        assert_eq!((own.id.as_str(), own.event.id().as_str(), own.event.kind()), ("m-2", "m-2", "a.b"));
        let unverified: Vec<_> = unverified(Some(&carried()), &received).unwrap();
        let ids: Vec<_> = unverified.iter().map(|broadcast| broadcast.id.as_str()).collect();
        assert_eq!(ids, ["to-come", "m-1"]);
    }

    #[test]
    fn a_message_without_broadcast_and_history_belongs_to_no_other_broadcast() {
        assert_eq!(unverified(None, &received()).unwrap(), []);
        assert_eq!(own(None, &received()).unwrap().id.as_str(), "m-2");
    }
}
