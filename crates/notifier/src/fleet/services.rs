//! Stage 1: the services of a scope and the labels of their containers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use wire::{
    Broadcast, Labels, ObserverMessage, PAGE_TASKS_MAX, PageMessage, PartMessage, ServiceMessage, Share,
};

use super::DiscoveryError;
use super::method::fits_pages;
use super::place::Place;
use super::revisions::RevisionResult;
use crate::aws::ecs::{Described, Ecs, EcsError, NotDescribed, Origin};
use crate::model::arn::service_name;
use crate::model::{
    Delivery, DiscoveryMethod, Found, Member, NotTargeted, NotTargetedReason, ServiceState, SkipReason,
};

/// The most services that one broadcast can name. For more, notify the whole cluster, or send several broadcasts.
pub const SERVICES_NAMED_MAX: usize = 1_000;

/// The result of stage 1.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// How the tasks are found.
    pub found: Found,
    /// One message for each service and target, and one for standalone tasks if requested; or one for each page of tasks.
    pub messages: Vec<PartMessage>,
    /// Named services that do not exist.
    pub skips: Vec<Delivery>,
    /// Services without an opted-in container.
    pub not_targeted: Vec<NotTargeted>,
}

impl Place {
    /// See [`Discovery::service_names`](super::Discovery::service_names).
    pub(super) async fn service_names(&self, cluster: &str) -> Result<Vec<String>, DiscoveryError> {
        let arns = self.ecs.list_services(cluster).await?;
        Ok(arns.iter().map(|arn| service_name(arn).to_owned()).collect())
    }

    /// See [`Discovery::services`](super::Discovery::services).
    pub(super) async fn services(
        &self,
        scope: &ObserverMessage,
        broadcast: &Broadcast,
    ) -> Result<Services, DiscoveryError> {
        check_count(&scope.services)?;
        let ecs = self.ecs.lane();
        let event_bytes = broadcast.event.data().map_or(0, |data| data.as_json().len());
        if scope.pace.is_none()
            && fits_pages(event_bytes)
            && let Some(live) = self.live(&scope.cluster).await
            && let Some(found) = self.registered_pages(&ecs, &live, scope, broadcast).await?
        {
            return Ok(found);
        }
        if scope.services.is_empty() {
            if self.method(&ecs, scope, None, event_bytes).await == DiscoveryMethod::Sweep {
                return self.pages(&ecs, scope, broadcast).await;
            }
            let names = distinct(ecs.list_services(&scope.cluster).await?);
            let described = described(&ecs, &scope.cluster, &names, Origin::Ecs).await?;
            return self.each_service(&ecs, scope, broadcast, described).await;
        }
        let named = Named::look_up(&ecs, scope).await?;
        let mut found = match self.method(&ecs, scope, Some(named.known()), event_bytes).await {
            DiscoveryMethod::Sweep => self.pages(&ecs, scope, broadcast).await?,
            _ => self.each_service(&ecs, scope, broadcast, named.described.clone()).await?,
        };
        found.skips = named.skips(&scope.cluster);
        Ok(found)
    }

    /// The tasks of the cluster, page by page, whatever their services.
    async fn pages(
        &self,
        ecs: &Ecs,
        scope: &ObserverMessage,
        broadcast: &Broadcast,
    ) -> Result<Services, DiscoveryError> {
        let cluster = scope.cluster.as_str();
        let tasks = distinct(ecs.list_tasks(cluster, None).await?);
        let page = |tasks: &[String]| {
            let mut page = PageMessage::new(cluster, tasks.to_vec(), broadcast.clone());
            page.services.clone_from(&scope.services);
            page.standalone = scope.standalone;
            PartMessage::Page(page)
        };
        let messages = tasks.chunks(PAGE_TASKS_MAX).map(page).collect();
        Ok(Services { found: DiscoveryMethod::Sweep.into(), messages, ..Services::default() })
    }

