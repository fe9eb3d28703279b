//! Reads a pace.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use wire::Pace;

use crate::base::{parse_time, time, words};

/// The most waves of a broadcast.
pub const WAVES_MAX: usize = 100;
/// The longest pause between two waves.
pub const PAUSE_MAX: Duration = Duration::from_hours(24);
/// The most alarms that one broadcast asks.
pub const ALARMS_MAX: usize = 10;
/// The most characters of the name of an alarm. Source: CloudWatch API Reference, `DescribeAlarms`.
const ALARM_CHARS_MAX: usize = 255;
/// The longest time over which the calls of a wave are spread.
const JITTER_MAX: Duration = Duration::from_hours(1);

words! {
    /// A pace with a name, with the numbers of ECS's own deployments.
    pub enum Preset {
        /// 5 %, a pause of ten minutes, then the rest.
        Canary = "canary",
        /// Another 10 % every six minutes.
        Linear = "linear",
    }
}

impl Preset {
    fn waves(self) -> Vec<Size> {
        match self {
            Self::Canary => vec![Size::Percent(5), Size::Percent(100)],
            Self::Linear => (1..=10).map(|wave| Size::Percent(wave * 10)).collect(),
        }
    }

    fn pause(self) -> Duration {
        match self {
            Self::Canary => Duration::from_mins(10),
            Self::Linear => Duration::from_mins(6),
        }
    }
}

/// How many tasks of a service have been called after a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// This number.
    Count(u32),
    /// This share, from 1 to 100.
    Percent(u8),
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
pub enum Pause {
    /// This time after the last outcome of the wave.
    For(Duration),
    /// Until somebody continues the broadcast.
    Manual,
}

/// The most errors, failed or rejected deliveries, without a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxErrors {
    /// This number in the whole broadcast.
    Count(usize),
    /// This share of the called containers of the wave.
    Percent(u8),
}

/// How a broadcast goes through its fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Cumulative sizes; the last is 100 %.
    pub(super) sizes: Vec<Size>,
    /// What lies between two waves.
    pub pause: Pause,
    /// The most errors; `None` for no limit.
    pub max_errors: Option<MaxErrors>,
    /// The most deliveries of a service that are under way at once.
    pub max_parallel: Option<NonZeroUsize>,
    /// The time over which the calls of a wave are spread.
    pub jitter: Duration,
    /// Names of the alarms that are asked before each wave.
    pub stop_on_alarm: Vec<String>,
    /// Whether the sizes are those of each availability zone, and the zones come one after another.
    pub by_zone: bool,
}

/// Why a pace is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum PaceError {
    #[error("`preset` is canary or linear, not {0:?}")]
    Preset(String),
    #[error(
        "`waves` are numbers of tasks and percentages, each larger than the one before, such as 1,10%,100%; not {0:?}"
    )]
    Waves(String),
    #[error("`waves` has {0} waves, but a broadcast has at most {WAVES_MAX}")]
    TooMany(usize),
    #[error("`pause` is `manual`, or a time from 0s to {most}, such as 30s, 5m or 2h; not {0:?}", most = time(PAUSE_MAX))]
    Pause(String),
    #[error("`max_errors` is a number or a percentage from 0% to 100%, such as 0, 3 or 5%; not {0:?}")]
    MaxErrors(String),
    #[error("`max_parallel` is at least 1")]
    MaxParallel,
    #[error("`jitter` is a time from 0s to {most}, such as 30s; not {0:?}", most = time(JITTER_MAX))]
    Jitter(String),
    #[error(
        "`stop_on_alarm` has from 1 to {ALARMS_MAX} names of alarms, each of 1 to {ALARM_CHARS_MAX} characters without control characters; not {0:?}"
    )]
    Alarms(Vec<String>),
    #[error("`pause` needs several waves: add `waves`, `by_zone` or a `preset`")]
    NoWaves,
    #[error(
        "a pace cannot be combined with `cover` or `retain`: tasks that start later would be called outside of the waves"
    )]
    Late,
    #[error(
        "`by_zone` goes through one cluster at a time: name one, or use `publish`, where each service goes through its zones by itself"
    )]
    Zones,
    #[error("a pace through the queues needs a ledger: set NOTIFIER_LEDGER")]
    NoLedger,
    #[error("`pause` manual needs a ledger, which `continue` writes to: set NOTIFIER_LEDGER")]
    NoLedgerForManual,
    #[error(
        "`{0}` needs one process that makes every call: use `send`; through the queues, many workers call at once, and the size of a wave is the limit"
    )]
    OneProcess(&'static str),
}

