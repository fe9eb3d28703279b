//! The stage on the registry queue: takes note of what ECS says about tasks, and sweeps clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::timeout;
use tracing::field::display;
use tracing::{debug, info};

use super::{Ctx, Output, StageError, late};
use crate::base::text::chain;
use crate::fleet::registry::{self, Applied, Registry, RegistryMessage, RegistryRequest, Seen};
use crate::model::TaskState;
use crate::model::arn::{EVERY_CLUSTER, is_every_cluster};
use crate::queue::{self, Delayed};

/// The longest time in which task definitions and hosts are read beforehand, for one message. The default share of ECS's
/// bucket has ten definitions a second, for all messages together.
const LEARN_MAX: Duration = Duration::from_secs(30);
/// How often such a message is sent again. Those of a cluster with 5,000 new definitions need 17 attempts.
const LEARN_ATTEMPTS_MAX: u32 = 20;

/// Processes a message of the registry queue. Returns pages of late tasks for stage 2.
pub(super) async fn register(ctx: &Ctx, received: &queue::Message) -> Result<Output, StageError> {
    let registry = ctx.registry.as_ref().ok_or(StageError::NoRegistry)?;
    let queued = milliseconds(received.queued);
    let output = match registry::read(&received.body, queued)? {
        RegistryMessage::Seen(seen) => event(ctx, registry, &seen, received).await?,
        RegistryMessage::Request(RegistryRequest::Sweep(clusters)) => {
            sweep(ctx, registry, &clusters, received).await?
        }
        RegistryMessage::Request(RegistryRequest::Look { cluster, tasks }) => {
            let mut next = Vec::new();
            for seen in ctx.discovery.look(registry, &cluster, &tasks).await? {
                next.extend(note(ctx, registry, &seen).await?);
            }
            next.into()
        }
        RegistryMessage::Request(RegistryRequest::Learn { cluster, tasks, attempt }) => {
            registry.check(&cluster)?;
            let rows = registry.rows_of(&cluster, &tasks).await?;
            let known: Vec<_> = rows.into_iter().flatten().map(|row| row.task()).collect();
            let is_over = learn(ctx, &cluster, &known).await || attempt >= LEARN_ATTEMPTS_MAX;
            // What was read in the time is kept, so the next attempt has less to read.
            let next = RegistryRequest::Learn { cluster, tasks, attempt: attempt.saturating_add(1) };
            let again = if is_over { Vec::new() } else { vec![Delayed::now(next.to_body())] };
            Output { again, ..Output::default() }
        }
    };
    registry.note_progress(queued).await?;
    Ok(output)
}

async fn event(
    ctx: &Ctx,
    registry: &Registry,
    seen: &Seen,
    received: &queue::Message,
) -> Result<Output, StageError> {
    let task = &seen.task;
    let trace_id = received.trace_id().map(display);
    let cluster = task.cluster.as_deref().unwrap_or_default();
    if !registry.options().clusters.has(cluster) {
        debug!(message.id = received.id, trace_id, cluster, "The event's cluster is not registered");
        return Ok(Output::default());
    }
    if registry.is_too_old(seen) {
        info!(
            message.id = received.id,
            trace_id,
            task.arn = task.arn,
            "The event is too old, so a sweep decides"
        );
        return Ok(Output::default());
    }
    Ok(note(ctx, registry, seen).await?.into())
}

/// Takes note of a statement about a task. The messages that follow from it come first: after a crash in between they are
/// made again, because the statement is still news or is known as the same.
async fn note(ctx: &Ctx, registry: &Registry, seen: &Seen) -> Result<Vec<String>, StageError> {
    let applied = registry.applied(seen).await?;
    let is_late = seen.task.is_running() && applied != Applied::Older;
    let next = if is_late { late::pages(ctx, seen).await? } else { Vec::new() };
    if let Applied::Write(row) = applied {
        registry.write(vec![row]).await?;
        if let Some(cluster) = seen.task.cluster.as_deref().filter(|_| seen.task.is_running()) {
            learn(ctx, cluster, std::slice::from_ref(&seen.task)).await;
        }
    }
    Ok(next)
}

/// Reads beforehand what a broadcast will need. If that fails, the broadcast reads it. Returns whether all was read.
async fn learn(ctx: &Ctx, cluster: &str, tasks: &[TaskState]) -> bool {
    let problem = match timeout(LEARN_MAX, ctx.discovery.learn(cluster, tasks)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("it took longer than {LEARN_MAX:?}"),
    };
    let tasks = tasks.len();
    debug!(cluster, tasks, error = problem, "Cannot read task definitions or hosts yet");
    false
}

/// Sweeps one cluster; or returns a message for each of several, so that each succeeds or fails alone.
async fn sweep(
    ctx: &Ctx,
    registry: &Registry,
    clusters: &[String],
    received: &queue::Message,
) -> Result<Output, StageError> {
    let trace_id = received.trace_id().map(display);
    let request = |request: &RegistryRequest| Delayed::now(request.to_body());
    match clusters {
        [cluster] if !is_every_cluster(cluster) => {
            let attempt = received.receives.saturating_sub(1);
            let Some((arn, swept)) = ctx.discovery.sweep(registry, cluster, attempt).await? else {
                debug!(cluster, trace_id, "Cluster {cluster} is up to date, or another process sweeps it");
                return Ok(Output::default());
            };
            let (tasks, written, stopped, late) =
                (swept.tasks, swept.written, swept.stopped, swept.late.len());
            info!(cluster = arn, trace_id, tasks, written, stopped, late, "Swept cluster {arn}");
            let again = swept.requests(&arn).iter().map(request).collect();
            Ok(Output { again, ..Output::default() })
        }
        _ => {
            let again = single(ctx, registry, clusters).await?.into_iter();
            let again = again.map(|cluster| request(&RegistryRequest::Sweep(vec![cluster]))).collect();
            Ok(Output { again, ..Output::default() })
        }
    }
}

/// The clusters that names, ARNs and patterns mean. `*` means what the setting names.
async fn single(ctx: &Ctx, registry: &Registry, clusters: &[String]) -> Result<BTreeSet<String>, StageError> {
    let registered = registry.options().clusters.entries();
    let meant = clusters.iter().flat_map(|cluster| match cluster.as_str() {
        EVERY_CLUSTER => registered,
        _ => std::slice::from_ref(cluster),
    });
    let mut single = BTreeSet::new();
    for cluster in meant.collect::<BTreeSet<_>>() {
        if is_every_cluster(cluster) {
            single.extend(ctx.discovery.clusters(cluster, &BTreeMap::new()).await?);
        } else {
            single.insert(cluster.clone());
        }
    }
    Ok(single)
}

fn milliseconds(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}