    /// A message for each of these services and its labels.
    async fn each_service(
        &self,
        ecs: &Ecs,
        scope: &ObserverMessage,
        broadcast: &Broadcast,
        described: Described<ServiceState>,
    ) -> Result<Services, DiscoveryError> {
        let cluster = scope.cluster.as_str();
        let active = &described.found;
        let revisions = distinct(active.iter().flat_map(ServiceState::revisions).map(str::to_owned));
        let results = self.revisions.get(ecs, &revisions).await?;
        let results: BTreeMap<&str, RevisionResult> =
            revisions.iter().map(String::as_str).zip(results).collect();

        let mut found = Services::default();
        for service in active {
            let results = service.revisions().into_iter().filter_map(|arn| results.get(arn));
            let labels = distinct_labels(results);
            if labels.is_empty() {
                let member = Arc::new(Member::of_service(cluster, &service.name, &service.arn));
                found.not_targeted.push(NotTargeted { member, reason: NotTargetedReason::NotOptedIn });
            }
            let messages = messages(cluster, &service.name, labels, broadcast);
            found.messages.extend(messages.map(PartMessage::Service));
        }
        if scope.standalone && scope.services.is_empty() {
            let mut message = ServiceMessage::standalone(cluster);
            message.broadcast = Some(broadcast.clone());
            found.messages.push(PartMessage::Service(message));
        }
        // ECS has just listed them, so a service that is missing now no longer exists.
        for (name, failed) in &described.failed {
            if let NotDescribed::Unexplained(why) = failed {
                let neighbour = active.first().map_or("", |service| &service.arn);
                found.skips.push(skip(cluster, name, neighbour, SkipReason::not_described(why)));
            }
        }
        Ok(found)
    }
}

/// The services that a scope names.
pub(super) struct Named {
    names: Vec<String>,
    described: Described<ServiceState>,
}

impl Named {
    /// Looks them up, ten in each call.
    pub(super) async fn look_up(ecs: &Ecs, scope: &ObserverMessage) -> Result<Self, EcsError> {
        let names = distinct(scope.services.iter().cloned());
        let described = described(ecs, &scope.cluster, &names, Origin::Sender).await?;
        Ok(Self { names, described })
    }

    /// The number of those that exist.
    pub(super) fn known(&self) -> usize {
        self.described.found.len()
    }

    /// The names of those that exist.
    pub(super) fn into_names(self) -> Vec<String> {
        self.described.found.into_iter().map(|service| service.name).collect()
    }

    /// A skip for each name without an active service.
    pub(super) fn skips(&self, cluster: &str) -> Vec<Delivery> {
        let Described { found, failed } = &self.described;
        let known: HashSet<&str> = found.iter().map(|service| service.name.as_str()).collect();
        let neighbour = found.first().map_or("", |service| &service.arn);
        let unknown = self.names.iter().filter(|name| !known.contains(service_name(name)));
        let skip = |name: &String| match failed.get(name) {
            Some(NotDescribed::Unexplained(why)) => {
                skip(cluster, name, neighbour, SkipReason::not_described(why))
            }
            _ => no_such_service(cluster, name, neighbour),
        };
        unknown.map(skip).collect()
    }
}

/// The active ones of these services.
async fn described(
    ecs: &Ecs,
    cluster: &str,
    names: &[String],
    origin: Origin,
) -> Result<Described<ServiceState>, EcsError> {
    let mut described = ecs.describe_services(cluster, names, origin).await?;
    if origin == Origin::Sender && !described.failed.is_empty() {
        describe_listed_again(ecs, cluster, &mut described).await?;
    }
    described.found.retain(|service| !service.is_inactive);
    Ok(described)
}

