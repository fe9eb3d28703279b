//! Recorded broadcasts, to check messages from untrusted senders.

use wire::{Broadcast, PartId, ServiceMessage, Share};

use super::record::{BroadcastRow, digest};
use super::{Ledger, LedgerError};
use crate::model::Member;
use crate::model::arn::last_part;

/// The scope of a recorded broadcast.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    cluster: String,
    parts: Vec<(PartId, String)>,
}

impl Ledger {
    /// What is recorded of this broadcast in this cluster, if there is a record with exactly this event.
    pub(crate) async fn known(
        &self,
        broadcast: &Broadcast,
        cluster: &str,
    ) -> Result<Option<Known>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let Some((mut record, mut rows)) = inner.own(&broadcast.id, None).await? else { return Ok(None) };
        if rows.iter().any(|row| matches!(row, BroadcastRow::Cluster(_))) {
            let Some(own) = inner.own(&broadcast.id, Some(cluster)).await? else { return Ok(None) };
            (record, rows) = own;
        }
        let is_same = match &record.event_digest {
            Some(recorded) => digest(&broadcast.event).as_ref() == Some(recorded),
            None => record.event == broadcast.event,
        };
        let parts = rows.into_iter().filter_map(|row| match row {
            BroadcastRow::Part { id, service } => Some((id, service)),
            BroadcastRow::Skip(_) | BroadcastRow::Cluster(_) => None,
        });
        Ok(is_same.then(|| Known { cluster: record.cluster, parts: parts.collect() }))
    }
}

impl Known {
    /// Whether stage 1 has published exactly this message.
    ///
    /// A part's id does not include the labels that a message leaves to other messages. These must be those of all other
    /// messages of the service: otherwise omitted containers would count as stopped.
    pub(crate) fn has_part(&self, message: &ServiceMessage) -> bool {
        let has = |id: &PartId| self.parts.iter().any(|(known, _)| known == id);
        let Share::Except(others) = &message.share else { return has(&message.part()) };
        let of_service = self.parts.iter().filter(|(_, service)| *service == message.service).count();
        let mut ids: Vec<_> = others
            .iter()
            .map(|labels| {
                let mut other = message.clone();
                (other.port, other.path) = (labels.port.clone(), labels.path.clone());
                other.share = Share::Only;
                other.part()
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        has(&message.part()) && ids.len() + 1 == of_service && ids.iter().all(has)
    }

    /// Whether the container's task belongs to a service of the broadcast.
    pub(crate) fn has_member(&self, member: &Member) -> bool {
        !member.service.is_empty()
            && last_part(&self.cluster) == last_part(&member.cluster)
            && self.parts.iter().any(|(_, service)| *service == member.service)
    }
}

#[cfg(test)]
mod tests {
    use wire::{Labels, Message as _};

    use super::*;

    fn message(share: &str) -> ServiceMessage {
        let body = format!(
            r#"{{"cluster":"prod","service":"web","notify_me_container_port":"80","notify_me_api_uri":"/n","share":{share}}}"#
        );
        ServiceMessage::from_body(&body).unwrap()
    }

    /// The message for another pair of labels.
    fn other() -> ServiceMessage {
        let mut other = message("\"only\"");
        (other.port, other.path) = ("81".into(), "/m".into());
        other
    }

    /// The record of stage 1 for a service with two pairs of labels.
    fn known() -> Known {
        let first = message(r#"{"except":[{"port":"81","path":"/m"}]}"#);
        let second = other();
        let parts = [first, second].map(|part| (part.part(), part.service));
        Known { cluster: "prod".to_owned(), parts: parts.into() }
    }

    #[test]
    fn a_part_is_known_with_exactly_the_labels_that_it_leaves_to_others() {
        let labels = |port: &str, path: &str| Labels::new(port, path);
        let except = |others: Vec<Labels>| {
            let mut first = message("\"all\"");
            first.share = Share::Except(others);
            first
        };
        assert!(known().has_part(&except(vec![labels("81", "/m")])));
        for wrong in [
            vec![],
            vec![labels("81", "/m"), labels("80", "/n")],
            vec![labels("82", "/m")],
            vec![labels("81", "/m"), labels("82", "/m")],
        ] {
            assert!(!known().has_part(&except(wrong.clone())), "{wrong:?}");
        }
        assert!(!known().has_part(&message("\"all\"")));
        assert!(!known().has_part(&message("\"only\"")));
        assert!(known().has_part(&other()));
    }

    #[test]
    fn a_task_belongs_to_a_broadcast_by_its_cluster_and_service() {
        let member = |cluster: &str, service: &str| Member {
            cluster: cluster.to_owned(),
            service: service.to_owned(),
            ..Member::default()
        };
        assert!(known().has_member(&member("prod", "web")));
        assert!(known().has_member(&member("arn:aws:ecs:eu-west-1:111122223333:cluster/prod", "web")));
        for (cluster, service) in [("prod", "api"), ("test", "web"), ("prod", "")] {
            assert!(!known().has_member(&member(cluster, service)), "{cluster} {service}");
        }
    }
}
