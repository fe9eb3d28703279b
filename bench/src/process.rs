//! A process's measurements of itself, and their text form in a sample.

use std::fs;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// What came of the calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) ok: u32,
    pub(crate) errors: u32,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) calls: Calls,
    /// User and system time of the whole process, while it made the calls.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// The most memory that the process ever had. Not `ru_maxrss`, which the parent's size goes into.
    pub(crate) peak_kb: u64,
}

/// Makes the calls, measures, and prints the sample on one line.
pub(crate) fn sample(make: impl FnOnce() -> Result<Calls>) -> Result<ExitCode> {
    pin(0);
    let (cpu, started) = (cpu_time(), Instant::now());
    let Calls { ok, errors } = make()?;
    let (wall, cpu) = (started.elapsed().as_nanos(), cpu_time().saturating_sub(cpu).as_nanos());
    println!("{ok} {errors} {cpu} {wall} {}", peak_kb()?);
    Ok(ExitCode::SUCCESS)
}

impl FromStr for Sample {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().context("a figure is missing");
        Ok(Self {
            calls: Calls { ok: next()?.parse()?, errors: next()?.parse()? },
            cpu: Duration::from_nanos(next()?.parse()?),
            wall: Duration::from_nanos(next()?.parse()?),
            peak_kb: next()?.parse()?,
        })
    }
}

/// Keeps this process on one processor. Without a second one there is nothing to keep apart.
pub(crate) fn pin(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    // A machine with one processor refuses the second, and the figures hold all the same.
    let _ = sched_setaffinity(None, &cpus);
}

pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn peak_kb() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