/// Describes the services again that ECS lists but did not describe: its answers are eventually consistent. Wrong names
/// of a sender are not in the list, so they cost no calls.
async fn describe_listed_again(
    ecs: &Ecs,
    cluster: &str,
    described: &mut Described<ServiceState>,
) -> Result<(), EcsError> {
    let listed = ecs.list_services(cluster).await?;
    let listed: HashSet<&str> = listed.iter().map(|arn| service_name(arn)).collect();
    let names = described.failed.keys().filter(|name| listed.contains(service_name(name)));
    let names: BTreeSet<String> = names.cloned().collect();
    let again =
        ecs.describe_services(cluster, &names.iter().cloned().collect::<Vec<_>>(), Origin::Ecs).await?;
    described.failed.retain(|name, _| !names.contains(name));
    described.failed.extend(again.failed);
    described.found.extend(again.found);
    Ok(())
}

/// Checks the number of services in a scope: each ten need a call from the shared budget.
pub(super) fn check_count(services: &[String]) -> Result<(), DiscoveryError> {
    let named = services.len();
    if named > SERVICES_NAMED_MAX { Err(DiscoveryError::TooManyServices { named }) } else { Ok(()) }
}

/// The skip of a named service that does not exist. `neighbour` is the ARN of a task or service of the same cluster, if
/// known.
pub(super) fn no_such_service(cluster: &str, name: &str, neighbour: &str) -> Delivery {
    skip(cluster, name, neighbour, SkipReason::no_such_service())
}

fn skip(cluster: &str, name: &str, neighbour: &str, reason: SkipReason) -> Delivery {
    Delivery::skipped(Arc::new(Member::of_service(cluster, name, neighbour)), reason)
}

/// Without repeats, in the order of the first mention.
pub(super) fn distinct(all: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    all.into_iter().filter(|one| seen.insert(one.clone())).collect()
}

/// The distinct pairs of labels of all opted-in containers. A revision that cannot be read has the empty pair, so that
/// its tasks are scanned and reported.
fn distinct_labels<'a>(results: impl Iterator<Item = &'a RevisionResult>) -> Vec<Labels> {
    let mut seen = BTreeSet::new();
    let labels = results.flat_map(|result| match result {
        Ok(revision) => {
            let opted_in = revision.containers().iter().filter_map(|container| container.opt_in.as_ref());
            opted_in.map(|opt_in| opt_in.labels.clone()).collect()
        }
        Err(_) => vec![Labels::new("", "")],
    });
    labels.filter(|labels| seen.insert(labels.clone())).collect()
}

/// One message for each pair of labels; the first also includes everything that no other message includes.
fn messages(
    cluster: &str,
    service: &str,
    labels: Vec<Labels>,
    broadcast: &Broadcast,
) -> impl Iterator<Item = ServiceMessage> {
    let others: Vec<Labels> = labels.iter().skip(1).cloned().collect();
    let first = if others.is_empty() { Share::All } else { Share::Except(others) };
    let shares = std::iter::once(first).chain(std::iter::repeat(Share::Only));
    labels.into_iter().zip(shares).map(move |(labels, share)| {
        let mut message = ServiceMessage::new(cluster, service, labels);
        message.broadcast = Some(broadcast.clone());
        message.share = share;
        message
    })
}

#[cfg(test)]
mod tests {
    use wire::{BroadcastId, Draft};

    use super::*;

    #[test]
    fn the_first_message_of_a_service_takes_what_no_other_one_takes() {
        let id = BroadcastId::try_from("b".to_owned()).unwrap();
        let event = Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap();
        let broadcast = Broadcast::new(event);
        let labels = |port: &str| Labels::new(port, "/");
        let shares = |ports: &[&str]| -> Vec<Share> {
            let labels = ports.iter().map(|port| labels(port)).collect();
            messages("prod", "web", labels, &broadcast).map(|message| message.share).collect()
        };
        assert_eq!(shares(&[]), []);
        assert_eq!(shares(&["1"]), [Share::All]);
        let except = Share::Except(vec![labels("2"), labels("3")]);
        assert_eq!(shares(&["1", "2", "3"]), [except, Share::Only, Share::Only]);
    }
}
