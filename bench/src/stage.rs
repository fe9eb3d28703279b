//! What a broadcast meets: receivers and simulated fleets in processes of their own, and a clean sample of one client.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::load::{self, CLUSTER, KIND, REGION, SUBJECT};
use crate::measure::Cost;
use crate::receivers::Receivers;

/// Who makes the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// The smallest client.
    Floor,
    /// `ecs-task-notifier send` without a ledger.
    Send,
    /// The same with a ledger in a file.
    SendWithLedger,
    /// `ecs-task-notifier ask`.
    Ask,
    /// The library alone, with or without metrics and spans.
    Direct { metrics: bool, spans: bool },
}

/// One run of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) cost: Cost,
    /// Bytes of one request.
    pub(crate) request_bytes: f64,
    /// Processor time of the receivers.
    pub(crate) receivers: Duration,
}

/// How `send` is run, where that is not the default.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) concurrency: u16,
    pub(crate) timeout_ms: u32,
    pub(crate) attempts: u32,
    /// Tasks that never answer.
    pub(crate) hung: u32,
}

/// The receivers, and where the clients are.
pub(crate) struct Stage {
    program: PathBuf,
    receivers: Role,
    port: u16,
    /// Processor time of the receivers so far.
    spent: Duration,
}

/// A simulated fleet.
pub(crate) struct Fleet {
    tasks: u32,
    url: String,
    _process: Role,
}

/// This program again, in another role. It ends with its input, so also with this process.
struct Role {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Role {
    fn start(args: &[&str]) -> Result<Self> {
        let mut process = start(args)?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        Ok(Self { process, output })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a process of the benchmark ended early");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It ends by itself: there is nothing to do about it if it does not.
        let _ = self.process.wait();
    }
}

/// Starts this program again, in another role.
pub(crate) fn start(args: &[&str]) -> Result<Child> {
    let program = std::env::current_exe()?;
    let child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.context("cannot start another process")
}

impl Stage {
    /// Starts the receivers. `program` is `ecs-task-notifier`.
    pub(crate) fn start(program: &Path, receivers: &Receivers) -> Result<Self> {
        ensure!(program.is_file(), "{} is not there: build it, or use `make bench`", program.display());
        let delay = receivers.delay_ms.to_string();
        let mut args = vec!["receivers", "--delay-ms", &delay];
        args.extend(receivers.some_hang.then_some("--some-hang"));
        args.extend(receivers.versions.then_some("--versions"));
        let mut receivers = Role::start(&args)?;
        let port = receivers.line()?.parse()?;
        Ok(Self { program: program.to_owned(), receivers, port, spent: Duration::ZERO })
    }

    /// Starts a fleet whose calls these receivers get.
    pub(crate) fn fleet(&self, tasks: u32) -> Result<Fleet> {
        let [tasks_text, port] = [tasks.to_string(), self.port.to_string()];
        let mut process = Role::start(&["fleet", "--tasks", &tasks_text, "--port", &port])?;
        Ok(Fleet { tasks, url: process.line()?, _process: process })
    }

    /// Runs a client once. Every task must have been called, once, and by a signed request.
    pub(crate) fn sample(&mut self, client: Client, fleet: &Fleet, way: &Way) -> Result<Sample> {
        let folder = TempDir::new()?;
        let command = match client {
            Client::Floor => self.floor(fleet, way),
            Client::Direct { metrics, spans } => direct(fleet, way, metrics, spans),
            Client::Send => self.send(fleet, way, "none"),
            Client::Ask => self.ask(fleet, way),
            Client::SendWithLedger => {
                let path = folder.path().join("ledger.sqlite3");
                self.send(fleet, way, &format!("sqlite:{}", path.display()))
            }
        };
        self.seen()?;
        let ended = command?.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(ended.status.success(), "{client:?} failed with {} tasks", fleet.tasks);
        let cost = String::from_utf8(ended.stdout)?.parse()?;
        let seen = self.seen()?;
        let expected = fleet.tasks - way.hung;
        // A client that loses calls looks fast.
        ensure!(
            seen.answered == expected && seen.called == expected,
            "{client:?}: {} signed requests to {} tasks, not one to each of {expected}",
            seen.answered,
            seen.called,
        );
        let request_bytes = f64::from(seen.bytes) / f64::from(expected);
        Ok(Sample { cost, request_bytes, receivers: seen.cpu })
    }

