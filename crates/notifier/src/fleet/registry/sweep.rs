//! Compares the registry with ECS: a sweep of a cluster finds what no event has reported.
//!
//! A task is never forgotten because a list does not have it: lists are eventually consistent, and an event may have arrived
//! meanwhile. It is described, and only an answer that it has stopped, or that ECS no longer knows it, counts.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use super::row::VERSION_GONE;
use super::state::ClusterSweep;
use super::{LOOKS_MAX, Registry, RegistryError, RegistryRequest, Row, SETTLING, Seen, key};
use crate::aws::ecs::{Described, Ecs, EcsError, NotDescribed};
use crate::base::text::printable;
use crate::fleet::{Discovery, DiscoveryError};
use crate::model::arn::ClusterArn;
use crate::model::{STOPPED, TaskState};

/// Tasks in memory at a time: the answer for one task has about 3 KB.
const TASKS_HELD_MAX: usize = 1_000;
/// A row that says the same is written again after this long, so that it does not expire, in milliseconds.
const REFRESH_AFTER: u64 = 24 * 3_600_000;
/// The most characters of a cluster or a task in an error.
const SHOWN_CHARS_MAX: usize = 200;

/// Why a cluster was not swept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// ECS did not answer, or the cluster does not exist.
    #[error("the cluster cannot be swept")]
    Discovery(#[from] DiscoveryError),
    /// The table did not answer.
    #[error("the registry cannot be used")]
    Registry(#[from] RegistryError),
    /// The settings do not name the cluster.
    #[error("cluster {0} is not registered: NOTIFIER_REGISTRY_CLUSTERS does not name it")]
    NotRegistered(String),
    /// The sweep would not be complete.
    #[error("ECS lists task {task}, but does not describe it: {why}")]
    NotDescribed {
        /// ARN of the task.
        task: String,
        /// What ECS says instead.
        why: String,
    },
}

impl From<EcsError> for SweepError {
    fn from(error: EcsError) -> Self {
        Self::Discovery(error.into())
    }
}

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Running tasks.
    pub tasks: usize,
    /// Rows that were written.
    pub written: usize,
    /// Tasks that had stopped, or that ECS no longer knew.
    pub stopped: usize,
    /// ARNs of running tasks that no event has reported, in a cluster that was swept before. Their rows are not written: a
    /// [look](Discovery::look) does that, after whoever waits for late tasks knows of them.
    pub late: Vec<String>,
    /// ARNs of running tasks whose rows were written: at least one for each task definition and each host of those.
    pub samples: Vec<String>,
}

impl Swept {
    /// Requests to look at the late tasks, and to learn of the others what their rows do not say.
    pub fn requests(&self, cluster: &str) -> Vec<RegistryRequest> {
        let of = |tasks: &[String]| (cluster.to_owned(), tasks.to_vec());
        let looks = self.late.chunks(LOOKS_MAX).map(of);
        let learns = self.samples.chunks(LOOKS_MAX).map(of);
        let looks = looks.map(|(cluster, tasks)| RegistryRequest::Look { cluster, tasks });
        looks
            .chain(learns.map(|(cluster, tasks)| RegistryRequest::Learn { cluster, tasks, attempt: 0 }))
            .collect()
    }
}

/// A cluster to sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) arn: String,
    /// The name that means it here; `None` in other accounts and regions.
    pub(super) name: Option<String>,
}

/// What a sweep asks: ECS itself, or a model of it in tests.
pub(super) trait Source: Sync {
    /// The ARNs of the cluster's tasks with the desired status RUNNING.
    fn list(&self, cluster: &str) -> impl Future<Output = Result<Vec<String>, EcsError>> + Send;

    /// These tasks.
    fn describe(
        &self,
        cluster: &str,
        tasks: &[String],
    ) -> impl Future<Output = Result<Described<TaskState>, EcsError>> + Send;
}

impl Source for Ecs {
    async fn list(&self, cluster: &str) -> Result<Vec<String>, EcsError> {
        self.list_tasks(cluster, None).await
    }

    async fn describe(&self, cluster: &str, tasks: &[String]) -> Result<Described<TaskState>, EcsError> {
        self.describe_tasks(cluster, tasks).await
    }
}

impl Discovery {
    /// Sweeps a registered cluster, by name or ARN, unless it was swept lately or another process does it now; then `None`.
    ///
    /// `attempt` is 0, or the number of the retry after a failure.
    ///
    /// # Errors
    ///
    /// [`SweepError`]. What was written before is valid, and the next attempt writes the rest.
    pub async fn sweep(
        &self,
        registry: &Registry,
        cluster: &str,
        attempt: u32,
    ) -> Result<Option<(String, Swept)>, SweepError> {
        let not_registered = || SweepError::NotRegistered(printable(cluster, SHOWN_CHARS_MAX));
        let clusters = &registry.options().clusters;
        // Names that a sender invents cost no call.
        if ClusterArn::parse(cluster).is_none() && !clusters.may_have(cluster) {
            return Err(not_registered());
        }
        let place = self.pool.of_cluster(cluster).await?;
        let home = self.pool.of_cluster("").await?;
        let ecs = place.ecs.lane();
        let arn = match ClusterArn::parse(cluster) {
            Some(_) => cluster.to_owned(),
            None => arn_of(&ecs, cluster).await?,
        };
        if !clusters.has(&arn) {
            return Err(not_registered());
        }
        if !registry.claim(&arn, attempt).await? {
            return Ok(None);
        }
        let name = ClusterArn::parse(&arn).filter(|_| Arc::ptr_eq(&place, &home));
        let target = Target { name: name.map(|arn| arn.name.to_owned()), arn };
        let swept = registry.sweep(&ecs, &target).await?;
        Ok(Some((target.arn, swept)))
    }

