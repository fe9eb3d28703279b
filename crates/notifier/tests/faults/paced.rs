//! The waves of a world's broadcasts, and the sizes that they must have. Pure.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::faults::When;

use crate::world::{Draw, Form, Moment, Upset, World};

/// How many tasks of a service have been called after a wave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Count(usize),
    Percent(usize),
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// What lies between two waves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    For(Duration),
    /// Until somebody continues.
    Manual,
}

/// The errors without a stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Most {
    Count(usize),
    /// Of the wave.
    Percent(usize),
}

/// How a broadcast goes through its fleet.
#[derive(Clone, Debug)]
pub(crate) struct Paced {
    pub(crate) sizes: &'static [Size],
    pub(crate) pause: Pause,
    /// `None`: no error.
    pub(crate) most: Option<Most>,
    pub(crate) max_parallel: Option<usize>,
    pub(crate) jitter: Option<Duration>,
}

/// Sizes of waves, without the last one, which has all the rest.
const SIZES: [&[Size]; 6] = [
    &[Size::Count(1)],
    &[Size::Count(1), Size::Percent(50)],
    &[Size::Percent(10), Size::Count(3)],
    &[Size::Count(1), Size::Count(2), Size::Count(3)],
    &[Size::Percent(25), Size::Percent(50), Size::Percent(75)],
    &[Size::Percent(34)],
];

/// How many times as many calls a gate makes as another message of a stage.
const GATE_CALLS: u64 = 8;

impl Paced {
    /// One task, then the others.
    pub(crate) fn canary(pause: Pause) -> Self {
        Self { sizes: SIZES[0], pause, most: None, max_parallel: None, jitter: None }
    }

    fn draw(draw: &mut Draw, world: &World) -> Self {
        let is_direct = world.form == Form::Direct;
        // A process asks its ledger each second.
        let hours = if is_direct && world.has_ledger() { 0 } else { 6 };
        let pause = match draw.weighted(&[15, 45, 15, hours, if world.has_ledger() { 20 } else { 0 }]) {
            0 => Pause::For(Duration::ZERO),
            1 => Pause::For(Duration::from_secs(draw.between(2, 60))),
            2 => Pause::For(Duration::from_secs(draw.between(60, 400))),
            3 => Pause::For(Duration::from_secs(draw.between(3_000, 7_200))),
            _ => Pause::Manual,
        };
        let most = match draw.weighted(&[35, 30, 35]) {
            0 => None,
            1 => Some(Most::Count(draw.below(4))),
            _ => Some(Most::Percent([0, 25, 50, 100][draw.below(4)])),
        };
        // An hour is some seconds of work.
        let is_long = matches!(pause, Pause::For(pause) if pause >= Duration::from_hours(1) / 2);
        Self {
            sizes: if is_long { SIZES[0] } else { SIZES[draw.below(SIZES.len())] },
            pause,
            most,
            max_parallel: (is_direct && draw.percent(40)).then(|| 1 + draw.below(3)),
            jitter: (is_direct && draw.percent(25)).then(|| Duration::from_secs(draw.between(1, 30))),
        }
    }

    /// As a request names it.
    pub(crate) fn field(&self) -> Value {
        let mut pace = json!({
            "waves": self.sizes.iter().map(Size::to_string).collect::<Vec<_>>().join(","),
            "pause": match self.pause {
                Pause::For(pause) => format!("{}s", pause.as_secs()),
                Pause::Manual => "manual".to_owned(),
            },
        });
        match self.most {
            None => {}
            Some(Most::Count(most)) => pace["max_errors"] = json!(most.to_string()),
            Some(Most::Percent(most)) => pace["max_errors"] = json!(format!("{most}%")),
        }
        if let Some(most) = self.max_parallel {
            pace["max_parallel"] = json!(most);
        }
        if let Some(jitter) = self.jitter {
            pace["jitter"] = json!(format!("{}s", jitter.as_secs()));
        }
        pace
    }

    /// How many of this number of tasks have been called after each wave, by the documentation.
    pub(crate) fn called_after(&self, tasks: usize) -> Vec<usize> {
        let mut before = 0;
        let mut ends = Vec::new();
        for size in self.sizes {
            let end = match *size {
                Size::Count(count) => count,
                Size::Percent(percent) => (1..=tasks).find(|end| end * 100 >= tasks * percent).unwrap_or(0),
            };
            before = end.clamp(1, tasks.max(1)).max(before);
            ends.push(before);
        }
        ends.push(tasks);
        ends
    }

    /// How long all pauses take at most, if somebody continues.
    pub(crate) fn pauses(&self) -> Duration {
        match self.pause {
            Pause::For(pause) => (pause + self.jitter.unwrap_or_default()) * 4,
            Pause::Manual => Duration::from_hours(1),
        }
    }
}

/// The same world with broadcasts that go through their fleet in waves, and with upsets in their pauses.
pub(crate) fn in_waves(world: &mut World, draw: &mut Draw) {
    // Waves through the queues need a ledger.
    if world.form == Form::Queues && !world.has_ledger() {
        return;
    }
    for place in 0..world.broadcasts.len() {
        if !draw.percent(80) {
            continue;
        }
        let paced = Paced::draw(draw, world);
        let passed = |draw: &mut Draw| {
            let most = paced.pauses().as_millis().clamp(4_000, 2_000_000);
            Moment::Passed(Duration::from_millis(draw.between(500, u64::try_from(most).unwrap())))
        };
        if draw.percent(30) {
            world.upsets.push((passed(draw), if draw.percent(70) { Upset::Kill } else { Upset::Restart }));
        }
        if world.has_ledger() && draw.percent(10) {
            world.upsets.push((passed(draw), Upset::Cancel(place)));
        }
        world.broadcasts[place].pace = Some(paced);
    }
    // A gate reads the whole broadcast, and none would ever get through.
    for (operation, when, _) in &mut world.faults {
        let is_of_gates = *operation == "*" || operation.starts_with("Ledger");
        if let (true, When::Every(calls)) = (is_of_gates, &mut *when) {
            *calls *= GATE_CALLS;
        }
    }
    world.continues_every = Duration::from_secs(draw.between(3, 60));
}
