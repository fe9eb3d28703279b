//! A program as a whole, from its start to its end: its processor time and memory, as the kernel accounts for them.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::process;

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Measured {
    /// The exit code that it must end with
    #[arg(long, default_value_t = 0)]
    code: i32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The cost of one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// `ru_maxrss`: the most memory that it ever had.
    pub(crate) peak_kb: u64,
    pub(crate) wall: Duration,
}

/// Runs the program on the first processor, with this process's environment, and prints its cost on one line.
///
/// The kernel adds up what children cost, so a process measures one program and ends.
pub(crate) fn run(Measured { code, command }: &Measured) -> Result<ExitCode> {
    // The program inherits it, and sees one processor.
    process::pin(0);
    let (program, args) = command.split_first().context("no program")?;
    let started = Instant::now();
    let ended = Command::new(program).args(args).stdin(Stdio::null()).output()?;
    let wall = started.elapsed();
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.code() == Some(*code), "{} {args:?}: {}\n{said}", program.display(), ended.status);
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let [user, system] = [usage.user_time(), usage.system_time()].map(nanos);
    println!("{} {} {} {}", user?, system?, usage.max_rss(), wall.as_nanos());
    Ok(ExitCode::SUCCESS)
}

fn nanos(time: TimeVal) -> Result<i64> {
    let micros = time.tv_sec().checked_mul(1_000_000).and_then(|micros| micros.checked_add(time.tv_usec()));
    micros.and_then(|micros| micros.checked_mul(1_000)).context("no length of time")
}

impl Cost {
    /// User and system time.
    pub(crate) fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

impl FromStr for Cost {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let mut next =
            || Ok::<_, anyhow::Error>(words.next().context("a figure is missing")?.parse::<u64>()?);
        Ok(Self {
            user: Duration::from_nanos(next()?),
            system: Duration::from_nanos(next()?),
            peak_kb: next()?,
            wall: Duration::from_nanos(next()?),
        })
    }
}