    /// Describes tasks of a registered cluster, for [`Registry::note`].
    pub async fn look(
        &self,
        registry: &Registry,
        cluster: &str,
        tasks: &[String],
    ) -> Result<Vec<Seen>, SweepError> {
        registry.check(cluster)?;
        let ecs = self.pool.of_cluster(cluster).await?.ecs.lane();
        let at = registry.now();
        let found = ecs.describe_tasks(cluster, tasks).await?.found.into_iter();
        let found = found.filter(|task| task.cluster.as_deref() == Some(cluster));
        Ok(found.map(|task| Seen { task, at }).collect())
    }

    /// Reads what a broadcast needs to know of tasks of one cluster besides their rows: task definitions and addresses of
    /// hosts. What is not known yet to the installation is asked of AWS, and kept.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`]. A broadcast then asks for itself.
    pub async fn learn(&self, cluster: &str, tasks: &[TaskState]) -> Result<(), DiscoveryError> {
        let place = self.pool.of_cluster(cluster).await?;
        place.learn(&place.ecs.lane(), cluster, tasks).await
    }
}

/// The ARN of an active cluster.
async fn arn_of(ecs: &Ecs, name: &str) -> Result<String, EcsError> {
    let described = ecs.describe_clusters(&[name.to_owned()], false).await?;
    let found = described.found.into_iter().find(|cluster| cluster.is_active);
    found.map(|cluster| cluster.arn).ok_or_else(|| EcsError::ClusterNotFound(name.to_owned()))
}

/// A sweep that runs until this is dropped.
struct SweepRunning<'a>(&'a Registry);

impl<'a> SweepRunning<'a> {
    fn new(registry: &'a Registry) -> Self {
        registry.memory().sweeps += 1;
        Self(registry)
    }
}

impl Drop for SweepRunning<'_> {
    fn drop(&mut self) {
        let mut memory = self.0.memory();
        memory.sweeps = memory.sweeps.saturating_sub(1);
    }
}

/// The ARNs of task definitions and hosts that a sweep has seen.
#[derive(Default)]
struct Sampled(HashSet<String>);

impl Sampled {
    /// Whether the task has a definition or a host that no task before it had.
    fn is_new(&mut self, task: &TaskState) -> bool {
        let named = task.revision.iter().chain(&task.host);
        // All of them are noted, not only the first new one.
        named.filter(|arn| self.0.insert((*arn).clone())).count() > 0
    }
}

/// What a sweep remembers of a row: of 100,000 rows, some megabytes.
struct Known {
    version: u64,
    at: u64,
    rest: u64,
    is_running: bool,
    is_stopped: bool,
}

impl Known {
    fn of(row: &Row) -> Self {
        let task = row.state();
        Self {
            version: task.version,
            at: row.at(),
            rest: digest(row),
            is_running: task.is_running(),
            is_stopped: task.is_stopped(),
        }
    }

    /// Whether a row is worth a write.
    fn is_outdated_by(&self, row: &Row) -> bool {
        let version = row.state().version;
        let is_other = self.rest != digest(row) || row.at().saturating_sub(self.at) >= REFRESH_AFTER;
        version > self.version || version == self.version && row.at() > self.at && is_other
    }
}

fn digest(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.rest().hash(&mut hasher);
    hasher.finish()
}

