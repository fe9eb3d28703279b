//! What the ledger costs: in a file beside the smallest program that keeps the same rows, and in calls of DynamoDB.

use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::figures::{per_call, quartiles, rate};
use crate::process::Sample;
use crate::stage::start;

/// Writing an outcome may take this many times the floor's processor time. Measured: 1.0 to 1.5.
const RATIO_MOST: f64 = 2.0;
/// Calls of DynamoDB for 1,000 outcomes that come together: 25 fit in one, and some come alone. Measured: 40.
const CALLS_MOST: f64 = 50.0;

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Compare {
    /// Outcomes of one sample
    #[arg(long, default_value_t = 20_000)]
    count: u32,
    /// Turns, each with a sample of either program
    #[arg(long, default_value_t = 7)]
    turns: u32,
}

/// Runs everything; the exit code is 1 when a limit is broken. A sample that loses outcomes is an error.
pub(crate) fn run(compare: &Compare) -> Result<ExitCode> {
    let ratio = in_file(compare)?;
    let calls = in_table(compare)?;
    let limits = [
        (ratio, RATIO_MOST, "writing costs too many times what the floor's does"),
        (calls, CALLS_MOST, "there are too many calls for 1,000 outcomes"),
    ];
    let broken: Vec<_> = limits.iter().filter(|(found, most, _)| found > most).collect();
    for (found, most, what) in &broken {
        println!("\nBROKEN: {what}: {found:.2}, and at most {most:.2}");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The median ratio of writing.
fn in_file(compare: &Compare) -> Result<f64> {
    let Compare { count, turns } = *compare;
    println!("{count} outcomes in a file, {turns} turns; processor time of one in µs\n");
    println!(
        "| turn | write: floor | ledger | ratio | floor outcomes/s | ledger outcomes/s | report: floor | ledger | peak MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut ratios = Vec::new();
    for turn in 0..turns {
        let (floor, product) = if turn % 2 == 0 {
            let floor = file_sample("outcomes-floor", count)?;
            (floor, file_sample("outcomes", count)?)
        } else {
            let product = file_sample("outcomes", count)?;
            (file_sample("outcomes-floor", count)?, product)
        };
        let [floor_us, product_us] = [&floor, &product].map(|[write, _]| per_call(write.cpu, count));
        let [floor_read, product_read] = [&floor, &product].map(|[_, read]| per_call(read.cpu, count));
        println!(
            "| {} | {floor_us:.1} | {product_us:.1} | {:.2} | {:.0} | {:.0} | {floor_read:.1} | {product_read:.1} | {} |",
            turn + 1,
            product_us / floor_us,
            rate(floor[0].wall, count),
            rate(product[0].wall, count),
            product[1].peak_kb / 1024,
        );
        ratios.push(product_us / floor_us);
    }
    let [low, ratio, high] = quartiles(ratios);
    println!("\nmedian ratio of writing: {ratio:.2} [{low:.2} to {high:.2}]");
    Ok(ratio)
}

/// The samples of writing and of reporting, in a new file. Every outcome must be accounted for.
fn file_sample(role: &str, count: u32) -> Result<[Sample; 2]> {
    let directory = TempDir::new()?;
    let path = directory.path().join("ledger.db").display().to_string();
    let output = start(&[role, "--count", &count.to_string(), "--path", &path])?.wait_with_output()?;
    ensure!(output.status.success(), "{role} failed");
    let told = String::from_utf8(output.stdout)?;
    let mut lines = told.lines().map(str::parse::<Sample>);
    let mut next = || lines.next().context("a sample is missing")?;
    let samples = [next()?, next()?];
    for sample in &samples {
        ensure!(sample.calls.ok == count, "{role}: {} of {count} outcomes", sample.calls.ok);
    }
    Ok(samples)
}

/// Calls for 1,000 outcomes.
fn in_table(compare: &Compare) -> Result<f64> {
    let count = compare.count;
    let mut server = start(&["serve-table"])?;
    let mut told = BufReader::new(server.stdout.take().context("no output")?);
    let mut port = String::new();
    told.read_line(&mut port)?;
    let args = ["outcomes-table", "--count", &count.to_string(), "--port", port.trim()];
    let client = start(&args)?.wait_with_output()?;
    ensure!(client.status.success(), "the client failed");
    let sample: Sample = String::from_utf8(client.stdout)?.parse()?;
    drop(server.stdin.take());
    let mut requests = String::new();
    told.read_to_string(&mut requests)?;
    ensure!(server.wait()?.success() && sample.calls.ok == count, "outcomes are missing");
    let calls = requests.trim().parse::<f64>()? * 1_000.0 / f64::from(count);
    println!(
        "in a table that answers at once: {:.1} µs an outcome, {:.0} outcomes/s, {calls:.1} calls for 1,000 outcomes",
        per_call(sample.cpu, count),
        rate(sample.wall, count),
    );
    Ok(calls)
}
