//! Classifies each container of a task: as an endpoint, a skip, or not targeted.
//!
//! Pure: the input is the task and its revision, as described by ECS.

use std::net::SocketAddr;
use std::sync::Arc;

use wire::{Labels, Share};

use super::DiscoveryPolicy;
use super::HealthPolicy;
use super::address::{Location, address_of};
use super::revisions::RevisionResult;
use crate::base::text::{chain, printable};
use crate::model::labels::{OptIn, Target};
use crate::model::network::{Networks, Refused};
use crate::model::{
    Cause, ContainerSpec, ContainerState, Delivery, Endpoint, Fleet, HEALTHY, Member, NetworkMode,
    NotTargeted, NotTargetedReason, RUNNING, SkipReason, TaskState, UNKNOWN, Zone,
};

/// The longest group of a task. Source: ECS API reference.
const GROUP_CHARS_MAX: usize = 255;
/// The most characters of a status in a reason; documented statuses have up to 14.
const STATUS_CHARS_MAX: usize = 40;

/// Which opted-in containers may be called.
#[derive(Clone, Debug)]
pub(super) struct CallPolicy {
    pub(super) health: HealthPolicy,
    pub(super) networks: Networks,
    /// Whether hosts outside AWS (ECS Anywhere) are looked up.
    pub(super) anywhere: bool,
    pub(super) method: DiscoveryPolicy,
}

/// The part of a cluster for one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection<'a> {
    pub(super) cluster: &'a str,
    pub(super) share: &'a Share,
    /// The labels of the message, for [`Share::Only`].
    pub(super) labels: Option<&'a Labels>,
}

impl Selection<'_> {
    /// Whether containers with these labels are part of it.
    fn includes(&self, labels: &Labels) -> bool {
        match self.share {
            Share::All => true,
            Share::Except(others) => !others.contains(labels),
            Share::Only => self.labels == Some(labels),
        }
    }

    /// Whether this message reports tasks and containers without labels: only the first of several for one service.
    pub(super) fn includes_unlabelled(&self) -> bool {
        *self.share != Share::Only
    }
}

/// An endpoint whose host has not been looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnresolvedEndpoint {
    pub(super) member: Arc<Member>,
    pub(super) target: Arc<Target>,
    /// ARN of the container instance.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_starting: bool,
    pub(super) zone: Option<Zone>,
}

/// Classifies the containers of one selection.
#[derive(Clone, Debug)]
pub(super) struct Classifier<'a> {
    pub(super) selection: Selection<'a>,
    policy: &'a CallPolicy,
    /// The result so far.
    pub(super) fleet: Fleet,
    pub(super) unresolved: Vec<UnresolvedEndpoint>,
}

impl<'a> Classifier<'a> {
    pub(super) fn new(selection: Selection<'a>, policy: &'a CallPolicy) -> Self {
        Self { selection, policy, fleet: Fleet::default(), unresolved: Vec::new() }
    }

    /// Adds a task that does not run.
    pub(super) fn not_running(&mut self, task: &TaskState) {
        if self.selection.includes_unlabelled() {
            let reason = NotTargetedReason::TaskNotRunning {
                last: printable_status(task.last_status.as_deref()),
                desired: printable_status(task.desired_status.as_deref()),
            };
            self.fleet.not_targeted.push(NotTargeted { member: Arc::new(self.member(task)), reason });
        }
    }

    /// Adds a task that ECS listed but that no longer exists.
    pub(super) fn vanished(&mut self, arn: &str, service: &str) {
        if self.selection.includes_unlabelled() {
            let member = self.listed(arn, service);
            self.fleet.not_targeted.push(NotTargeted { member, reason: NotTargetedReason::TaskVanished });
        }
    }

    /// Adds a task that ECS listed but did not describe, without reporting it as missing: it may be running.
    pub(super) fn not_described(&mut self, arn: &str, service: &str, why: &str) {
        if self.selection.includes_unlabelled() {
            let reason = SkipReason::not_described(why);
            self.fleet.skips.push(Delivery::skipped(self.listed(arn, service), reason));
        }
    }

    /// Adds every container of a running task.
    pub(super) fn running(&mut self, task: &TaskState, revision: &RevisionResult) {
        let revision = match revision {
            Ok(revision) => revision,
            Err(error) => {
                if self.selection.includes_unlabelled() {
                    let text = format!("its task definition cannot be read: {}", chain(error));
                    let reason = SkipReason::new(Cause::TaskDefinition, text);
                    self.skip(task, Arc::new(self.member(task)), reason);
                }
                return;
            }
        };
        for spec in revision.containers() {
            let member = || Arc::new(Member { container: spec.name.clone(), ..self.member(task) });
            match &spec.opt_in {
                None if self.selection.includes_unlabelled() => {
                    let reason = NotTargetedReason::NotOptedIn;
                    self.fleet.not_targeted.push(NotTargeted { member: member(), reason });
                }
                Some(opt_in) if self.selection.includes(&opt_in.labels) => {
                    let member = member();
                    if let Err(reason) =
                        self.callable(task, revision.network, spec, opt_in, Arc::clone(&member))
                    {
                        self.skip(task, member, reason);
                    }
                }
                _ => {}
            }
        }
    }

