//! The comparison: samples in turns, ratios within one turn, and a verdict.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::figures::{per_call, quartiles, rate};
use crate::process::Sample;
use crate::signing;

/// The notifier may take this many times the floor's processor time. Measured: 1.4 to 1.7.
const RATIO_MOST: f64 = 2.0;
/// One call of a large broadcast may take this many times the processor time of one of a small broadcast.
const GROWTH_MOST: f64 = 1.3;
/// The most memory of the notifier for 10,000 calls, 256 at a time.
const PEAK_KB_MOST: u64 = 64 * 1024;
/// Files that a broadcast may leave open.
const FILES_LEFT_MOST: i64 = 10;

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Compare {
    /// Calls of one sample
    #[arg(long, default_value_t = 10_000)]
    count: u32,
    /// Turns, each with a sample of either client
    #[arg(long, default_value_t = 9)]
    turns: u32,
    /// Calls under way at the same time
    #[arg(long, default_value_t = 256)]
    concurrency: u16,
}

impl Default for Compare {
    fn default() -> Self {
        Self { count: 10_000, turns: 9, concurrency: 256 }
    }
}

/// Runs everything; the exit code is 1 when a limit is broken.
pub(crate) fn run(compare: &Compare) -> Result<ExitCode> {
    let mut broken = Vec::new();
    against_the_floor(compare, &mut broken)?;
    growth(compare, &mut broken)?;
    slow_tasks()?;
    hung_tasks()?;
    signing::run()?;
    for limit in &broken {
        println!("\nBROKEN: {limit}");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn against_the_floor(compare: &Compare, broken: &mut Vec<String>) -> Result<()> {
    let Compare { count, turns, concurrency } = *compare;
    println!("{count} tasks, {concurrency} at a time, {turns} turns; processor time of one call in µs\n");
    println!(
        "| turn | floor | notifier | ratio | server beside floor | floor calls/s | notifier calls/s | peak MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let (mut floors, mut products, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..turns {
        let sample = |role| measure(role, count, concurrency, &[], 0, count);
        // Whoever is second meets a machine that the first has warmed up: they take turns at that too.
        let (floor, product) = if turn % 2 == 0 {
            let floor = sample("floor")?;
            (floor, sample("product")?)
        } else {
            let product = sample("product")?;
            (sample("floor")?, product)
        };
        let (floor_us, product_us) = (per_call(floor.0.cpu, count), per_call(product.0.cpu, count));
        println!(
            "| {} | {floor_us:.1} | {product_us:.1} | {:.2} | {:.1} | {:.0} | {:.0} | {} |",
            turn + 1,
            product_us / floor_us,
            per_call(floor.1, count),
            rate(floor.0.wall, count),
            rate(product.0.wall, count),
            product.0.peak_kb / 1024,
        );
        floors.push(floor_us);
        products.push(product_us);
        ratios.push(product_us / floor_us);
        if product.0.peak_kb > PEAK_KB_MOST {
            broken.push(format!(
                "{} MB of memory, {} at most",
                product.0.peak_kb / 1024,
                PEAK_KB_MOST / 1024
            ));
        }
        if product.0.files_left > FILES_LEFT_MOST {
            broken.push(format!("{} files left open", product.0.files_left));
        }
    }
    let [low, ratio, high] = quartiles(ratios);
    let [_, floor, _] = quartiles(floors);
    let [_, product, _] = quartiles(products);
    println!(
        "\nmedian: floor {floor:.1} µs, notifier {product:.1} µs, ratio {ratio:.2} [{low:.2} to {high:.2}]"
    );
    if ratio > RATIO_MOST {
        broken.push(format!("{ratio:.2} times the floor's processor time, {RATIO_MOST} at most"));
    }
    Ok(())
}

/// Whether a call costs more in a large broadcast than in a small one.
fn growth(compare: &Compare, broken: &mut Vec<String>) -> Result<()> {
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let cost = |count| {
            let (sample, _) = measure("product", count, compare.concurrency, &[], 0, count)?;
            anyhow::Ok(per_call(sample.cpu, count))
        };
        ratios.push(cost(30_000)? / cost(3_000)?);
    }
    let [_, ratio, _] = quartiles(ratios);
    println!("growth: a call among 30,000 costs {ratio:.2} times one among 3,000");
    if ratio > GROWTH_MOST {
        broken.push(format!(
            "a call among 30,000 costs {ratio:.2} times one among 3,000, {GROWTH_MOST} at most"
        ));
    }
    Ok(())
}

/// For information: how near the calls come to what concurrency and latency allow.
fn slow_tasks() -> Result<()> {
    let (count, concurrency, delay_ms) = (3_200, 64, 20);
    let (sample, _) = measure("product", count, concurrency, &[], delay_ms, count)?;
    let ideal = f64::from(concurrency) * 1000.0 / 20.0;
    let rate = rate(sample.wall, count);
    println!(
        "slow tasks (20 ms, {concurrency} at a time): {rate:.0} calls/s, {:.0} % of {ideal:.0}",
        rate / ideal * 100.0
    );
    Ok(())
}

/// For information: what tasks that never answer cost everybody else, beside a model of it. Hung calls hold their slots
/// for the whole time limit, and the last of them begin when everybody else is done.
fn hung_tasks() -> Result<()> {
    let (count, concurrency, limit_s) = (10_000, 256, 1.0);
    let (healthy, _) = measure("product", count, concurrency, &[], 0, count)?;
    let extra = ["--hung-percent", "5", "--timeout-ms", "1000"];
    let (sample, _) = measure("product", count, concurrency, &extra, 0, count / 100 * 95)?;
    let held = f64::from(count) * 0.05 * limit_s / f64::from(concurrency);
    println!(
        "hung tasks (5 % of {count}, given up after {limit_s} s): {:.1} s, without them {:.1} s, model {:.1} s",
        sample.wall.as_secs_f64(),
        healthy.wall.as_secs_f64(),
        healthy.wall.as_secs_f64().max(held) + limit_s,
    );
    Ok(())
}

/// One sample of one client with a server of its own, and the server's processor time. Every call must be accounted for.
fn measure(
    role: &str,
    count: u32,
    concurrency: u16,
    extra: &[&str],
    delay_ms: u32,
    answers: u32,
) -> Result<(Sample, Duration)> {
    let mut server = start(&["serve", "--delay-ms", &delay_ms.to_string()])?;
    let mut told = BufReader::new(server.stdout.take().context("no output")?);
    let mut port = String::new();
    told.read_line(&mut port)?;

    let (count_text, concurrency) = (count.to_string(), concurrency.to_string());
    let mut args = vec![role, "--port", port.trim(), "--count", &count_text, "--concurrency", &concurrency];
    args.extend(extra);
    let client = start(&args)?.wait_with_output()?;
    ensure!(client.status.success(), "the client failed: {role}");
    let sample: Sample = String::from_utf8(client.stdout)?.parse()?;

    drop(server.stdin.take());
    let mut end = String::new();
    told.read_to_string(&mut end)?;
    ensure!(server.wait()?.success(), "the server failed");
    let (answered, cpu) = end.trim().split_once(' ').context("the server told nothing")?;

    // A client that loses calls looks fast: a sample counts only when both sides saw the same.
    let answered: u32 = answered.parse()?;
    ensure!(answered == answers, "{role}: the server answered {answered} of {answers} calls");
    ensure!(sample.calls.ok == answers, "{role}: {} of {answers} calls succeeded", sample.calls.ok);
    ensure!(sample.calls.errors == count - answers, "{role}: {} errors", sample.calls.errors);
    Ok((sample, Duration::from_nanos(cpu.parse()?)))
}

pub(crate) fn start(args: &[&str]) -> Result<Child> {
    let program = std::env::current_exe()?;
    let child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.context("cannot start another process")
}
