//! What the alarms of a pace say.

use std::collections::BTreeMap;

use super::Halt;

/// What the alarms of a pace say at a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Alarms {
    /// None of them is in the state `ALARM`, or the pace names none.
    #[default]
    Quiet,
    /// The alarm with this name is in the state `ALARM`.
    Raised(String),
    /// The state of one is not known, for this reason.
    Unknown(String),
}

impl Alarms {
    /// What these states, by the name of the alarm, say of the alarms with these names.
    ///
    /// `OK` and `INSUFFICIENT_DATA` are quiet: a new alarm has no data yet. A name without a state is unknown, and so is a
    /// state that CloudWatch does not have today.
    pub fn of(names: &[String], states: &BTreeMap<String, String>) -> Self {
        let state = |name: &String| states.get(name).map(String::as_str);
        if let Some(raised) = names.iter().find(|name| state(name) == Some("ALARM")) {
            return Self::Raised(raised.clone());
        }
        for name in names {
            match state(name) {
                Some("OK" | "INSUFFICIENT_DATA") => {}
                Some(other) => {
                    return Self::Unknown(format!("alarm `{name}` has the unknown state {other:?}"));
                }
                None => {
                    return Self::Unknown(format!("there is no alarm `{name}` in this account and region"));
                }
            }
        }
        Self::Quiet
    }

    /// Why they stop the broadcast. What cannot be read stops it too.
    pub fn halt(&self) -> Option<Halt> {
        match self {
            Self::Quiet => None,
            Self::Raised(name) => Some(Halt::Alarm(name.clone())),
            Self::Unknown(reason) => Some(Halt::AlarmsUnknown(reason.clone())),
        }
    }
}
