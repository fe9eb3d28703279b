//! Latencies in milliseconds.

use std::time::Duration;

use serde::Serializer;

/// Milliseconds with a fraction, precise to microseconds.
#[expect(clippy::cast_precision_loss, reason = "a wait of 285 years in microseconds is still exact")]
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// An optional wait as milliseconds, for records.
pub(crate) mod optional_millis {
    use super::{Duration, Serializer, millis};
    use serde::{Deserialize, Deserializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&millis(*duration)),
            None => serializer.serialize_none(),
        }
    }

    /// A number that is not a duration is read as `None`.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::<f64>::deserialize(deserializer)?;
        Ok(millis.and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok()))
    }
}
