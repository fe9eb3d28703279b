//! `simulate`: ECS, EC2 and SQS on loopback, for a fleet described in a file.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use notifier::aws::Aws;
use notifier::base::Clock;
use notifier::base::input;
use notifier::settings::QueueUrls;
use simulator::fleet::EventTarget;
use simulator::{Fleet, Options, QueueSpec, Simulator};
use time::OffsetDateTime;

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::log;
use crate::render::format::count;
use crate::stop::Stop;
use crate::trial::{self, Simulated};

/// The fleet of a run without a file.
const EXAMPLE: &str = include_str!("../../simulator/fleets/example.toml");
/// The most bytes of a fleet file.
const FLEET_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Run only the simulator of ECS, EC2 and SQS, until Ctrl-C
///
/// Its containers really listen, on loopback addresses, and answer as the fleet file says. It accepts any credentials and
/// any region, and has the queues of the three stages and an empty ledger. A file to `source` in another terminal
/// directs every command and every other AWS tool to it; the file is removed at the end.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// Fleet file, in TOML [default: an example with every kind of service]
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Address of the API [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Name of an additional SQS queue; repeat it for more
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<String>,
    /// Do not make the queues of the three stages and their dead-letter queues
    #[arg(long)]
    no_queues: bool,
    /// Path of the file to `source` [default: in a temporary folder]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Print the example fleet with all fields explained, and exit
    #[arg(long)]
    print_example: bool,
    /// Throttle requests as AWS does
    #[arg(long)]
    throttle: bool,
    /// Create the registry queue too, and send the tasks' state change events to it
    #[arg(long, conflicts_with = "no_queues")]
    registry: bool,
}

const EXAMPLES: &str = "\
Examples:
  The example fleet, and in another terminal the daemon at work on it:
    ecs-task-notifier simulate --env-file trial.env
    source trial.env
    ecs-task-notifier serve

  Your own fleet:
    ecs-task-notifier simulate --print-example > fleet.toml
    ecs-task-notifier simulate --fleet fleet.toml";

/// The time since 1970. The simulator and its readers must have the same clock for the age of a message.
pub(crate) fn now() -> Duration {
    Duration::try_from(Clock::system().now() - OffsetDateTime::UNIX_EPOCH).unwrap_or_default()
}

pub(crate) async fn run(_: &Global, args: SimulateArgs, console: &mut Console) -> Result<Exit, Failure> {
    if args.print_example {
        write!(console.out(), "{EXAMPLE}").map_err(Failure::output)?;
        return Ok(Exit::Done);
    }
    log::for_people(console);
    let (name, text) = match &args.fleet {
        None => ("the example fleet".to_owned(), EXAMPLE.to_owned()),
        Some(path) => (path.display().to_string(), read(path)?),
    };
    let fleet = Fleet::from_toml(&text)
        .map_err(|error| Failure::usage(format!("{name} is not a fleet")).because(&error))?;
    let region = fleet.region.clone();
    let cluster = fleet.clusters.first().map(|cluster| cluster.name.clone());
    // Before the folder exists, so that a signal does not leave it behind.
    let stop = Stop::listen()?;
    let sim = start(fleet, &args).await?;
    let queues = if args.no_queues {
        QueueUrls::default()
    } else {
        trial::queues::create(&sim, &region, args.registry).await?
    };
    let folder = trial::Folder::create()?;
    let url = sim.url();
    // Created now, so that `history` finds an empty ledger before the first broadcast.
    drop(folder.open_ledger(&Aws::at(&url, &region)).await?);
    let key = trial::key()?.private;
    let simulated = Simulated { url: &url, region: &region, queues: &queues, key: &key };
    let env_file = folder.write_env_file(args.env_file.as_deref(), &simulated)?;
    writeln!(console.out(), "{url}").map_err(Failure::output)?;
    console.finish().map_err(Failure::output)?;
    console.note(&format!(
        "{} in {region}; Ctrl-C ends everything. In another terminal:",
        count(sim.tasks().len(), "task"),
    ));
    trial::show_source(&env_file, console);
    if let Some(cluster) = cluster {
        show_commands(&cluster, !args.no_queues, console);
    }
    stop.asked().await;
    sim.stop().await;
    Ok(Exit::Done)
}

async fn start(fleet: Fleet, args: &SimulateArgs) -> Result<Simulator, Failure> {
    let made_later: Vec<String> =
        if args.no_queues { Vec::new() } else { trial::queues::names(&fleet.region).collect() };
    let queues = args.queues.iter().filter(|name| !made_later.contains(name));
    let options = Options {
        listen: args.listen,
        queues: queues.map(|name| QueueSpec { name: name.clone(), ..QueueSpec::default() }).collect(),
        throttle_like_aws: args.throttle,
        events: args
            .registry
            .then(|| EventTarget { queue: trial::queues::registry(&fleet.region), all: false }),
        epoch: now(),
        ..Options::default()
    };
    Simulator::start(fleet, options)
        .await
        .map_err(|error| Failure::failed("the simulator cannot start").because(&error))
}

/// Lists commands to run against the simulator, in an order in which each works.
fn show_commands(cluster: &str, has_queues: bool, console: &mut Console) {
    trial::show_commands(
        &[format!("plan --cluster {cluster}"), format!("send --cluster {cluster}")],
        console,
    );
    if has_queues {
        trial::show_commands(&["serve"], console);
        console.note("While it serves, in a third terminal after the same `source`:");
        trial::show_commands(&[format!("publish --cluster {cluster} --wait")], console);
    }
    trial::show_commands(&["report last"], console);
}

fn read(path: &std::path::Path) -> Result<String, Failure> {
    let read = std::fs::File::open(path).and_then(|file| input::text(file, FLEET_BYTES_MAX));
    read.map_err(|error| Failure::usage(format!("{} cannot be read", path.display())).because(&error))
}
