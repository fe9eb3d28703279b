//! The fleet of a scope: endpoints, skips, and containers and tasks that are not targeted. Pure.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::arn::{Arn, service_name};
use super::labels::{LabelError, Target};
use super::{Cause, Delivery, Zone};

/// One container of one task. Unknown values are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(remote = "Self", default, expecting = "struct Member")]
pub struct Member {
    /// Id of the account: twelve digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// Region, for example `eu-west-1`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Name or ARN of the cluster, as the broadcast named it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Name of the service, or the task's group when no service started it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// ARN of the task.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// Name of the container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// ARN of the task-definition revision that the task runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task_definition: String,
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// An earlier version did not record accounts and regions.
impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let member = Self::deserialize(deserializer)?;
        if !(member.account.is_empty() && member.region.is_empty()) {
            return Ok(member);
        }
        let Self { account, region, .. } = Self::placed_by([&member.task, &member.cluster]);
        Ok(Self { account, region, ..member })
    }
}

/// Only task and container: they identify a member, and hashing the other fields costs time in every delivery.
impl Hash for Member {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.task, &self.container).hash(state);
    }
}

impl Member {
    /// A task of a cluster, by its ARN. Account and region are those of this ARN, else those of the cluster's ARN.
    pub fn of_task(cluster: &str, task: &str) -> Self {
        let place = Self::placed_by([task, cluster]);
        Self { cluster: cluster.to_owned(), task: task.to_owned(), ..place }
    }

    /// A service of a cluster, each by its name or ARN. Account and region are those of the cluster's ARN, else of the
    /// service's ARN, else of the ARN of a `neighbour` in the same cluster.
    pub fn of_service(cluster: &str, service: &str, neighbour: &str) -> Self {
        let place = Self::placed_by([cluster, service, neighbour]);
        Self { cluster: cluster.to_owned(), service: service_name(service).to_owned(), ..place }
    }

    /// Only account and region: those of the first of these texts that is an ARN.
    fn placed_by<const N: usize>(texts: [&str; N]) -> Self {
        let arn = texts.into_iter().find_map(Arn::parse);
        let known = |part: Option<&str>| part.unwrap_or_default().to_owned();
        Self {
            account: known(arn.and_then(|arn| arn.account())),
            region: known(arn.and_then(|arn| arn.region())),
            ..Self::default()
        }
    }
}

/// Where one target of one running task listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The container that listens there.
    pub member: Arc<Member>,
    /// Host address and host port, from ECS and EC2.
    pub address: SocketAddr,
    /// What the container's labels ask for.
    pub target: Arc<Target>,
    /// Its health check has no result yet: the task is looked up again before it is called.
    pub is_starting: bool,
    /// Its task started after the broadcast had found its fleet.
    pub is_late: bool,
    /// The wave in which it is called, from 1; `None` if all are called at once.
    pub wave: Option<u16>,
    /// The availability zone of its task, if it is known.
    pub zone: Option<Zone>,
}

/// A container that did not opt in, or a task that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTargeted {
    /// The container or task.
    pub member: Arc<Member>,
    /// Why it is not called.
    pub reason: NotTargetedReason,
}

/// Every container and task of a scope, as discovery found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Opted in, running, and callable.
    pub endpoints: Vec<Endpoint>,
    /// Opted in, running, but not callable: each has the outcome `skipped`.
    pub skips: Vec<Delivery>,
    /// Everything else.
    pub not_targeted: Vec<NotTargeted>,
}

impl Fleet {
    /// Adds what was found elsewhere.
    pub fn extend(&mut self, other: Self) {
        self.endpoints.extend(other.endpoints);
        self.skips.extend(other.skips);
        self.not_targeted.extend(other.not_targeted);
    }

    /// The same of tasks that started after the broadcast had found its fleet.
    #[must_use]
    pub fn late(mut self) -> Self {
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.is_late = true);
        self.skips.iter_mut().for_each(|skip| skip.late = true);
        self
    }

    /// Gives each endpoint the wave of its task.
    pub(crate) fn in_waves(&mut self, waves: &HashMap<String, u16>) {
        for endpoint in &mut self.endpoints {
            endpoint.wave = waves.get(&endpoint.member.task).copied();
        }
    }

    /// Puts everything into the order of account, region, cluster, service, task, container.
    pub fn sort(&mut self) {
        self.endpoints.sort_unstable();
        self.skips.sort_by(|a, b| a.member.cmp(&b.member));
        self.not_targeted.sort_by(|a, b| a.member.cmp(&b.member));
    }
}

