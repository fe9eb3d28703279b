//! Stage 1: the services of a scope, and what their containers ask for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use aws_sdk_ecs::types::{Service, TaskSet};
use wire::{Broadcast, Labels, ObserverMessage, ServiceMessage, Share};

use super::revisions::RevisionResult;
use super::{Discovery, DiscoveryError};
use crate::aws::ecs::{Described, Ecs, EcsError, NotDescribed, Origin};
use crate::model::arn::service_name;
use crate::model::{Member, NotTargeted, NotTargetedReason, Skip, SkipReason};

/// The most services that one broadcast names. More take the whole cluster, or several broadcasts.
pub const SERVICES_NAMED_MAX: usize = 1_000;

/// What stage 1 found.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// One message for each service and target, and one for the standalone tasks if they were asked for.
    pub messages: Vec<ServiceMessage>,
    /// Services that the scope names and the cluster does not have.
    pub skips: Vec<Skip>,
    /// Services of which no container opted in.
    pub not_targeted: Vec<NotTargeted>,
}

impl Discovery {
    /// The names of a cluster's services.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] when ECS cannot be asked, or has no such cluster.
    pub async fn service_names(&self, cluster: &str) -> Result<Vec<String>, DiscoveryError> {
        let arns = self.ecs.list_services(cluster).await?;
        Ok(arns.iter().map(|arn| service_name(arn).to_owned()).collect())
    }

