//! How a broadcast goes through its fleet in waves.

use serde::{Deserialize, Serialize};

/// How a broadcast goes through its fleet in waves. Texts have the grammar of the command line.
///
/// A field that this version does not know is an error: a pace that is understood in part would call tasks too early.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Pace {
    /// `canary` or `linear`: values for the fields that are not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The share of each service that has been called after each wave: `1,10%,100%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waves: Option<String>,
    /// The pause between the end of a wave and the next one: `5m`, or `manual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<String>,
    /// The most errors: a number of the whole broadcast, or a percentage of a wave: `0`, `3` or `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<String>,
    /// The most deliveries of a service that are under way at once. Only where one process makes all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// The time over which the calls of a wave are spread: `30s`. Only where one process makes all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
    /// Whether the waves go through one availability zone after another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_zone: Option<bool>,
    /// Names of the CloudWatch alarms that stop the broadcast when one is in the state `ALARM`, from 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_on_alarm: Option<Vec<String>>,
}

impl Pace {
    /// Every task at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
