//! Looks up the current address of an endpoint before it is called again.
//!
//! ECS reuses addresses within minutes, so an earlier address may now belong to another task.

use std::sync::Arc;

use wire::Share;

use super::DiscoveryError;
use super::classify::{Classifier, Selection};
use super::place::Place;
use crate::aws::ecs::{EcsError, NotDescribed};
use crate::base::batcher::BatchError;
use crate::model::arn::TaskArn;
use crate::model::{Endpoint, Fleet, Member, RUNNING, TaskState};

/// The current state of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recheck {
    /// It runs at this address, which may be a new one; or it is starting.
    At(Endpoint),
    /// Its task has stopped or is stopping.
    Stopped(String),
    /// Its task runs, but the container cannot be called at the moment.
    Nowhere(String),
}

/// Why an endpoint could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum RecheckError {
    /// Neither the message nor the task's ARN has the cluster.
    #[error("the task's cluster is not known, so it cannot be looked up again")]
    NoCluster,
    /// ECS did not describe the task.
    #[error("the task cannot be looked up")]
    Tasks(#[source] BatchError<EcsError>),
    /// The task definition or the host cannot be looked up.
    #[error("the task cannot be looked up")]
    Discover(#[from] DiscoveryError),
}

impl Place {
    /// See [`Discovery::recheck`](super::Discovery::recheck).
    pub(super) async fn recheck(
        &self,
        member: &Member,
        called: Option<&Endpoint>,
    ) -> Result<Recheck, RecheckError> {
        let cluster = cluster(&member.cluster, &member.task).ok_or(RecheckError::NoCluster)?;
        let task = match self.task(cluster, &member.task).await? {
            Ok(task) => task,
            Err(NotDescribed::Missing) => {
                return Ok(Recheck::Stopped("the task no longer exists in ECS".to_owned()));
            }
            Err(NotDescribed::Unexplained(why)) => {
                return Ok(Recheck::Nowhere(format!("ECS does not describe the task: {why}")));
            }
        };
        if !task.is_running() {
            let last = task.last_status.as_deref().filter(|status| *status != RUNNING);
            return Ok(Recheck::Stopped(format!("the task is {}", last.unwrap_or("STOPPING"))));
        }
        let selection = Selection { cluster, share: &Share::All, labels: None };
        let mut classifier = Classifier::new(selection, &self.policy);
        self.classify(&self.ecs, &mut classifier, std::slice::from_ref(&task)).await?;
        self.resolve_hosts(&self.ecs, &mut classifier).await?;
        Ok(same_container(&member.container, called, classifier.fleet))
    }

    async fn task(&self, cluster: &str, arn: &str) -> Result<Result<TaskState, NotDescribed>, RecheckError> {
        let answer = self.lookup.ask((cluster.to_owned(), arn.to_owned())).await;
        match answer.and_then(|answer| answer.map_err(BatchError::Failed)) {
            Err(BatchError::Failed(error)) if matches!(*error, EcsError::ClusterNotFound(_)) => {
                Ok(Err(NotDescribed::Missing))
            }
            answer => answer.map_err(RecheckError::Tasks),
        }
    }
}

/// The cluster of a task: by its name, else from its ARN in the long format, `…:task/CLUSTER/ID`.
fn cluster<'a>(named: &'a str, task: &'a str) -> Option<&'a str> {
    if named.is_empty() { TaskArn::parse(task)?.cluster } else { Some(named) }
}

/// The endpoint among the current containers of its task.
///
/// A message of the proof of concept has no container name. Then it is the container at the same address, else the only
/// one with the same path.
fn same_container(named: &str, called: Option<&Endpoint>, fleet: Fleet) -> Recheck {
    let Fleet { endpoints: mut found, skips, .. } = fleet;
    if let (true, Some(called)) = (named.is_empty(), called) {
        found.retain(|one| one.target.path == called.target.path);
        if let Some(same) = found.iter().position(|one| one.address == called.address) {
            found = vec![found.swap_remove(same)];
        }
    } else {
        found.retain(|one| one.member.container == named);
    }
    if let Ok([one]) = <[Endpoint; 1]>::try_from(found) {
        // Task and container stay, because the delivery's id is derived from them. All else comes from ECS.
        let member = Member { container: named.to_owned(), ..Member::clone(&one.member) };
        return Recheck::At(Endpoint { member: Arc::new(member), ..one });
    }
    let skip = skips.into_iter().find(|skip| skip.member.container == named);
    let unknown = || "the task has no such container, or it cannot be called".to_owned();
    Recheck::Nowhere(skip.and_then(|skip| skip.reason).unwrap_or_else(unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_is_as_named_or_as_the_arn_says() {
        let long = "arn:aws:ecs:eu-west-1:111122223333:task/prod/0123";
        assert_eq!(cluster("test", long), Some("test"));
        assert_eq!(cluster("", long), Some("prod"));
        assert_eq!(cluster("", "arn:aws:ecs:eu-west-1:111122223333:task/0123"), None);
        assert_eq!(cluster("", "arn:t"), None);
    }
}
