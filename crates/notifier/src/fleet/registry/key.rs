//! Keys of the registry's items. Pure.
//!
//! The tasks of a cluster are spread over [`SHARDS`] partitions, because a partition accepts about 1,000 writes a second.
//! The ARNs of cluster and task are in the key, so rows of different accounts cannot be confused.

use crate::base::fnv1a;
use crate::store::{Key, Range};

/// Partitions of one cluster. Stored keys depend on it: a change would hide existing rows.
pub(super) const SHARDS: u8 = 16;

/// The partition of everything that is not about one task.
const STATE: &str = "registry#state";
/// Prefix of the sort keys of the clusters' states.
const CLUSTER: &str = "cluster#";

/// The row of a task.
pub(super) fn row(cluster: &str, task: &str) -> Key {
    let shard = u8::try_from((fnv1a(task) >> 16) % u32::from(SHARDS)).unwrap_or_default();
    Key { partition: partition(cluster, shard), sort: task.to_owned() }
}

/// All rows of a cluster, as a range for each partition.
pub(super) fn rows(cluster: &str) -> impl Iterator<Item = Range> {
    (0..SHARDS).map(|shard| range(partition(cluster, shard), String::new()))
}

fn partition(cluster: &str, shard: u8) -> String {
    format!("registry#{cluster}#{shard:02}")
}

/// The state of a cluster.
pub(super) fn cluster(cluster: &str) -> Key {
    state(format!("{CLUSTER}{cluster}"))
}

/// The states of all clusters.
pub(super) fn clusters() -> Range {
    range(STATE.to_owned(), CLUSTER.to_owned())
}

/// The ARN of the cluster with this state.
pub(super) fn cluster_of(key: &Key) -> &str {
    key.sort.strip_prefix(CLUSTER).unwrap_or_default()
}

/// How far the events have been processed.
pub(super) fn progress() -> Key {
    state("progress".to_owned())
}

/// The claim of one process to sweep a cluster.
pub(super) fn lease(cluster: &str, slot: u64, attempt: u32) -> Key {
    state(format!("lease#{cluster}#{slot}#{attempt}"))
}

fn state(sort: String) -> Key {
    Key { partition: STATE.to_owned(), sort }
}

fn range(partition: String, prefix: String) -> Range {
    Range { partition, prefix, backwards: false }
}
