//! CloudWatch alarms of a fleet.

use std::fmt;

use serde::Deserialize;

/// An alarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarm {
    /// Its name, from 1 to 255 characters.
    pub name: String,
    /// Its state at the start; [`Simulator::set_alarm`](crate::Simulator::set_alarm) changes it.
    pub state: AlarmState,
    /// Whether it is a composite alarm, and not one of a metric.
    pub composite: bool,
}

/// The state of an alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// All is well.
    #[default]
    Ok,
    /// It is raised.
    Alarm,
    /// It is new, or its metric has no values.
    InsufficientData,
}

impl AlarmState {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
