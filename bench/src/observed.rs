//! What metrics and traces cost: whole processes that make the same broadcast with and without them, in turns.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use notifier::base::Rng;
use notifier::base::spans::Spans;
use notifier::base::trace::TraceContext;

use crate::figures::{per_call, quartiles};
use crate::process::cpu_time;
use crate::receivers::Receivers;
use crate::stage::{Client, Stage, Way};

/// The most processor time of a process with metrics, times that of one without.
const METRICS_RATIO_MAX: f64 = 1.03;
/// Samples of what is too small for a difference of processes.
const SMALL_SAMPLES: u32 = 1_000_000;

/// The variants: nothing, metrics, traces.
const CLIENTS: [Client; 3] = [
    Client::Direct { metrics: false, spans: false },
    Client::Direct { metrics: true, spans: false },
    Client::Direct { metrics: false, spans: true },
];

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Compare {
    /// Turns, each with a sample of every variant
    #[arg(long, default_value_t = 11)]
    turns: usize,
    /// Tasks of the fleet
    #[arg(long, default_value_t = 10_000)]
    tasks: u32,
    /// Calls under way at the same time
    #[arg(long, default_value_t = 256)]
    concurrency: u16,
}

/// Runs everything; the exit code is 1 when metrics cost too much.
pub(crate) fn run(compare: &Compare) -> Result<ExitCode> {
    let Compare { turns, tasks, concurrency } = *compare;
    let mut stage = Stage::start(&program()?, &Receivers::default())?;
    let fleet = stage.fleet(tasks)?;
    let way = Way { concurrency, timeout_ms: 10_000, attempts: 1, hung: 0 };
    println!(
        "processor time in ms of a whole process that notifies {tasks} tasks, {concurrency} at a time\n"
    );
    println!("| turn | nothing | metrics | ratio | traces, one in 100 | ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut ratios = [Vec::new(), Vec::new()];
    for turn in 0..turns {
        let mut cpu = [Duration::ZERO; CLIENTS.len()];
        for place in 0..CLIENTS.len() {
            // In turns: whoever comes later meets a machine that others have warmed up.
            let at = (place + turn) % CLIENTS.len();
            if let (Some(client), Some(cpu)) = (CLIENTS.get(at), cpu.get_mut(at)) {
                *cpu = stage.sample(*client, &fleet, &way)?.cost.cpu();
            }
        }
        let [nothing, metrics, traces] = cpu.map(|cpu| cpu.as_secs_f64() * 1e3);
        println!(
            "| {} | {nothing:.0} | {metrics:.0} | {:.3} | {traces:.0} | {:.3} |",
            turn + 1,
            metrics / nothing,
            traces / nothing
        );
        let [of_metrics, of_traces] = &mut ratios;
        of_metrics.push(metrics / nothing);
        of_traces.push(traces / nothing);
    }
    let [of_metrics, of_traces] = ratios.map(quartiles);
    for (name, [low, median, high]) in [("metrics", of_metrics), ("traces", of_traces)] {
        println!("\n{name}: median ratio {median:.3} [{low:.3} to {high:.3}]");
    }
    println!("traces off: {:.1} ns a request", 1e3 * off_us());
    let [_, median, _] = of_metrics;
    if median > METRICS_RATIO_MAX {
        println!("\nMISSED: metrics cost {median:.3} times the processor time, at most {METRICS_RATIO_MAX}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// All that a request does about spans when nobody records them.
fn off_us() -> f64 {
    let (spans, rng) = (std::hint::black_box(Spans::default()), Rng::seeded(1));
    let context = TraceContext::random(&rng).hop(&rng);
    let begin = cpu_time();
    for _ in 0..SMALL_SAMPLES {
        std::hint::black_box(spans.decide(std::hint::black_box(context)));
        std::hint::black_box(spans.is_on());
    }
    per_call(cpu_time().saturating_sub(begin), SMALL_SAMPLES)
}

/// This program itself makes the calls.
fn program() -> Result<PathBuf> {
    std::env::current_exe().context("this program is not known")
}
