//! The flags of a question.

use std::time::Duration;

use clap::{Args, ValueEnum};
use notifier::base::{parse_time, time};
use notifier::report::answers::{AnswerValue, By, Pointer, Query};

/// The longest time for an answer.
const TIMEOUT_MAX: Duration = Duration::from_secs(10 * 60);
/// The longest time until a fleet agrees.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest limit of an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What is compared, how it is shown, and what is a success.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Answers")]
pub(crate) struct QuestionArgs {
    /// Compare only this part of each answer: a JSON pointer, such as /build/version
    #[arg(long, value_name = "POINTER")]
    pub(crate) pick: Option<Pointer>,

    /// Count each answer by service, revision, zone, cluster or account
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", hide_possible_values = true)]
    by: Counted,

    /// What to show: groups, outliers, numbers, each or diff
    ///
    /// `groups`: equal answers, the most frequent first. `outliers`: all other groups, with their tasks. `numbers`: minimum,
    /// p50, p99, maximum and a histogram. `each`: every answer when it comes. `diff`: each group against the most frequent one.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", hide_possible_values = true)]
    pub(crate) show: Show,

    /// The expected answer, as JSON: another one causes exit code 1
    #[arg(long, value_name = "JSON", value_parser = expected)]
    expect: Option<AnswerValue>,

    /// Share of the answers that must agree [default: 100% with --expect or --wait]
    ///
    /// They agree if they are the expected one; without --expect, if they are the most frequent one.
    #[arg(long, value_name = "PERCENT", value_parser = quorum)]
    quorum: Option<f64>,

    /// Ask again until all have answered and agree, for at most this time, such as 5m
    #[arg(long, value_name = "TIME", value_parser = wait)]
    pub(crate) wait: Option<Duration>,

    /// Time for the answer of a task, from its first call, with all attempts
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = timeout)]
    pub(crate) timeout: Duration,

    /// Largest answer in bytes, or with the unit KiB or MiB; the rest is not read
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size)]
    pub(crate) answer_max: usize,

    /// Record the question, its outcomes and answers of up to 512 bytes in the ledger
    ///
    /// Without it, nothing is recorded: answers may be secret.
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What the answers are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Counted {
    #[default]
    Service,
    Revision,
    Zone,
    Cluster,
    Account,
}

/// What is shown of the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    #[default]
    Groups,
    Outliers,
    Numbers,
    Each,
    Diff,
}

impl QuestionArgs {
    /// What is compared.
    pub(crate) fn query(&self) -> Query {
        Query {
            pick: self.pick.clone(),
            by: match self.by {
                Counted::Service => By::Service,
                Counted::Revision => By::Revision,
                Counted::Zone => By::Zone,
                Counted::Cluster => By::Cluster,
                Counted::Account => By::Account,
            },
            expected: self.expect.clone(),
            with_numbers: self.show == Show::Numbers,
        }
    }

    /// The share of the answers that must agree, in percent; `None` if they need not agree.
    pub(crate) fn quorum(&self) -> Option<f64> {
        let is_implied = self.expect.is_some() || self.wait.is_some();
        self.quorum.or(is_implied.then_some(100.0))
    }
}

fn expected(text: &str) -> Result<AnswerValue, String> {
    AnswerValue::from_json(text)
        .ok_or_else(|| "it is not JSON; a JSON string needs quotes: --expect '\"v42\"'".to_owned())
}

fn quorum(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let percent = number.filter(|percent: &f64| *percent > 0.0 && *percent <= 100.0);
    percent.ok_or_else(|| "write a percentage above 0 and up to 100, such as 90%".to_owned())
}

fn timeout(text: &str) -> Result<Duration, String> {
    within(text, TIMEOUT_MAX)
}

fn wait(text: &str) -> Result<Duration, String> {
    within(text, WAIT_MAX)
}

fn within(text: &str, most: Duration) -> Result<Duration, String> {
    let found = parse_time(text).filter(|time| !time.is_zero() && *time <= most);
    found.ok_or_else(|| format!("write a time from 1s to {}, such as 5s or 5m", time(most)))
}

fn size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1024), ("MiB", 1024 * 1024)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(name, bytes)| Some((text.strip_suffix(name)?, bytes)))
        .unwrap_or((text, 1));
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let bytes =
        number.parse::<usize>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(unit));
    let bytes = bytes.filter(|bytes| (1..=ANSWER_BYTES_MAX).contains(bytes));
    bytes.ok_or_else(|| "write a size from 1 to 1MiB, such as 4096 or 16KiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_are_within_their_limits() {
        let sizes = ["1", "16KiB", "1MiB"].map(|text| size(text).unwrap());
        assert_eq!(sizes, [1, 16 * 1024, 1024 * 1024]);
        for wrong in ["", "0", "KiB", "2MiB", "+1", "1.5KiB", "16kb", "99999999999999999999MiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        let shares = ["90%", "99.5", "100%"].map(|text| quorum(text).unwrap());
        assert!(shares.into_iter().eq([90.0, 99.5, 100.0]));
        for wrong in ["", "0", "-1", "101%", "NaN", "all"] {
            assert!(quorum(wrong).is_err(), "{wrong}");
        }
        assert!(timeout("11m").is_err() && timeout("0s").is_err() && wait("24h").is_ok());
    }
}
