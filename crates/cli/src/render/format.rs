//! Formats numbers with their units.

use std::time::Duration;

/// `1 task`, `2 tasks`, `1,024 tasks`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", digits(number))
}

/// `1,024`.
pub(crate) fn digits(number: usize) -> String {
    let plain = number.to_string();
    let mut out = String::with_capacity(plain.len() + plain.len() / 3);
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0.4 ms`, `12 ms`, `2.0 s`: two significant digits.
pub(crate) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        // Below the half, the next rule would round up to 10.0.
        ..9_950 => format!("{}.{} ms", (micros + 50) / 1000, (micros + 50) % 1000 / 100),
        9_950..999_500 => format!("{} ms", (micros + 500) / 1000),
        _ => format!("{}.{} s", (micros + 50_000) / 1_000_000, (micros + 50_000) % 1_000_000 / 100_000),
    }
}

/// `0 s`, `0.3 s`, `190 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds > 0.0 && seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

/// The start of a task's id, enough to distinguish it from others of its service; without an ARN, the start of the
/// text.
pub(crate) fn task(arn: &str, in_full: bool) -> &str {
    let id = arn.rsplit('/').next().unwrap_or(arn);
    let end = id.char_indices().nth(8).map(|(at, _)| at);
    if in_full { id } else { end.and_then(|end| id.get(..end)).unwrap_or(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_right_plural_and_separators() {
        let all: Vec<_> = [0, 1, 2, 999, 1_000, 1_234_567].map(|n| count(n, "task")).into();
        assert_eq!(all, ["0 tasks", "1 task", "2 tasks", "999 tasks", "1,000 tasks", "1,234,567 tasks"]);
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let all: Vec<_> = [0, 49, 400, 9_949, 9_950, 12_400, 999_499, 999_500, 1_950_000, 61_000_000]
            .map(|micros| duration(Duration::from_micros(micros)))
            .into();
        assert_eq!(
            all,
            ["0.0 ms", "0.0 ms", "0.4 ms", "9.9 ms", "10 ms", "12 ms", "999 ms", "1.0 s", "2.0 s", "61.0 s"]
        );
    }

    #[test]
    fn a_task_is_shown_by_the_start_of_its_id() {
        let arn = "arn:aws:ecs:eu-west-1:1:task/prod/0123456789abcdef";
        assert_eq!((task(arn, false), task(arn, true)), ("01234567", "0123456789abcdef"));
        assert_eq!(task("", false), "");
        assert_eq!(task("ähnliches", false), "ähnliche");
    }
}
