//! The keys of records: partitions and sort keys. Pure.
//!
//! The records of one broadcast are spread over [`SHARDS`] partitions, because a partition accepts about 1,000 writes a
//! second (source: "Best practices for designing and using partition keys effectively", Amazon DynamoDB Developer Guide)
//! and a fleet may have 100,000 tasks. Ids are hashes, so their last characters spread evenly.

use wire::{BroadcastId, DeliveryId, PartId};

use crate::base::fnv1a;
use crate::store::{Key, Range};

/// Partitions of one broadcast's deliveries and parts. Stored keys depend on it: a change would hide existing records.
pub(super) const SHARDS: u8 = 16;

/// Prefix of the sort keys of a broadcast's own records.
const BROADCAST: &str = "broadcast";
/// Prefix of the sort keys of parts.
pub(super) const PART: &str = "part#";
/// Waves of a part that have begun.
const BEGUN: &str = "begun#";
/// Deliveries of a part that are on the tasks queue.
const QUEUED: &str = "queued#";
/// The outcome of a notified delivery.
pub(super) const NOTIFIED: &str = "told#";
/// The latest state of a delivery.
pub(super) const STATE: &str = "state#";

/// Events of a key in a window.
const COALESCED: &str = "event#";

/// The partition of the broadcasts that tasks which start later hear too.
const STANDING: &str = "standing";

/// The partition of the history, in the order of time.
const RECENT: &str = "recent";

fn shard(id: &str) -> u8 {
    u8::try_from((fnv1a(id) >> 16) % u32::from(SHARDS)).unwrap_or_default()
}

/// One of a broadcast's partitions. The number comes first, so that no broadcast's id can collide with a partition of
/// another.
fn partition(shard: u8, broadcast: &BroadcastId) -> String {
    format!("{shard:02}#{broadcast}")
}

fn range(partition: String, prefix: String) -> Range {
    Range { partition, prefix, backwards: false }
}

fn head(broadcast: &BroadcastId) -> String {
    format!("head#{broadcast}")
}

/// Chunk number `chunk` of a broadcast's own record, or of the record of one of its clusters.
pub(super) fn broadcast(broadcast: &BroadcastId, cluster: Option<&str>, chunk: usize) -> Key {
    let of = cluster.map_or_else(String::new, |cluster| format!("@{}", PartId::derive([cluster])));
    Key { partition: head(broadcast), sort: format!("{BROADCAST}{of}#{chunk:04}") }
}

/// All items of a broadcast's own record, then those of its clusters.
pub(super) fn broadcast_range(broadcast: &BroadcastId) -> Range {
    range(head(broadcast), BROADCAST.to_owned())
}

/// The cancellation of a broadcast.
pub(super) fn cancel(broadcast: &BroadcastId) -> Key {
    Key { partition: head(broadcast), sort: "cancel".to_owned() }
}

/// That a broadcast was stopped.
pub(super) fn stop(broadcast: &BroadcastId) -> Key {
    Key { partition: head(broadcast), sort: "stop".to_owned() }
}

/// That the pause of a broadcast after this wave was ended.
pub(super) fn continued(broadcast: &BroadcastId, wave: u16) -> Key {
    Key { partition: head(broadcast), sort: format!("continue#{wave:04}") }
}

/// A broadcast's entry in the history; `at` is a time that sorts as text.
pub(super) fn recent(at: &str, broadcast: &BroadcastId) -> Key {
    Key { partition: RECENT.to_owned(), sort: format!("{at}#{broadcast}") }
}

/// The history, newest first.
pub(super) fn recent_range() -> Range {
    Range { backwards: true, ..range(RECENT.to_owned(), String::new()) }
}

/// The newest event of a key in a window that starts at this time.
pub(super) fn newest(key: &str, window: i64) -> Key {
    Key { partition: coalescing(key, window), sort: "newest".to_owned() }
}

/// An event of a key in a window.
pub(super) fn coalesced(key: &str, window: i64, version: &str) -> Key {
    let sort = format!("{COALESCED}{}", PartId::derive([version]));
    Key { partition: coalescing(key, window), sort }
}

/// All events of a key in a window.
pub(super) fn coalesced_range(key: &str, window: i64) -> Range {
    range(coalescing(key, window), COALESCED.to_owned())
}

