//! How long answers took.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// How long answers took. As JSON, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of the answers took no longer.
    #[serde(serialize_with = "as_millis")]
    pub p50: Duration,
    /// 99 of 100 answers took no longer.
    #[serde(serialize_with = "as_millis")]
    pub p99: Duration,
    /// The slowest.
    #[serde(serialize_with = "as_millis")]
    pub max: Duration,
}

impl Latency {
    /// The percentiles of these answers, by nearest rank: each is a latency that was measured.
    pub(super) fn of(mut answers: Vec<Duration>) -> Option<Self> {
        answers.sort_unstable();
        let rank =
            |percent: usize| answers.get((answers.len() * percent).div_ceil(100).checked_sub(1)?).copied();
        Some(Self { p50: rank(50)?, p99: rank(99)?, max: rank(100)? })
    }
}

/// Milliseconds with a fraction: microseconds are what can be measured and what matters.
#[expect(clippy::cast_precision_loss, reason = "a wait of 285 years in microseconds is still exact")]
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(millis(*duration))
}

/// An optional wait as milliseconds, for records.
pub(super) mod optional_millis {
    use super::{Duration, Serializer, millis};
    use serde::{Deserialize, Deserializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(in crate::report) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&millis(*duration)),
            None => serializer.serialize_none(),
        }
    }

    /// A number that is no length of time is not known.
    pub(in crate::report) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::<f64>::deserialize(deserializer)?;
        Ok(millis.and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_answers_that_happened() {
        let of = |millis: &[u64]| {
            let answers = millis.iter().copied().map(Duration::from_millis).collect();
            Latency::of(answers).map(|l| [l.p50, l.p99, l.max].map(|d| d.as_millis()))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some([7, 7, 7]));
        assert_eq!(of(&[9, 1]), Some([1, 9, 9]));
        assert_eq!(of(&(1..=100).rev().collect::<Vec<_>>()), Some([50, 99, 100]));
        assert_eq!(of(&(1..=1000).collect::<Vec<_>>()), Some([500, 990, 1000]));
    }

    #[test]
    fn json_has_milliseconds() {
        let latency = Latency::of(vec![Duration::from_micros(1500)]).unwrap();
        assert_eq!(serde_json::to_string(&latency).unwrap(), r#"{"p50":1.5,"p99":1.5,"max":1.5}"#);
    }
}