impl Registry {
    /// Whether this process may sweep a cluster now: it was not swept for nearly an interval, and no other process claims
    /// it in this half of an interval.
    pub(super) async fn claim(&self, cluster: &str, attempt: u32) -> Result<bool, RegistryError> {
        let interval = self.options().sweep;
        let now = self.now();
        // Schedules and timers are not exact.
        let pause = interval.mul_f64(0.9);
        let is_due = |sweep: ClusterSweep| Duration::from_millis(now.saturating_sub(sweep.began)) >= pause;
        if !self.sweep_of(cluster).await?.is_none_or(is_due) {
            return Ok(false);
        }
        let half = u64::try_from(interval.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        let key = key::lease(cluster, now / half, attempt);
        let lease = self.state_item(key, &serde_json::json!({ "at": now }))?;
        Ok(self.store.put_new(lease).await?)
    }

    /// Sweeps a cluster, and takes note of the end of the sweep.
    pub(super) async fn sweep(&self, source: &impl Source, target: &Target) -> Result<Swept, SweepError> {
        let _running = SweepRunning::new(self);
        let (began, start) = (self.now(), Instant::now());
        let is_first = self.sweep_of(&target.arn).await?.is_none();
        let known = self.known(&target.arn).await?;
        let mut listed = source.list(&target.arn).await?;
        listed.sort_unstable();
        listed.dedup();
        let mut swept = Swept::default();
        let mut vanished = Vec::new();
        let mut sampled = Sampled::default();
        for tasks in listed.chunks(TASKS_HELD_MAX) {
            let at = self.now();
            let Described { found, failed } = source.describe(&target.arn, tasks).await?;
            for (task, why) in failed {
                match why {
                    NotDescribed::Missing => vanished.push(task),
                    NotDescribed::Unexplained(why) => {
                        return Err(SweepError::NotDescribed {
                            task: printable(&task, SHOWN_CHARS_MAX),
                            why,
                        });
                    }
                }
            }
            let rows: Vec<Row> = rows(found, &target.arn, &known, at).collect();
            let mut due = Vec::new();
            for row in rows {
                let old = known.get(&row.state().arn);
                swept.tasks += usize::from(row.is_running());
                if old.is_some_and(|old| !old.is_outdated_by(&row)) {
                    continue;
                }
                if row.is_running() && !is_first && !old.is_some_and(|old| old.is_running) {
                    swept.late.push(row.task().arn);
                } else {
                    if row.is_running() && sampled.is_new(row.state()) {
                        swept.samples.push(row.state().arn.clone());
                    }
                    due.push(row);
                }
            }
            swept.written += self.write(due).await?;
            // A sweep may take minutes, in which its own message is on the queue.
            self.watch().await?;
        }
        let listed: HashSet<String> = listed.into_iter().collect();
        let is_missing = |(task, known): &(&String, &Known)| {
            !known.is_stopped && known.at + SETTLING < began && !listed.contains(*task)
        };
        let missing = known.iter().filter(is_missing).map(|(task, _)| task.clone());
        let vanished =
            vanished.into_iter().filter(|task| known.get(task).is_some_and(|k| k.at + SETTLING < began));
        let missing: Vec<String> = missing.chain(vanished).collect();
        for tasks in missing.chunks(TASKS_HELD_MAX) {
            self.missing(source, target, tasks, &known, &mut swept).await?;
        }
        swept.late.sort_unstable();
        let took = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let state = ClusterSweep { began, took, tasks: swept.tasks, name: target.name.clone() };
        let item = self.state_item(key::cluster(&target.arn), &state)?;
        self.store.put_greater(item).await.map_err(RegistryError::from)?;
        Ok(swept)
    }
}

impl Registry {
    /// Refuses a cluster that is not registered, by its ARN.
    ///
    /// # Errors
    ///
    /// [`SweepError::NotRegistered`].
    pub fn check(&self, cluster: &str) -> Result<(), SweepError> {
        let is_registered = self.options().clusters.has(cluster);
        let not_registered = || SweepError::NotRegistered(printable(cluster, SHOWN_CHARS_MAX));
        is_registered.then_some(()).ok_or_else(not_registered)
    }

    /// Describes tasks that the registry has and the sweep has not found.
    async fn missing(
        &self,
        source: &impl Source,
        target: &Target,
        tasks: &[String],
        known: &HashMap<String, Known>,
        swept: &mut Swept,
    ) -> Result<(), SweepError> {
        let at = self.now();
        let Described { found, failed } = source.describe(&target.arn, tasks).await?;
        let is_news = |row: &Row| known.get(&row.state().arn).is_none_or(|old| old.is_outdated_by(row));
        let mut due: Vec<Row> = rows(found, &target.arn, known, at).filter(is_news).collect();
        let gone = failed.into_iter().filter(|(_, why)| *why == NotDescribed::Missing);
        due.extend(gone.map(|(arn, _)| {
            let status = Some(STOPPED.to_owned());
            let cluster = Some(target.arn.clone());
            let task = TaskState {
                arn,
                cluster,
                last_status: status,
                version: VERSION_GONE,
                ..TaskState::default()
            };
            Row::of(&Seen { task, at })
        }));
        swept.stopped += due.iter().filter(|row| row.state().is_stopped()).count();
        swept.written += self.write(due).await?;
        Ok(())
    }

    /// The rows of a cluster, in short.
    async fn known(&self, cluster: &str) -> Result<HashMap<String, Known>, RegistryError> {
        let mut pages = self.all_rows(cluster);
        let mut known = HashMap::new();
        while let Some(rows) = pages.try_next().await? {
            known.extend(rows.into_iter().map(|row| (row.state().arn.clone(), Known::of(&row))));
        }
        Ok(known)
    }
}

/// The rows of described tasks of this cluster.
///
/// A task that has stopped never runs again. So its row is the newest, even if ECS does not say its version.
fn rows(
    found: Vec<TaskState>,
    cluster: &str,
    known: &HashMap<String, Known>,
    at: u64,
) -> impl Iterator<Item = Row> {
    let of_cluster = found.into_iter().filter(move |task| task.cluster.as_deref() == Some(cluster));
    of_cluster.map(move |mut task| {
        if task.is_stopped() {
            task.version = task.version.max(known.get(&task.arn).map_or(0, |old| old.version));
        }
        Row::of(&Seen { task, at })
    })
}
