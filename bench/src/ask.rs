//! What a question costs: `ask` beside `send`, as whole processes in turns, with the same event and the same responses.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::figures::{mib, quartiles, slope};
use crate::receivers::Receivers;
use crate::stage::{Client, Stage, Way};

/// Processor time of one more question, times that of one more notification.
const RATIO_MAX: f64 = 1.2;
/// Memory of `ask` at its peak, for the large fleet.
const PEAK_MIB_MAX: f64 = 64.0;

/// Fleets whose difference is what one more task costs.
const SMALL: u32 = 1_000;
const LARGE: u32 = 10_000;

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Compare {
    /// `ecs-task-notifier`; else the one beside this program
    #[arg(long)]
    program: Option<PathBuf>,
    /// Turns, each with a sample of both and of each fleet
    #[arg(long, default_value_t = 7)]
    turns: usize,
    /// Calls under way at the same time
    #[arg(long, default_value_t = 256)]
    concurrency: u16,
}

/// Runs everything; the exit code is 1 when a limit is missed.
pub(crate) fn run(compare: &Compare) -> Result<ExitCode> {
    ensure!(compare.turns > 0, "nothing to measure");
    let program = match &compare.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("ecs-task-notifier"),
    };
    let mut stage = Stage::start(&program, &Receivers { versions: true, ..Receivers::default() })?;
    let fleets = [stage.fleet(SMALL)?, stage.fleet(LARGE)?];
    let way = Way { concurrency: compare.concurrency, timeout_ms: 10_000, attempts: 1, hung: 0 };
    println!("processor time of one more task in µs: ({LARGE} tasks - {SMALL} tasks) / {}\n", LARGE - SMALL);
    println!("| turn | send | ask | ratio | memory of ask with {LARGE} tasks in MiB |");
    println!("| --- | --- | --- | --- | --- |");
    let (mut ratios, mut peak) = (Vec::new(), 0.0_f64);
    for turn in 0..compare.turns {
        let mut slopes = [0.0; 2];
        // Whoever comes later meets a machine that the other has warmed up: they take turns at that too.
        for place in 0..2 {
            let is_ask = (place + turn) % 2 == 1;
            let client = if is_ask { Client::Ask } else { Client::Send };
            let [small, large] = &fleets;
            let [small, large] =
                [stage.sample(client, small, &way)?.cost, stage.sample(client, large, &way)?.cost];
            let [of_send, of_ask] = &mut slopes;
            *(if is_ask { of_ask } else { of_send }) = slope(small.cpu(), large.cpu(), LARGE - SMALL);
            if is_ask {
                peak = peak.max(mib(large.peak_kb));
            }
        }
        let [send, ask] = slopes;
        println!("| {} | {send:.1} | {ask:.1} | {:.2} | {peak:.0} |", turn + 1, ask / send);
        ratios.push(ask / send);
    }
    let [low, median, high] = quartiles(ratios);
    println!("\nmedian ratio {median:.2} [{low:.2} to {high:.2}], at most {RATIO_MAX:.1}");
    println!("memory {peak:.0} MiB, at most {PEAK_MIB_MAX:.0}");
    let is_missed = median > RATIO_MAX || peak > PEAK_MIB_MAX;
    if is_missed {
        println!("\nMISSED");
    }
    Ok(if is_missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
