//! How a broadcast goes through its fleet in waves.

use clap::Args;
use notifier::rollout::{PaceError, Plan, Preset};
use wire::{ObserverMessage, Pace};

use crate::failure::Failure;

/// Whether a fleet is called in waves.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceArgs {
    /// Call the fleet in waves: how many tasks of each service were called after each one, such as 1,10%,100%
    ///
    /// Numbers and percentages are cumulative, and percentages are rounded up. 100% at the end may be left out. A wave ends
    /// when each of its deliveries has an outcome.
    #[arg(long, value_name = "LIST", value_parser = waves)]
    waves: Option<String>,

    /// Time between the end of a wave and the next one, such as 5m, or `manual`: until `continue`, which needs a ledger
    #[arg(long, value_name = "TIME", value_parser = pause)]
    pause: Option<String>,

    /// Stop after more errors than this: N in the whole broadcast, or P% of a wave [default with waves: 0]
    ///
    /// Errors are failed and rejected deliveries. After a stop, no further delivery begins; the rest is skipped.
    #[arg(long, value_name = "N|P%", value_parser = max_errors)]
    max_errors: Option<String>,

    /// The most deliveries of each service that are under way at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_parallel: Option<u32>,

    /// Spread the calls of a wave over this time, such as 30s
    #[arg(long, value_name = "TIME", value_parser = jitter)]
    jitter: Option<String>,

    /// Call one availability zone after another; with --waves, the sizes are those of each zone
    ///
    /// The order of the zones differs between broadcasts and is the same for all services. Tasks without a zone come last.
    #[arg(long)]
    by_zone: bool,

    /// Stop if this CloudWatch alarm is in the state ALARM, before any wave; repeatable
    ///
    /// CloudWatch is asked in the account and region of this process, which needs the permission cloudwatch:DescribeAlarms
    /// for all resources. An alarm that does not exist or cannot be read stops too. At most 10 alarms.
    #[arg(long, value_name = "NAME", value_parser = alarm)]
    stop_on_alarm: Vec<String>,

    /// canary: 5%, a pause of 10m, then the rest; linear: 10% every 6m. Other flags replace its values
    #[arg(long, value_name = "NAME", value_parser = preset)]
    pace: Option<String>,
}

impl PaceArgs {
    /// Asks for it in a message.
    pub(crate) fn apply(&self, message: &mut ObserverMessage) -> Result<(), Failure> {
        let mut pace = Pace::new();
        pace.preset.clone_from(&self.pace);
        pace.waves.clone_from(&self.waves);
        pace.pause.clone_from(&self.pause);
        pace.max_errors.clone_from(&self.max_errors);
        pace.max_parallel = self.max_parallel;
        pace.jitter.clone_from(&self.jitter);
        pace.by_zone = self.by_zone.then_some(true);
        pace.stop_on_alarm = Some(self.stop_on_alarm.clone()).filter(|names| !names.is_empty());
        if pace == Pace::new() {
            return Ok(());
        }
        Plan::read(&pace).map_err(|error| match error {
            PaceError::NoWaves => Failure::usage("--pause needs several waves")
                .hint("add --waves 1,10%,100%, --by-zone or --pace canary"),
            error => Failure::usage(error.to_string()),
        })?;
        if message.cover.is_some() || message.retain.is_some() {
            let late = "tasks that start later would be called outside of the waves";
            return Err(Failure::usage(format!(
                "a pace cannot be combined with --cover or --retain: {late}"
            )));
        }
        message.pace = Some(pace);
        Ok(())
    }

    /// The same for a broadcast through the queues.
    pub(crate) fn apply_queued(&self, message: &mut ObserverMessage) -> Result<(), Failure> {
        let flag = match (self.max_parallel, &self.jitter) {
            (Some(_), _) => "--max-parallel",
            (None, Some(_)) => "--jitter",
            (None, None) => return self.apply(message),
        };
        Err(Failure::usage(format!(
            "{flag} needs one process that makes every call, which `publish` does not have"
        ))
        .hint(
            "through the queues, many workers call at once: the size of a wave is the limit, or use `send`",
        ))
    }
}

/// Checks one field by itself, with waves around it.
fn check(text: &str, field: impl FnOnce(&mut Pace, String)) -> Result<String, String> {
    let mut pace = Pace::new();
    pace.preset = Some(Preset::Canary.as_str().to_owned());
    field(&mut pace, text.to_owned());
    match Plan::read(&pace) {
        Ok(_) | Err(PaceError::NoWaves) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn waves(text: &str) -> Result<String, String> {
    check(text, |pace, text| pace.waves = Some(text))
}

fn pause(text: &str) -> Result<String, String> {
    check(text, |pace, text| pace.pause = Some(text))
}

fn max_errors(text: &str) -> Result<String, String> {
    check(text, |pace, text| pace.max_errors = Some(text))
}

fn jitter(text: &str) -> Result<String, String> {
    check(text, |pace, text| pace.jitter = Some(text))
}

fn preset(text: &str) -> Result<String, String> {
    check(text, |pace, text| pace.preset = Some(text))
}

fn alarm(text: &str) -> Result<String, String> {
    check(text, |pace, text| pace.stop_on_alarm = Some(vec![text]))
}
