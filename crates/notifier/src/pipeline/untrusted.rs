//! Messages of an inner queue that come from somebody who is not believed: what of them counts.
//!
//! Such a message may ask for a call, as the proof of concept's do. Where the call goes and what it is signed as comes
//! from ECS. The broadcast that it names counts only where the ledger knows it, with the same event and as meant for
//! whoever the message names. Otherwise the message is a broadcast of its own, by the id that SQS gave it.

use std::sync::Arc;

use tracing::{debug, warn};
use wire::{Broadcast, Draft, ServiceMessage};

use super::{Ctx, StageError, broadcast, complete};
use crate::fleet::{Recheck, RecheckError};
use crate::model::arn::TaskArn;
use crate::model::{Endpoint, Member};
use crate::queue::Message;

/// Says in the log that a message is not believed: each doubling of their number, not each message.
pub(super) fn tell(ctx: &Ctx, received: &Message) {
    let messages = ctx.count_untrusted();
    let id = received.message_id.as_str();
    let sender = received.sender.as_deref().unwrap_or("unknown");
    let before = received.senders_before.as_deref();
    debug!(message.id = id, sender, before, "Message {id} comes from a sender that is not trusted");
    if messages.is_power_of_two() {
        warn!(
            messages,
            message.id = id,
            sender,
            before,
            "A sender on an inner queue is not in NOTIFIER_TRUSTED_SENDERS; ECS is asked before its messages are acted on"
        );
    }
}

/// The broadcasts that a message claims to belong to, the likeliest first.
pub(super) fn claims(carried: Option<&Broadcast>, received: &Message) -> Result<Vec<Broadcast>, StageError> {
    let mut claims: Vec<_> = carried.cloned().into_iter().collect();
    if received.id != received.message_id || received.sent != received.queued {
        claims.push(broadcast(draft(carried), received)?);
    }
    Ok(claims)
}

/// The broadcast that a message is by itself: its event keeps what it says, and gets the id of the message.
pub(super) fn own(carried: Option<&Broadcast>, received: &Message) -> Result<Broadcast, StageError> {
    complete(draft(carried), &received.message_id, received.queued)
}

fn draft(carried: Option<&Broadcast>) -> Draft {
    let mut draft = carried.map(|carried| Draft::from(carried.event.clone())).unwrap_or_default();
    draft.id = None;
    draft
}

/// The broadcast among `claims` that the ledger knows, and of which this message is a part.
pub(super) async fn with_part(
    ctx: &Ctx,
    claims: Vec<Broadcast>,
    message: &ServiceMessage,
) -> Result<Option<Broadcast>, StageError> {
    for claim in claims {
        if ctx.ledger.known(&claim).await?.is_some_and(|known| known.has_part(message)) {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

/// The broadcast among `claims` that the ledger knows, and that was meant for this container.
///
/// It is when a delivery to it is recorded already, or when ECS said just now (`is_found`) that its task belongs to one
/// of the broadcast's services.
pub(super) async fn with_member(
    ctx: &Ctx,
    claims: Vec<Broadcast>,
    member: &Member,
    is_found: bool,
) -> Result<Option<Broadcast>, StageError> {
    // In an ARN of the old format the cluster is the message's word alone: in another one, ECS would not know the task.
    if !is_found && TaskArn::parse(&member.task).is_none_or(|task| task.cluster.is_none()) {
        return Ok(None);
    }
    for claim in claims {
        let Some(known) = ctx.ledger.known(&claim).await? else { continue };
        let is_recorded = ctx.ledger.state(&claim.id, member).await?.is_some();
        if is_recorded || is_found && known.has_member(member) {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

/// An endpoint without what is only the message's word: the task and the container's name stay, to be looked up; address
/// and path stay, so that [`Discovery::recheck`](crate::fleet::Discovery::recheck) can tell containers apart where none is
/// named.
///
/// # Errors
///
/// When the task has no ARN that ECS could be asked for.
pub(super) fn unproven(endpoint: Endpoint) -> Result<Endpoint, StageError> {
    let Member { cluster: named, task: arn, container, .. } = &*endpoint.member;
    // One that is not the ARN of a task would fail the lookup of its neighbours too.
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

/// Where ECS says that an unproven endpoint is; `None` where it says that there is none. One that is starting is there:
/// ECS is asked again before it is called.
pub(super) async fn find(ctx: &Ctx, endpoint: &Endpoint) -> Result<Option<Endpoint>, RecheckError> {
    Ok(match ctx.discovery.recheck(endpoint).await? {
        Recheck::At(found) | Recheck::Starting(found, _) => Some(found),
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

    fn doubted(more: &str) -> Member {
        let body = format!(
            r#"{{"notify_task_arn":"{TASK}","notify_me_host_address":"10.0.0.1","notify_me_host_port":"1","notify_me_api_uri":"/n",
                "service":"victim","task_definition":"arn:td","container":"app"{more}}}"#
        );
        unproven(endpoint(TaskMessage::from_body(&body).unwrap()).unwrap()).unwrap().member.as_ref().clone()
    }

    #[test]
    fn the_cluster_is_the_one_of_the_arn_and_the_service_is_not_believed() {
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
            let member = doubted(&format!(r#","cluster":"{named}""#));
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
    fn a_message_of_its_own_has_the_id_that_sqs_gave_it_whatever_it_says() {
        let received = Message { id: "m-1".to_owned(), sent: OffsetDateTime::UNIX_EPOCH, ..received() };
        let own = own(Some(&carried()), &received).unwrap();
        assert_eq!((own.id.as_str(), own.event.id().as_str(), own.event.kind()), ("m-2", "m-2", "a.b"));
        let claims: Vec<_> = claims(Some(&carried()), &received).unwrap();
        let ids: Vec<_> = claims.iter().map(|claim| claim.id.as_str()).collect();
        assert_eq!(ids, ["to-come", "m-1"]);
    }

    #[test]
    fn a_message_that_says_nothing_of_its_past_claims_nothing() {
        assert_eq!(claims(None, &received()).unwrap(), []);
        assert_eq!(own(None, &received()).unwrap().id.as_str(), "m-2");
    }
}
