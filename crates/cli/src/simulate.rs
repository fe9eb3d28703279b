//! `simulate`: ECS, EC2 and SQS on loopback, for a fleet described in a file.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use notifier::ambient::Clock;
use notifier::input;
use simulator::{Fleet, Options, QueueSpec, Simulator};

use crate::args::Global;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::log;
use crate::stop::Stop;

/// The fleet of a run without a file.
const EXAMPLE: &str = include_str!("../../simulator/fleets/example.toml");
/// The most bytes of a fleet file.
const FLEET_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Run the simulator of ECS, EC2 and SQS by itself, until Ctrl-C
///
/// Its containers really listen, on loopback addresses, and answer as the fleet file says. Any credentials and any region
/// are accepted.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// The fleet, in TOML; else an example with every kind of service
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Where the API listens; else a free port of 127.0.0.1
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// An SQS queue that is there from the start; repeat it for more
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<String>,
    /// Print the example fleet, with every field explained, and end
    #[arg(long)]
    print_example: bool,
    /// Throttle as AWS does
    #[arg(long)]
    throttle: bool,
}

const EXAMPLES: &str = "\
Examples:
  The example fleet, and a look at it from another terminal:
    ecs-task-notifier simulate --listen 127.0.0.1:4500
    ecs-task-notifier plan --cluster prod --endpoint-url http://127.0.0.1:4500 --region us-east-1

  A fleet of one's own:
    ecs-task-notifier simulate --print-example > fleet.toml
    ecs-task-notifier simulate --fleet fleet.toml";

/// The time, since 1970: how old a message is must be the same for the simulator and for whoever reads it.
pub(crate) fn now() -> Duration {
    Duration::from_secs(Clock::system().unix_seconds().unsigned_abs())
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
    let queues = args.queues.into_iter().map(|name| QueueSpec { name, ..QueueSpec::default() });
    let options = Options {
        listen: args.listen,
        queues: queues.collect(),
        throttle_like_aws: args.throttle,
        epoch: now(),
        ..Options::default()
    };
    let sim = Simulator::start(fleet, options)
        .await
        .map_err(|error| Failure::failed("the simulator cannot start").because(&error))?;
    let stop = Stop::listen()?;
    writeln!(console.out(), "{}", sim.url()).map_err(Failure::output)?;
    console.finish().map_err(Failure::output)?;
    console.say(&format!(
        "{} tasks; Ctrl-C ends it. In another terminal:\n{}",
        sim.tasks().len(),
        pointers(&sim.url())
    ));
    stop.asked().await;
    sim.stop().await;
    Ok(Exit::Done)
}

/// How to point other tools at a simulator.
pub(crate) fn pointers(url: &str) -> String {
    format!(
        "  export AWS_ENDPOINT_URL={url} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\n  \
         export NOTIFIER_ALLOW_NETWORKS=127.0.0.0/8,::1/128\n  \
         aws ecs list-clusters"
    )
}

fn read(path: &std::path::Path) -> Result<String, Failure> {
    let read = std::fs::File::open(path).and_then(|file| input::text(file, FLEET_BYTES_MAX));
    read.map_err(|error| Failure::usage(format!("{} cannot be read", path.display())).because(&error))
}
