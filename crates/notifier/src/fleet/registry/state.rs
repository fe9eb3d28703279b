//! The items that are not about one task: the last sweep of each cluster, and how far the events are processed. Pure.
//!
//! Bodies begin with what orders them, in digits of fixed length, and are written if they are greater.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last successful sweep of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSweep {
    /// When it began, in milliseconds since 1970.
    #[serde(rename = "swept_at", with = "padded")]
    pub began: u64,
    /// How long it took, in milliseconds.
    #[serde(rename = "took_ms")]
    pub took: u64,
    /// Running tasks that it found.
    pub tasks: usize,
    /// The name that means this cluster in the account and region of the processes that sweep; `None` for a cluster of
    /// another account or region, which only its ARN means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How far the events are processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The latest moment whose events are known to be processed, in milliseconds since 1970.
    #[serde(with = "padded")]
    pub(super) sent: u64,
}

/// Milliseconds in sixteen digits.
mod padded {
    use super::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_ordered_by_time() {
        let body = |began| serde_json::to_string(&ClusterSweep { began, ..ClusterSweep::default() }).unwrap();
        assert!(body(999) < body(1_000) && body(1_000) < body(1_795_600_000_000));
        let sent = |sent| serde_json::to_string(&Progress { sent }).unwrap();
        assert!(sent(9) < sent(10));
        assert_eq!(sent(10), r#"{"sent":"0000000000000010"}"#);
        let sweep = ClusterSweep { began: 7, took: 8, tasks: 9, name: Some("prod".to_owned()) };
        let text = serde_json::to_string(&sweep).unwrap();
        assert_eq!(text, r#"{"swept_at":"0000000000000007","took_ms":8,"tasks":9,"name":"prod"}"#);
        assert_eq!(serde_json::from_str::<ClusterSweep>(&text).unwrap(), sweep);
    }
}
