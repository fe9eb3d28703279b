//! `demo`: a whole broadcast on loopback. The daemon is the one of `serve`, and so is every request to AWS; only AWS and
//! the tasks are simulated.

mod staging;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use notifier::ambient::{Chance, Clock};
use notifier::aws::Aws;
use notifier::daemon::{self, Queues, StageOptions};
use notifier::deliver::{self, Deliverer};
use notifier::discover::{Discovery, Health};
use notifier::network::Networks;
use notifier::queue::{Queue, Trace};
use notifier::report::{Counts, Tally};
use notifier::stage::Ctx;
use simulator::{Fleet, Options, QueueSpec, Simulator};
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, BroadcastId, Data, Draft, ObserverMessage};

use crate::args::{Format, Global};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::live::{self, Live, Shared};
use crate::{log, publish, send, simulate, stop};
use staging::{CLUSTER, Role};

/// How long the broadcast may take before the demo gives up on it.
const BROADCAST_TIME_MAX: Duration = Duration::from_secs(120);
/// Between two looks at whether the broadcast is complete.
const LOOK: Duration = Duration::from_millis(20);
/// The queues, in the order of the stages.
const QUEUES: [&str; 3] =
    ["ecs_service_notification_us-east-1", "ecs_service_us-east-1", "ecs_service_task_us-east-1"];
/// Region and account of the simulated AWS.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "111122223333";

/// A whole broadcast on this machine: no AWS account, no set-up
///
/// Starts a simulated ECS, EC2 and SQS with a fleet whose containers really listen on loopback, runs the daemon on the
/// simulated queues, publishes one event, and reports what became of it for every container. At the end it compares the
/// report with what was staged and with what the containers received: exit code 0 when all agree.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Ordinary services, beside the ten that each show something
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=500))]
    services: u16,
    /// Tasks of each ordinary service
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    tasks: u16,
    /// Leave everything running, and say how to point other tools at it
    #[arg(long)]
    keep: bool,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier demo
  ecs-task-notifier demo --services 20 --tasks 10
  ecs-task-notifier demo --format json | jq 'select(.outcome == \"skipped\")'
  ecs-task-notifier demo --keep";

pub(crate) async fn run(_: &Global, args: DemoArgs, console: &mut Console) -> Result<Exit, Failure> {
    log_quietly(console);
    let cast = staging::cast(usize::from(args.services), usize::from(args.tasks));
    let sim = start(&cast).await?;
    let broadcast = broadcast()?;
    console.say(&format!(
        "simulating ECS, EC2 and SQS at {}: cluster `{CLUSTER}`, {} services, {} tasks",
        sim.url(),
        cast.len(),
        sim.tasks().len()
    ));

    let tally: Shared = Arc::new(Mutex::new(Tally::new(broadcast.id.clone())));
    let aws = Aws::at(&sim.url(), REGION);
    let (queues, observer) = queues(&aws, &sim);
    let ctx = Arc::new(stages(&aws, &tally)?);
    let shutdown = CancellationToken::new();
    let options = daemon::Options {
        notify: Some(StageOptions::new(deliver::Options::default().concurrency)),
        grace: Duration::from_secs(2),
        ..daemon::Options::new(Chance::from_entropy())
    };
    let daemon = tokio::spawn(daemon::serve(ctx, queues, options, shutdown.clone()));

    let scope = ObserverMessage { cluster: CLUSTER.to_owned(), ..ObserverMessage::default() };
    let body = publish::message(scope, &broadcast)?;
    observer
        .publish(&[body], &Trace::default())
        .await
        .map_err(|error| Failure::failed("the event was not published").because(&error))?;
    console.say(&format!("published {} ({}) to {}", broadcast.id, broadcast.event.kind(), observer.name()));
    let live = Live::start(console.talk(), Arc::clone(&tally));
    let complete = tokio::time::timeout(BROADCAST_TIME_MAX, completion(&tally)).await.is_ok();
    live.finish().await;

    let verdict = show(&cast, &sim, &tally, complete, console);
    if args.keep && verdict.is_ok() {
        console.finish().map_err(Failure::output)?;
        keep(&sim, console).await?;
    }
    shutdown.cancel();
    let ended = daemon.await.map_err(|error| Failure::failed("the daemon crashed").because(&error))?;
    sim.stop().await;
    ended.map_err(|error| Failure::failed("the daemon failed").because(&error))?;
    verdict
}

/// A rejected call is part of the show: the daemon's warnings about it are for `--verbose`.
fn log_quietly(console: &Console) {
    if console.verbose > 0 {
        log::for_people(console);
    }
}

async fn start(cast: &[Role]) -> Result<Simulator, Failure> {
    let fleet = Fleet::from_toml(&staging::fleet(cast))
        .map_err(|error| Failure::failed("the demo's fleet is wrong").because(&error))?;
    let dead = QUEUES.iter().map(|name| QueueSpec { name: format!("{name}_dead"), ..QueueSpec::default() });
    let live = QUEUES.iter().map(|name| QueueSpec {
        name: (*name).to_owned(),
        attributes: BTreeMap::from([
            ("VisibilityTimeout".to_owned(), "30".to_owned()),
            (
                "RedrivePolicy".to_owned(),
                serde_json::json!({
                    "deadLetterTargetArn": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}_dead"),
                    "maxReceiveCount": 5,
                })
                .to_string(),
            ),
        ]),
    });
    let options = Options { queues: dead.chain(live).collect(), ..Options::default() };
    Simulator::start(fleet, options)
        .await
        .map_err(|error| Failure::failed("the demo cannot start").because(&error))
}