    fn floor(&self, fleet: &Fleet, way: &Way) -> Result<Command> {
        let mut command = measured(0)?;
        command.arg(std::env::current_exe()?).arg("floor");
        for (flag, value) in [
            ("--port", self.port.into()),
            ("--count", fleet.tasks),
            ("--concurrency", way.concurrency.into()),
        ] {
            command.arg(flag).arg(value.to_string());
        }
        Ok(command)
    }

    fn send(&self, fleet: &Fleet, way: &Way, ledger: &str) -> Result<Command> {
        let mut command = self.product("send", fleet, way)?;
        command.args(["--ledger", ledger, "--timeout-ms", &way.timeout_ms.to_string()]);
        Ok(command)
    }

    fn ask(&self, fleet: &Fleet, way: &Way) -> Result<Command> {
        let mut command = self.product("ask", fleet, way)?;
        command.args(["--pick", "/version", "--timeout", &format!("{}s", way.timeout_ms.div_ceil(1_000))]);
        Ok(command)
    }

    /// A subcommand that calls the fleet with the same event.
    fn product(&self, subcommand: &str, fleet: &Fleet, way: &Way) -> Result<Command> {
        // Some tasks not notified, or all.
        let mut command = measured(i32::from(way.hung > 0))?;
        command.arg(&self.program);
        command.args([subcommand, "--cluster", CLUSTER, "--type", KIND, "--subject", SUBJECT]);
        command.args(["--data", &load::data()]);
        for (flag, value) in [
            ("--concurrency", way.concurrency.into()),
            ("--attempts", way.attempts),
            // A whole bucket of AWS's throttles: what is measured is not how long it is waited for.
            ("--aws-budget-percent", 100),
        ] {
            command.arg(flag).arg(value.to_string());
        }
        // Nothing of this machine's own settings: neither the product's nor AWS's.
        command.env_clear().envs([
            ("AWS_ENDPOINT_URL", fleet.url.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8"),
            ("NOTIFIER_SIGNING_SECRET", "env:BENCH_SIGNING_KEY"),
            ("BENCH_SIGNING_KEY", &load::signing_key()),
        ]);
        Ok(command)
    }

    /// What the receivers saw since the last question.
    fn seen(&mut self) -> Result<Seen> {
        let input = self.receivers.process.stdin.as_mut().context("no input")?;
        writeln!(input)?;
        let line = self.receivers.line()?;
        let mut words = line.split(' ');
        let mut next = || words.next().context("a figure is missing");
        let [answered, called, bytes] = [next()?.parse()?, next()?.parse()?, next()?.parse()?];
        let spent = Duration::from_nanos(next()?.parse()?);
        let cpu = spent.saturating_sub(std::mem::replace(&mut self.spent, spent));
        Ok(Seen { answered, called, bytes, cpu })
    }
}

/// What the receivers saw of one client.
struct Seen {
    answered: u32,
    called: u32,
    bytes: u32,
    cpu: Duration,
}

fn direct(fleet: &Fleet, way: &Way, metrics: bool, spans: bool) -> Result<Command> {
    let mut command = measured(0)?;
    command.arg(std::env::current_exe()?).args(["direct", "--url", &fleet.url]);
    command.args(["--tasks", &fleet.tasks.to_string(), "--concurrency", &way.concurrency.to_string()]);
    command.args(metrics.then_some("--metrics")).args(spans.then_some("--spans"));
    Ok(command)
}

/// Runs what is added to it, and prints its cost; it must end with this exit code.
fn measured(code: i32) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["measure", "--code", &code.to_string(), "--"]);
    Ok(command)
}
