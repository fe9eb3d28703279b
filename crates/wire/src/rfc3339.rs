//! Timestamps of RFC 3339.
//!
//! Written here because a date library would decide which Rust version and how many crates every receiver needs, and
//! its types would be part of this crate's interface.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_SECONDS: i64 = 24 * 60 * 60;
const DAY_MINUTES: i64 = 24 * 60;

/// Whether the text is a timestamp with a time zone, for example `2026-11-24T09:30:00.5+01:00`.
///
/// Any character may stand between date and time, as section 5.6 allows. Second 60 is valid in the last minute of a
/// month in UTC, where leap seconds are.
pub(crate) fn is_timestamp(text: &str) -> bool {
    parse(text.as_bytes()).is_some()
}

/// The time of a timestamp, to the second: its fraction is left out. `None` if the text is none, or before 1970.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(parse(text.as_bytes())?).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Seconds since 1970.
fn parse(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let [year @ .., b'-', m1, m0, b'-', d1, d0] = date else { return None };
    let [_, h1, h0, b':', min1, min0, b':', s1, s0] = clock else { return None };
    let (year, month, day) = (number(year)?, number(&[*m1, *m0])?, number(&[*d1, *d0])?);
    let (hour, minute, second) = (number(&[*h1, *h0])?, number(&[*min1, *min0])?, number(&[*s1, *s0])?);
    let days = days_in_month(year, month)?;
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = offset_minutes(after_fraction(rest)?)?;
    let utc = hour * 60 + minute - offset;
    let seconds = days_since_1970(year, month, day) * DAY_SECONDS + utc * 60 + second;
    if second < 60 {
        return Some(seconds);
    }
    let is_last_day = match utc.div_euclid(DAY_MINUTES) {
        0 => day == days,
        // The next day in UTC.
        1 => day + 1 == days,
        // The day before in UTC.
        _ => day == 1,
    };
    (is_last_day && utc.rem_euclid(DAY_MINUTES) == DAY_MINUTES - 1).then_some(seconds)
}

/// Skips a fraction of a second: a full stop and at least one digit.
fn after_fraction(text: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = text.strip_prefix(b".") else { return Some(text) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { fraction.get(digits..) }
}

/// Minutes east of UTC.
fn offset_minutes(text: &[u8]) -> Option<i64> {
    let (sign, h1, h0, m1, m0) = match text {
        b"Z" | b"z" => return Some(0),
        [b'+', h1, h0, b':', m1, m0] => (1, h1, h0, m1, m0),
        [b'-', h1, h0, b':', m1, m0] => (-1, h1, h0, m1, m0),
        _ => return None,
    };
    let (hours, minutes) = (number(&[*h1, *h0])?, number(&[*m1, *m0])?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn days_in_month(year: i64, month: i64) -> Option<i64> {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => Some(29),
        2 => Some(28),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// The inverse of [`date`].
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The time in UTC, with as many digits of a second as it has; `None` outside the years 0 to 9999.
pub(crate) fn format(time: SystemTime) -> Option<String> {
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).ok()?, after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).ok()?;
            match before.subsec_nanos() {
                0 => (-seconds, 0),
                nanos => (-seconds - 1, 1_000_000_000 - nanos),
            }
        }
    };
    let (year, month, day) = date(seconds.div_euclid(DAY_SECONDS));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let second = seconds.rem_euclid(DAY_SECONDS);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// Year, month and day of this many days after 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn date(days: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01: a year that begins in March has its leap day at the end.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