/// Why an opted-in container of a running task is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SkipReason {
    pub(crate) cause: Cause,
    pub(crate) text: String,
}

impl SkipReason {
    pub(crate) fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self { cause, text: text.into() }
    }

    /// The scope names a service that the cluster does not have.
    pub(crate) fn no_such_service() -> Self {
        Self::new(Cause::NoSuchService, "the cluster has no service of this name")
    }

    /// ECS listed it, and then neither described it nor reported it missing.
    pub(crate) fn not_described(why: &str) -> Self {
        Self::new(Cause::NotDescribed, format!("ECS listed it but does not describe it: {why}"))
    }

    /// The container's health check does not pass, or there is none and health is required.
    pub(crate) fn health(status: &str) -> Self {
        Self::new(Cause::Health, format!("its health is {status}"))
    }
}

impl From<LabelError> for SkipReason {
    fn from(error: LabelError) -> Self {
        Self::new(Cause::Label, error.to_string())
    }
}

/// Why a container or task is not targeted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTargetedReason {
    /// It has none of the project's labels.
    NotOptedIn,
    /// Its task has stopped, is about to stop, or does not run yet.
    TaskNotRunning {
        /// `lastStatus` of the task.
        last: String,
        /// `desiredStatus` of the task.
        desired: String,
    },
    /// ECS listed the task, and then reported it missing.
    TaskVanished,
}

impl fmt::Display for NotTargetedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOptedIn => f.write_str("did not opt in"),
            Self::TaskNotRunning { last, desired } if last == "RUNNING" => {
                write!(f, "the task is running, but its desired status is {desired}")
            }
            Self::TaskNotRunning { last, .. } => write!(f, "the task is {last}"),
            Self::TaskVanished => f.write_str("the task stopped after it was listed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/prod/01";
    const CLUSTER: &str = "arn:aws:ecs:us-east-1:444455556666:cluster/prod";
    const SERVICE: &str = "arn:aws:ecs:us-west-2:777788889999:service/prod/web";

    #[test]
    fn account_and_region_are_those_of_the_most_exact_arn() {
        let check = |member: Member, place: (&str, &str), service: &str| {
            assert_eq!((member.account.as_str(), member.region.as_str()), place, "{member:?}");
            assert_eq!(member.service, service);
        };
        check(Member::of_task("prod", TASK), ("111122223333", "eu-west-1"), "");
        check(Member::of_task(CLUSTER, TASK), ("111122223333", "eu-west-1"), "");
        check(Member::of_task(CLUSTER, "t"), ("444455556666", "us-east-1"), "");
        check(Member::of_task("prod", "t"), ("", ""), "");
        check(Member::of_service(CLUSTER, SERVICE, TASK), ("444455556666", "us-east-1"), "web");
        check(Member::of_service("prod", SERVICE, TASK), ("777788889999", "us-west-2"), "web");
        check(Member::of_service("prod", "web", TASK), ("111122223333", "eu-west-1"), "web");
        check(Member::of_service("prod", "web", ""), ("", ""), "web");
    }

    #[test]
    fn members_are_in_the_order_of_account_region_cluster_service_task_and_container() {
        let member = |[account, region, cluster, service, task, container]: [&str; 6]| Member {
            account: account.into(),
            region: region.into(),
            cluster: cluster.into(),
            service: service.into(),
            task: task.into(),
            container: container.into(),
            task_definition: String::new(),
        };
        let sorted = [
            ["", "z", "z", "z", "z", "z"],
            ["a", "b", "z", "z", "z", "z"],
            ["a", "c", "a", "z", "z", "z"],
            ["a", "c", "b", "a", "z", "z"],
            ["a", "c", "b", "b", "a", "z"],
            ["a", "c", "b", "b", "b", "a"],
            ["a", "c", "b", "b", "b", "b"],
        ]
        .map(member);
        assert!(sorted.is_sorted());
    }

    #[test]
    fn a_member_that_an_earlier_version_recorded_is_the_same_member() {
        let now = Member { container: "app".into(), ..Member::of_task("prod", TASK) };
        let recorded = format!(r#"{{"cluster":"prod","task":"{TASK}","container":"app"}}"#);
        assert_eq!(serde_json::from_str::<Member>(&recorded).unwrap(), now);
        let recorded = serde_json::to_string(&now).unwrap();
        assert_eq!(serde_json::from_str::<Member>(&recorded).unwrap(), now);
        let known = r#"{"account":"444455556666","service":"web"}"#;
        assert_eq!(serde_json::from_str::<Member>(known).unwrap().account, "444455556666");
    }
}