/// The key may be of any length, and the text of an event.
fn coalescing(key: &str, window: i64) -> String {
    format!("coalesce#{}#{window}", PartId::derive([key]))
}

/// Chunk number `chunk` of a part's record.
pub(super) fn part(broadcast: &BroadcastId, part: &PartId, chunk: usize) -> Key {
    let sort = format!("{PART}{part}#{chunk:04}");
    Key { partition: partition(shard(part.as_str()), broadcast), sort }
}

/// A broadcast to this cluster that is open, or a retained event.
pub(super) fn standing(cluster: &str, is_retained: bool, id: &str) -> Key {
    let kind = if is_retained { "retained" } else { "open" };
    Key { partition: STANDING.to_owned(), sort: format!("{cluster}#{kind}#{id}") }
}

/// All of them for one cluster, or for every cluster.
pub(super) fn standing_range(cluster: Option<&str>) -> Range {
    range(STANDING.to_owned(), cluster.map_or_else(String::new, |cluster| format!("{cluster}#")))
}

/// All items of a part's record.
pub(super) fn part_range(broadcast: &BroadcastId, part: &PartId) -> Range {
    range(partition(shard(part.as_str()), broadcast), format!("{PART}{part}#"))
}

/// That a wave of a part has begun.
pub(super) fn begun(broadcast: &BroadcastId, part: &PartId, wave: u16) -> Key {
    Key { partition: partition(shard(part.as_str()), broadcast), sort: format!("{BEGUN}{part}#{wave:04}") }
}

/// Deliveries of a part that one run of stage 2 has put on the tasks queue, by the first of them.
pub(super) fn queued(broadcast: &BroadcastId, part: &PartId, run: &PartId, first: &DeliveryId) -> Key {
    let Range { partition, prefix, .. } = queued_range(broadcast, part, run);
    Key { partition, sort: format!("{prefix}{first}") }
}

/// All deliveries of a part that one run of stage 2 has put on the tasks queue.
pub(super) fn queued_range(broadcast: &BroadcastId, part: &PartId, run: &PartId) -> Range {
    range(partition(shard(part.as_str()), broadcast), format!("{QUEUED}{part}#{run}#"))
}

/// One of the two items of a delivery: [`NOTIFIED`] or [`STATE`].
pub(super) fn delivery(kind: &str, broadcast: &BroadcastId, delivery: &DeliveryId) -> Key {
    let partition = partition(shard(delivery.as_str()), broadcast);
    Key { partition, sort: format!("{kind}{delivery}") }
}

/// All records of a broadcast except its own, as a range for each partition.
pub(super) fn shards(broadcast: &BroadcastId) -> impl Iterator<Item = Range> {
    (0..SHARDS).map(|shard| range(partition(shard, broadcast), String::new()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn id(text: &str) -> BroadcastId {
        BroadcastId::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn deliveries_spread_evenly_over_the_partitions() {
        let mut counts = BTreeMap::<String, u32>::new();
        for task in 0..100_000 {
            let delivery = DeliveryId::derive(&id("b"), &format!("arn:{task}"), "web");
            *counts.entry(super::delivery(NOTIFIED, &id("b"), &delivery).partition).or_default() += 1;
        }
        let even = 100_000 / u32::from(SHARDS);
        assert_eq!(counts.len(), usize::from(SHARDS));
        assert!(counts.values().all(|count| count.abs_diff(even) < even / 10), "{counts:?}");
    }

    #[test]
    fn no_two_broadcasts_share_a_partition_and_keys_keep_within_the_limits_of_dynamodb() {
        let long = "x".repeat(BroadcastId::BYTES_MAX);
        let mut all = Vec::new();
        for name in ["b", "00#b", "head#b", "recent", &long] {
            all.extend(shards(&id(name)).map(|range| range.partition));
            all.push(cancel(&id(name)).partition);
        }
        assert!(all.iter().all(|partition| partition.len() <= 2_048));
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(!all.contains(&RECENT.to_owned()));
    }

    #[test]
    fn one_delivery_stands_in_one_partition() {
        let delivery = DeliveryId::derive(&id("b"), "arn:t", "web");
        let (notified, state) =
            [NOTIFIED, STATE].map(|kind| super::delivery(kind, &id("b"), &delivery)).into();
        assert_eq!(notified.partition, state.partition);
        assert_ne!(notified.sort, state.sort);
    }
}