impl Plan {
    /// Reads a pace.
    ///
    /// # Errors
    ///
    /// [`PaceError`] for the first field that is not valid.
    pub fn read(pace: &Pace) -> Result<Self, PaceError> {
        let preset = pace
            .preset
            .as_deref()
            .map(|word| Preset::of(word).ok_or_else(|| PaceError::Preset(word.to_owned())));
        let preset = preset.transpose()?;
        let sizes = match &pace.waves {
            Some(text) => sizes(text)?,
            None => preset.map_or_else(|| vec![Size::Percent(100)], Preset::waves),
        };
        let pause = match &pace.pause {
            Some(text) => read_pause(text)?,
            None => Pause::For(preset.map_or(Duration::ZERO, Preset::pause)),
        };
        let by_zone = pace.by_zone == Some(true);
        let has_several = sizes.len() > 1 || by_zone;
        if !has_several && pace.pause.is_some() {
            return Err(PaceError::NoWaves);
        }
        let max_errors = match &pace.max_errors {
            Some(text) => Some(max_errors(text)?),
            None => has_several.then_some(MaxErrors::Count(0)),
        };
        let max_parallel =
            pace.max_parallel.map(|most| usize::try_from(most).ok().and_then(NonZeroUsize::new));
        let max_parallel = max_parallel.map(|most| most.ok_or(PaceError::MaxParallel)).transpose()?;
        let jitter = match &pace.jitter {
            Some(text) => within(text, JITTER_MAX).ok_or_else(|| PaceError::Jitter(text.clone()))?,
            None => Duration::ZERO,
        };
        let stop_on_alarm = pace.stop_on_alarm.as_deref().map_or_else(|| Ok(Vec::new()), alarms)?;
        Ok(Self { sizes, pause, max_errors, max_parallel, jitter, stop_on_alarm, by_zone })
    }

    /// The number of waves; with [`by_zone`](Self::by_zone), of one zone.
    pub fn waves(&self) -> u16 {
        u16::try_from(self.sizes.len()).unwrap_or(u16::MAX)
    }
}

fn sizes(text: &str) -> Result<Vec<Size>, PaceError> {
    let wrong = || PaceError::Waves(text.to_owned());
    let mut sizes =
        text.split(',').map(|size| read_size(size.trim())).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let grows = |pair: &[Size]| match pair {
        [Size::Count(one), Size::Count(next)] => one < next,
        [Size::Percent(one), Size::Percent(next)] => one < next,
        [Size::Percent(one), Size::Count(_)] => *one < 100,
        // Which is larger depends on the size of the service.
        _ => true,
    };
    if !sizes.windows(2).all(grows) {
        return Err(wrong());
    }
    if sizes.last() != Some(&Size::Percent(100)) {
        sizes.push(Size::Percent(100));
    }
    if sizes.len() > WAVES_MAX { Err(PaceError::TooMany(sizes.len())) } else { Ok(sizes) }
}

fn read_size(text: &str) -> Option<Size> {
    match text.strip_suffix('%') {
        Some(percent) => number(percent).filter(|percent| (1..=100).contains(percent)).map(Size::Percent),
        None => number(text).filter(|count| *count > 0).map(Size::Count),
    }
}

fn read_pause(text: &str) -> Result<Pause, PaceError> {
    if text == "manual" {
        return Ok(Pause::Manual);
    }
    within(text, PAUSE_MAX).map(Pause::For).ok_or_else(|| PaceError::Pause(text.to_owned()))
}

fn max_errors(text: &str) -> Result<MaxErrors, PaceError> {
    let read = match text.strip_suffix('%') {
        Some(percent) => number(percent).filter(|percent| *percent <= 100).map(MaxErrors::Percent),
        None => number(text).map(MaxErrors::Count),
    };
    read.ok_or_else(|| PaceError::MaxErrors(text.to_owned()))
}

/// The names, each once.
fn alarms(names: &[String]) -> Result<Vec<String>, PaceError> {
    let is_name = |name: &String| {
        (1..=ALARM_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    };
    let mut distinct: Vec<String> = Vec::new();
    for name in names.iter().take(ALARMS_MAX + 1).filter(|name| is_name(name)) {
        if !distinct.contains(name) {
            distinct.push(name.clone());
        }
    }
    let is_valid = (1..=ALARMS_MAX).contains(&names.len()) && names.iter().all(is_name);
    if is_valid { Ok(distinct) } else { Err(PaceError::Alarms(shortened(names))) }
}

/// Names for an error: the first ones, without the rest of long ones.
fn shortened(names: &[String]) -> Vec<String> {
    names.iter().take(3).map(|name| name.chars().take(80).collect()).collect()
}

/// A number without a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn within(text: &str, most: Duration) -> Option<Duration> {
    parse_time(text).filter(|time| *time <= most)
}