    fn skip(&mut self, task: &TaskState, member: Arc<Member>, reason: SkipReason) {
        self.fleet.skips.push(Delivery { zone: task.zone.clone(), ..Delivery::skipped(member, reason) });
    }

    /// Adds an opted-in container where it can be called, or returns why it cannot.
    fn callable(
        &mut self,
        task: &TaskState,
        network: NetworkMode,
        spec: &ContainerSpec,
        opt_in: &OptIn,
        member: Arc<Member>,
    ) -> Result<(), SkipReason> {
        let target = Arc::clone(opt_in.target.as_ref().map_err(Clone::clone)?);
        let not_running =
            |status| SkipReason::new(Cause::ContainerNotRunning, format!("the container is {status}"));
        let container =
            task.container(&spec.name).ok_or_else(|| not_running("not part of the task".to_owned()))?;
        if container.last_status.as_deref() != Some(RUNNING) {
            return Err(not_running(printable_status(container.last_status.as_deref())));
        }
        let is_starting = check_health(container, spec, self.policy.health)?;
        let zone = task.zone.clone();
        match address_of(task, container, network, target.port.get())? {
            Location::OnHost(host, port) => {
                self.unresolved.push(UnresolvedEndpoint { member, target, host, port, is_starting, zone });
            }
            Location::At(ip, port) => {
                let address = SocketAddr::new(ip, port);
                let (is_late, wave) = (false, None);
                self.resolved(Endpoint { member, address, target, is_starting, is_late, wave, zone });
            }
        }
        Ok(())
    }

    /// Adds an endpoint, or a skip if its address must not be called.
    pub(super) fn resolved(&mut self, endpoint: Endpoint) {
        let checked = self.policy.networks.check(endpoint.address.ip());
        self.checked(endpoint, checked);
    }

    /// The same for an endpoint outside AWS.
    pub(super) fn resolved_outside(&mut self, endpoint: Endpoint) {
        let checked = self.policy.networks.check_outside(endpoint.address.ip());
        self.checked(endpoint, checked);
    }

    fn checked(&mut self, endpoint: Endpoint, checked: Result<(), Refused>) {
        match checked {
            Ok(()) => self.fleet.endpoints.push(endpoint),
            Err(refused) => {
                let text = format!("{} must not be called: {refused}", endpoint.address.ip());
                let reason = SkipReason::new(Cause::AddressRefused, text);
                let Endpoint { member, zone, .. } = endpoint;
                self.fleet.skips.push(Delivery { zone, ..Delivery::skipped(member, reason) });
            }
        }
    }

    /// The task in reports, without a container.
    fn member(&self, task: &TaskState) -> Member {
        // The caller of `RunTask` chooses the group.
        let service = task.service().or(task.group.as_deref()).unwrap_or_default();
        Member {
            service: printable(service, GROUP_CHARS_MAX),
            task_definition: task.revision.clone().unwrap_or_default(),
            ..Member::of_task(self.selection.cluster, &task.arn)
        }
    }

    /// A task with only an ARN.
    fn listed(&self, arn: &str, service: &str) -> Arc<Member> {
        let member = Member::of_task(self.selection.cluster, arn);
        Arc::new(Member { service: service.to_owned(), ..member })
    }
}

/// Whether the health of this container counts.
pub(super) fn health_is_required(spec: &ContainerSpec, policy: HealthPolicy) -> bool {
    match policy {
        HealthPolicy::Detect => spec.has_health_check,
        HealthPolicy::Require => true,
        HealthPolicy::Ignore => false,
    }
}

/// Whether the container's health check has no result yet, or why the container is not ready.
///
/// The health of the labelled container counts, not of the task: a task can be healthy while a container is not.
fn check_health(
    container: &ContainerState,
    spec: &ContainerSpec,
    policy: HealthPolicy,
) -> Result<bool, SkipReason> {
    match container.health.as_deref() {
        _ if !health_is_required(spec, policy) => Ok(false),
        Some(HEALTHY) => Ok(false),
        _ if !spec.has_health_check => {
            Err(SkipReason::health("required, but the container has no health check"))
        }
        None | Some(UNKNOWN) => Ok(true),
        Some(other) => Err(SkipReason::health(&printable(other, STATUS_CHARS_MAX))),
    }
}

/// A status as a reason shows it.
fn printable_status(status: Option<&str>) -> String {
    printable(status.unwrap_or("of unknown status"), STATUS_CHARS_MAX)
}

#[cfg(test)]
mod tests;
