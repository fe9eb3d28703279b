//! Where a fleet's events go.

use serde::Deserialize;

/// A rule of EventBridge for task state change events, with an SQS queue as its target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventTarget {
    /// Name of the queue, in the account of the first fleet. While there is no such queue, events are lost.
    pub queue: String,
    /// Whether every change of a task is sent. Else the rule lets through what changes the set of tasks to call:
    /// `lastStatus` is RUNNING, or `desiredStatus` is STOPPED.
    pub all: bool,
}