fn broadcast() -> Result<Broadcast, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::failed("the demo's event is wrong").because(error);
    let id = BroadcastId::try_from(uuid::Uuid::now_v7().to_string()).map_err(|error| wrong(&error))?;
    let data = Data::from_json(r#"{"cache":"prices"}"#.to_owned()).map_err(|error| wrong(&error))?;
    let draft =
        Draft { kind: Some("com.example.cache.clear".to_owned()), data: Some(data), ..Draft::default() };
    let event = draft.complete(&id, Clock::system().now()).map_err(|error| wrong(&error))?;
    Ok(Broadcast { id, event })
}

fn queues(aws: &Aws, sim: &Simulator) -> (Queues, Queue) {
    let chance = Chance::from_entropy();
    let [observer, services, tasks] = QUEUES
        .map(|name| Queue::at(aws.sqs.clone(), format!("{}/{ACCOUNT}/{name}", sim.url()), chance.clone()));
    let queues = Queues { observer: Some(observer.clone()), services: Some(services), tasks: Some(tasks) };
    (queues, observer)
}

fn stages(aws: &Aws, tally: &Shared) -> Result<Ctx, Failure> {
    // The only form in which loopback may be called.
    let networks: Networks = "127.0.0.0/8,::1/128"
        .parse()
        .map_err(|error| Failure::failed("loopback cannot be allowed").because(&error))?;
    let options = deliver::Options::default();
    Ok(Ctx {
        discovery: Discovery::new(aws, Health::Detect, networks.clone()),
        deliverer: Deliverer::new(&options, networks, Clock::system(), Chance::from_entropy()),
        progress: live::follow(tally),
    })
}

async fn completion(tally: &Shared) {
    while !lock(tally).is_complete() {
        tokio::time::sleep(LOOK).await;
    }
}

fn lock(tally: &Shared) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the report and who was not asked, and says whether everything ended as staged.
fn show(
    cast: &[Role],
    sim: &Simulator,
    tally: &Shared,
    complete: bool,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let tally = lock(tally);
    send::show(&tally.report(), console)?;
    if console.format == Format::Text {
        bystanders(&tally, console).map_err(Failure::output)?;
    }
    let seen: BTreeMap<&str, Counts> = tally.services().collect();
    let differences = differences(cast, &seen, sim);
    if !complete {
        return Err(Failure::not_told(format!("the broadcast did not end within {BROADCAST_TIME_MAX:?}")));
    }
    if let Some(first) = differences.first() {
        let number = differences.len();
        return Err(Failure::not_told(format!(
            "{number} of {} services did not end as staged: {first}",
            cast.len()
        )));
    }
    console.say("every service ended as staged, and its containers received as many calls as they should:");
    for role in cast.iter().filter(|role| !role.name.starts_with("ordinary")) {
        console.say(&format!("  {:<9} {}", role.name, role.shows));
    }
    Ok(Exit::Done)
}

/// One line for each service and reason.
fn bystanders(tally: &Tally, console: &mut Console) -> std::io::Result<()> {
    let mut lines = BTreeMap::<String, usize>::new();
    for one in tally.bystanders() {
        *lines.entry(format!("{}: {}", one.member.service, one.reason)).or_default() += 1;
    }
    writeln!(console.out(), "not called, because nobody asked:")?;
    for (line, number) in lines {
        let times = if number == 1 { String::new() } else { format!(" ({number} times)") };
        writeln!(console.out(), "  {line}{times}")?;
    }
    Ok(())
}

/// The services that did not end as staged, by the report or by what their containers received.
fn differences(cast: &[Role], seen: &BTreeMap<&str, Counts>, sim: &Simulator) -> Vec<String> {
    let mut calls = BTreeMap::<String, usize>::new();
    for received in sim.received() {
        *calls.entry(received.service.unwrap_or_default()).or_default() += 1;
    }
    let difference = |role: &Role| {
        let counts = seen.get(role.name.as_str()).copied().unwrap_or_default();
        let received = calls.get(&role.name).copied().unwrap_or_default();
        (counts != role.counts || received != role.calls).then(|| {
            format!(
                "{} received {received} calls, not {}, and came to {counts:?}, not {:?}",
                role.name, role.calls, role.counts
            )
        })
    };
    cast.iter().filter_map(difference).collect()
}

async fn keep(sim: &Simulator, console: &Console) -> Result<(), Failure> {
    console.say(&format!(
        "everything is left running until Ctrl-C. In another terminal:\n{}\n  ecs-task-notifier plan --cluster {CLUSTER}\n  \
         ecs-task-notifier send --cluster {CLUSTER}\n  ecs-task-notifier publish --cluster {CLUSTER} --queue {}",
        simulate::pointers(&sim.url()),
        QUEUES[0]
    ));
    stop::asked().await.map_err(|error| Failure::failed("cannot wait for signals").because(&error))?;
    Ok(())
}