    /// Finds the services of a scope whose containers opted in.
    ///
    /// All revisions that a service may be running count, not only the newest: those of every deployment and task set.
    /// A container that opted in wrongly counts too; stage 2 reports it for each of its tasks.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`] when ECS cannot be asked, or has no such cluster.
    pub async fn services(
        &self,
        scope: &ObserverMessage,
        broadcast: &Broadcast,
    ) -> Result<Services, DiscoveryError> {
        let ecs = self.ecs.lane();
        let cluster = scope.cluster.as_str();
        let (asked, origin) = if scope.services.is_empty() {
            (distinct(ecs.list_services(cluster).await?), Origin::Ecs)
        } else {
            check_count(&scope.services)?;
            (distinct(scope.services.iter().cloned()), Origin::Sender)
        };
        let mut described = ecs.describe_services(cluster, &asked, origin).await?;
        if origin == Origin::Sender && !described.failed.is_empty() {
            listed_after_all(&ecs, cluster, &mut described).await?;
        }
        let Described { found, failed } = described;
        let active: Vec<Service> = found.into_iter().filter(|s| s.status() != Some("INACTIVE")).collect();

        let revisions: Vec<Vec<String>> = active.iter().map(revisions).collect();
        let all = distinct(revisions.iter().flatten().cloned());
        let definitions = self.definitions.get(&ecs, &all).await?;
        let definitions: BTreeMap<&str, RevisionResult> =
            all.iter().map(String::as_str).zip(definitions).collect();

        let mut found = Services::default();
        for (service, revisions) in active.iter().zip(&revisions) {
            let name = service.service_name().unwrap_or_default();
            let claims = claims(revisions.iter().filter_map(|arn| definitions.get(arn.as_str())));
            if claims.is_empty() {
                let arn = service.service_arn().unwrap_or_default();
                let member = Member { service: name.into(), ..Member::of_service(cluster, arn) };
                let reason = NotTargetedReason::NotOptedIn;
                found.not_targeted.push(NotTargeted { member: Arc::new(member), reason });
            }
            found.messages.extend(messages(cluster, name, claims, broadcast));
        }
        if scope.standalone && scope.services.is_empty() {
            found.messages.push(standalone(cluster, broadcast));
        }
        // A name without an active service is reported: one that the sender wrote always, one that ECS listed unless
        // the service is gone by now.
        let names: HashSet<&str> = active.iter().filter_map(Service::service_name).collect();
        for name in asked.iter().filter(|name| !names.contains(service_name(name))) {
            match failed.get(name) {
                Some(NotDescribed::Unexplained(why)) => found.skips.push(not_described(cluster, name, why)),
                _ if origin == Origin::Sender => found.skips.push(no_such_service(cluster, name)),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Asks again for the services that ECS lists although it did not describe them: its answers agree only after a while.
/// What a sender made up is in no list, however much of it there is.
async fn listed_after_all(
    ecs: &Ecs,
    cluster: &str,
    described: &mut Described<Service>,
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

/// Whether a scope may name so many services: each ten cost a call of the budget that all broadcasts share.
pub(super) fn check_count(services: &[String]) -> Result<(), DiscoveryError> {
    let named = services.len();
    if named > SERVICES_NAMED_MAX { Err(DiscoveryError::TooManyServices { named }) } else { Ok(()) }
}

/// The skip of a service that ECS listed and then did not describe.
fn not_described(cluster: &str, name: &str, why: &str) -> Skip {
    let member = Arc::new(Member::of_service(cluster, name));
    Skip { member, reason: SkipReason::NotDescribed(why.to_owned()) }
}

/// The skip of a service that the scope names and the cluster does not have.
pub(super) fn no_such_service(cluster: &str, name: &str) -> Skip {
    let member = Arc::new(Member::of_service(cluster, name));
    Skip { member, reason: SkipReason::NoSuchService }
}

/// Without repeats, in the order of the first mention.
fn distinct(all: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    all.into_iter().filter(|one| seen.insert(one.clone())).collect()
}

/// Every revision that tasks of the service may run, the newest first.
fn revisions(service: &Service) -> Vec<String> {
    let deployed = service.deployments().iter().filter(|d| {
        // A deployment that was replaced may still have tasks that are not stopped yet.
        d.status() != Some("INACTIVE") || d.running_count() > 0 || d.pending_count() > 0
    });
    let own = service.task_definition().into_iter();
    let deployed = deployed.filter_map(|d| d.task_definition());
    let sets = service.task_sets().iter().filter_map(TaskSet::task_definition);
    // With an external deployment controller, a service has no task definition of its own.
    distinct(own.chain(deployed).chain(sets).filter(|arn| !arn.is_empty()).map(str::to_owned))
}

/// The distinct pairs of labels of all containers. A revision that cannot be read claims the empty pair, so that its
/// tasks are looked at, and reported.
fn claims<'a>(definitions: impl Iterator<Item = &'a RevisionResult>) -> Vec<Labels> {
    let mut seen = BTreeSet::new();
    let claims = definitions.flat_map(|definition| match definition {
        Ok(definition) => definition.containers.iter().filter_map(|c| c.claim.clone()).collect(),
        Err(_) => vec![Labels::new("", "")],
    });
    claims.filter(|labels| seen.insert(labels.clone())).collect()
}

/// One message for each pair of labels; the first takes what no other one takes.
fn messages(
    cluster: &str,
    service: &str,
    claims: Vec<Labels>,
    broadcast: &Broadcast,
) -> impl Iterator<Item = ServiceMessage> {
    let others: Vec<Labels> = claims.iter().skip(1).cloned().collect();
    let first = if others.is_empty() { Share::All } else { Share::Except(others) };
    let shares = std::iter::once(first).chain(std::iter::repeat(Share::Only));
    claims.into_iter().zip(shares).map(move |(labels, share)| {
        let mut message = ServiceMessage::new(cluster, service, labels);
        message.broadcast = Some(broadcast.clone());
        message.share = share;
        message
    })
}

fn standalone(cluster: &str, broadcast: &Broadcast) -> ServiceMessage {
    let mut message = ServiceMessage::standalone(cluster);
    message.broadcast = Some(broadcast.clone());
    message
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::Deployment;
    use wire::{BroadcastId, Draft};

    use super::*;

    fn deployment(status: &str, definition: &str, running: i32) -> Deployment {
        Deployment::builder().status(status).task_definition(definition).running_count(running).build()
    }

    #[test]
    fn every_revision_that_may_be_running_counts_once() {
        let service = Service::builder()
            .task_definition("web:3")
            .deployments(deployment("PRIMARY", "web:3", 1))
            .deployments(deployment("ACTIVE", "web:2", 0))
            .deployments(deployment("INACTIVE", "web:1", 1))
            .deployments(deployment("INACTIVE", "web:0", 0))
            .task_sets(TaskSet::builder().task_definition("blue:1").build())
            .build();
        assert_eq!(revisions(&service), ["web:3", "web:2", "web:1", "blue:1"]);
        let external = Service::builder()
            .task_definition("")
            .task_sets(TaskSet::builder().task_definition("green:2").build())
            .build();
        assert_eq!(revisions(&external), ["green:2"]);
    }

    #[test]
    fn the_first_message_of_a_service_takes_what_no_other_one_takes() {
        let id = BroadcastId::try_from("b".to_owned()).unwrap();
        let event = Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap();
        let broadcast = Broadcast::new(event);
        let labels = |port: &str| Labels::new(port, "/");
        let shares = |ports: &[&str]| -> Vec<Share> {
            let claims = ports.iter().map(|port| labels(port)).collect();
            messages("prod", "web", claims, &broadcast).map(|message| message.share).collect()
        };
        assert_eq!(shares(&[]), []);
        assert_eq!(shares(&["1"]), [Share::All]);
        let except = Share::Except(vec![labels("2"), labels("3")]);
        assert_eq!(shares(&["1", "2", "3"]), [except, Share::Only, Share::Only]);
    }
}
