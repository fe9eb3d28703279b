//! Reads and writes spans of time as people write them.

use std::time::Duration;

/// The units and their seconds.
const UNITS: [(char, u64); 4] = [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60), ('s', 1)];

/// A time such as `90s`, `10m`, `24h` or `7d`; `None` for another text.
pub fn parse_time(text: &str) -> Option<Duration> {
    let (number, unit) =
        UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(unit)?;
    Some(Duration::from_secs(seconds))
}

/// The same in seconds, from 1 to `most`; `None` for another text or time.
pub fn parse_seconds(text: &str, most: u32) -> Option<u32> {
    let seconds = u32::try_from(parse_time(text)?.as_secs()).ok()?;
    (1..=most).contains(&seconds).then_some(seconds)
}

/// The same in the largest unit that is exact, to the second: `90s`, `10m`, `7d`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let fits = |(_, unit): &(char, u64)| seconds > 0 && seconds.is_multiple_of(*unit);
    let (unit, in_unit) = UNITS.into_iter().find(fits).unwrap_or(('s', 1));
    format!("{}{unit}", seconds / in_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("10m", 600), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(parse_time(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in [
            "",
            "s",
            "10",
            "10 m",
            "+1s",
            "-1s",
            "1.5h",
            "1w",
            "99999999999999999999s",
            "9999999999999999999d",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn seconds_are_within_their_limit() {
        assert_eq!(parse_seconds("10m", 600), Some(600));
        for wrong in ["0s", "601s", "11m", "", "9999999d"] {
            assert_eq!(parse_seconds(wrong, 600), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_reads_back() {
        for text in ["0s", "90s", "10m", "25h", "1d"] {
            assert_eq!(time(parse_time(text).unwrap()), text);
        }
        assert_eq!(time(Duration::from_mins(60)), "1h");
    }
}
