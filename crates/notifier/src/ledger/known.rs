//! Recorded broadcasts, to check messages from untrusted senders.

use wire::{Broadcast, Pace, PartId, PartMessage, ServiceMessage, Share};

use super::record::{BroadcastRecord, BroadcastRow, digest};
use super::{Ledger, LedgerError};
use crate::model::Member;
use crate::model::arn::{last_part, service_name};

/// The scope of a recorded broadcast.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    cluster: String,
    services: Vec<String>,
    standalone: bool,
    /// The parts with their services; a page of tasks has none.
    parts: Vec<(PartId, String)>,
    /// Its waves: no part is notified as a whole then.
    pace: Option<Pace>,
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
        let BroadcastRecord { cluster, services, standalone, pace, .. } = record;
        Ok(is_same.then(|| Known { cluster, services, standalone, parts: parts.collect(), pace }))
    }
}

impl Known {
    /// Whether stage 1 has published exactly this message.
    pub(crate) fn has_part(&self, message: &PartMessage) -> bool {
        match message {
            PartMessage::Gate(gate) => self.pace.as_ref() == Some(&gate.pace) && self.has_service(&gate.part),
            _ if self.pace.is_some() => false,
            PartMessage::Service(message) => self.has_service(message),
            PartMessage::Page(page) => {
                self.has_scope(&page.services, page.standalone) && self.has(&message.part())
            }
            PartMessage::Cover(cover) => {
                self.has_scope(&cover.services, cover.standalone) && self.has(&message.part())
            }
        }
    }

    fn has(&self, id: &PartId) -> bool {
        self.parts.iter().any(|(known, _)| known == id)
    }

    /// A part's id does not include the labels that a message leaves to other messages. These must be those of all other
    /// messages of the service: otherwise omitted containers would count as stopped.
    fn has_service(&self, message: &ServiceMessage) -> bool {
        let Share::Except(others) = &message.share else { return self.has(&message.part()) };
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
        self.has(&message.part()) && ids.len() + 1 == of_service && ids.iter().all(|id| self.has(id))
    }

    /// The id of a part that is not one service does not include which of its tasks are called.
    fn has_scope(&self, services: &[String], standalone: bool) -> bool {
        services == self.services && standalone == self.standalone
    }

    /// The parts that can expect a task of this service, if the broadcast goes through its fleet in waves.
    pub(crate) fn parts_in_waves(&self, service: &str) -> Option<impl Iterator<Item = &PartId>> {
        self.pace.as_ref()?;
        Some(self.parts.iter().filter(move |(_, of)| of == service).map(|(id, _)| id))
    }

    /// Whether the container's task belongs to a service of the broadcast.
    pub(crate) fn has_member(&self, member: &Member) -> bool {
        let service = &member.service;
        let is_in_scope = || {
            let is_named = self.services.iter().any(|named| service_name(named) == service);
            // The group of a standalone task has a colon, unless somebody chose another.
            is_named || self.services.is_empty() && (self.standalone || !service.contains(':'))
        };
        !service.is_empty()
            && last_part(&self.cluster) == last_part(&member.cluster)
            && self.parts.iter().any(|(_, of)| of == service || of.is_empty() && is_in_scope())
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
        Known {
            cluster: "prod".to_owned(),
            services: Vec::new(),
            standalone: false,
            parts: parts.into(),
            pace: None,
        }
    }

    #[test]
    fn a_part_is_known_with_exactly_the_labels_that_it_leaves_to_others() {
        let labels = |port: &str, path: &str| Labels::new(port, path);
        let except = |others: Vec<Labels>| {
            let mut first = message("\"all\"");
            first.share = Share::Except(others);
            first
        };
        assert!(known().has_service(&except(vec![labels("81", "/m")])));
        for wrong in [
            vec![],
            vec![labels("81", "/m"), labels("80", "/n")],
            vec![labels("82", "/m")],
            vec![labels("81", "/m"), labels("82", "/m")],
        ] {
            assert!(!known().has_service(&except(wrong.clone())), "{wrong:?}");
        }
        assert!(!known().has_service(&message("\"all\"")));
        assert!(!known().has_service(&message("\"only\"")));
        assert!(known().has_service(&other()));
    }

    #[test]
    fn a_page_is_known_with_exactly_the_scope_of_the_broadcast() {
        let body = |more: &str| {
            let event =
                r#"{"specversion":"1.0","id":"b","source":"s","type":"t","time":"2026-01-01T00:00:00Z"}"#;
            let broadcast = format!(r#"{{"id":"b","event":{event}}}"#);
            let body = format!(r#"{{"cluster":"prod","tasks":["arn:1"],"broadcast":{broadcast}{more}}}"#);
            PartMessage::from_body(&body).unwrap()
        };
        let page = body(r#","services":["web"]"#);
        let parts = vec![(page.part(), String::new())];
        let known = Known { services: vec!["web".to_owned()], parts, ..known() };
        assert!(known.has_part(&page));
        for more in ["", r#","services":["web","api"]"#, r#","services":["web"],"standalone":true"#] {
            assert!(!known.has_part(&body(more)), "{more}");
        }
        let of = |service: &str| Member {
            cluster: "prod".to_owned(),
            service: service.to_owned(),
            ..Member::default()
        };
        assert!(known.has_member(&of("web")) && !known.has_member(&of("api")));
        let whole = Known { services: Vec::new(), ..known };
        assert!(whole.has_member(&of("api")) && !whole.has_member(&of("family:migrate")));
        assert!(Known { standalone: true, ..whole }.has_member(&of("family:migrate")));
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
