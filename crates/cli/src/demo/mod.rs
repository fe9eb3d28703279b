//! `demo`: a whole broadcast on loopback. The daemon is the one of `serve`, and so is every request to AWS; only AWS and
//! the tasks are simulated.

mod check;
mod staging;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use notifier::ambient::{Chance, Clock};
use notifier::aws::{Aws, identity};
use notifier::daemon::{self, Queues, StageOptions};
use notifier::deliver::{self, Deliverer, Signing, Trust, TrustOptions};
use notifier::discover::{Discovery, Health};
use notifier::ledger::Ledger;
use notifier::network::Networks;
use notifier::progress::Progress;
use notifier::queue::{Queue, Trace};
use notifier::report::Tally;
use notifier::secrets::{SecretRef, Vault};
use notifier::settings::Environment;
use notifier::stage::{Ctx, Senders};
use simulator::{Fleet, Options, QueueSpec, Simulator};
use tokio_util::sync::CancellationToken;
use wire::signature::{VerifyingKeys, key_pair};
use wire::{Broadcast, BroadcastId, Data, Draft, ObserverMessage};

use crate::args::{Format, Global, ProgressArgs};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::live::{Live, Shared};
use crate::render::style::{BOLD, DIM};
use crate::render::table::{Cell, Table};
use crate::render::units::{count, digits, duration};
use crate::stop::Stop;
use crate::{conclusion, log, progress, publish, simulate};
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
/// Starts a simulated ECS, EC2, SQS and STS with a fleet whose containers really listen on loopback, runs the daemon on the
/// simulated queues, publishes one event, and reports what became of it for every container. At the end it compares the
/// report with what was staged and with what the containers received: exit code 0 when all agree.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Ordinary services, beside those that each show something
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=500))]
    services: u16,
    /// Tasks of each ordinary service
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    tasks: u16,
    /// Leave everything running, and say how to point other tools at it
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier demo
  ecs-task-notifier demo --services 20 --tasks 10
  ecs-task-notifier demo --format json | jq 'select(.outcome == \"skipped\")'
  ecs-task-notifier demo --keep";

pub(crate) async fn run(_: &Global, args: DemoArgs, console: &mut Console) -> Result<Exit, Failure> {
    console.show_progress(args.progress.progress);
    log_quietly(console);
    let cast = staging::cast(usize::from(args.services), usize::from(args.tasks));
    let sim = start(&cast).await?;
    let broadcast = broadcast()?;
    introduce(&cast, &sim, &broadcast, console);

    let tally: Shared = Arc::new(Mutex::new(Tally::new(broadcast.id.clone())));
    let aws = Aws::at(&sim.url(), REGION);
    let (queues, observer) = queues(&aws, &sim);
    let (trust, keys) = throwaway().await?;
    let own = identity::unique_id(&aws)
        .await
        .map_err(|error| Failure::failed("the demo's daemon does not know who it is").because(&error))?;
    let ctx = stages(&aws, trust, progress::follow(&tally, console))?.believing(Senders::new([own]));
    let ctx = Arc::new(ctx);
    let shutdown = CancellationToken::new();
    let options = daemon::Options {
        notify: Some(StageOptions::new(deliver::Options::default().concurrency)),
        grace: Duration::from_secs(2),
        ..daemon::Options::new(Chance::from_entropy())
    };
    let daemon = tokio::spawn(daemon::serve(ctx, queues, options, shutdown.clone()));

    let started = Instant::now();
    let scope = ObserverMessage { cluster: CLUSTER.to_owned(), ..ObserverMessage::default() };
    let body = publish::message(scope, &broadcast)?;
    observer
        .publish(&[body], &Trace::default())
        .await
        .map_err(|error| Failure::failed("the event was not published").because(&error))?;
    let live = Live::start(console.talk(), Arc::clone(&tally));
    let complete = tokio::time::timeout(BROADCAST_TIME_MAX, completion(&tally)).await.is_ok();
    let took = started.elapsed();
    live.finish().await;

    let verdict = show(&cast, &sim, &keys, &tally, complete.then_some(took), console);
    if args.keep && verdict.is_ok() {
        keep(&sim, console).await?;
    }
    shutdown.cancel();
    let ended = daemon.await.map_err(|error| Failure::failed("the daemon crashed").because(&error))?;
    sim.stop().await;
    ended.map_err(|error| Failure::failed("the daemon failed").because(&error))?;
    verdict
}

/// What is about to happen, and with what.
fn introduce(cast: &[Role], sim: &Simulator, broadcast: &Broadcast, console: &mut Console) {
    let fleet = format!(
        "cluster {CLUSTER} with {} and {}, whose containers really listen on loopback",
        count(cast.len(), "service"),
        count(sim.tasks().len(), "task"),
    );
    let data = broadcast.event.data().map_or("", Data::as_json);
    let event = format!("{} {data} with the id {}", broadcast.event.kind(), broadcast.id);
    let mut table = Table::default();
    for (name, what) in [
        ("aws", format!("ECS, EC2 and SQS, simulated at {}", sim.url())),
        ("fleet", fleet),
        ("daemon", "the one of `serve`, on the three simulated queues, with the real AWS SDK".to_owned()),
        ("event", event),
    ] {
        table.row(0, [Cell::new(name, BOLD), Cell::from(what)]);
    }
    console.say_table(&table);
    console.say("");
}

/// A rejected call is part of the show: the daemon's warnings about it are for `--verbose`.
fn log_quietly(console: &Console) {
    if console.verbose > 0 {
        log::for_people(console);
    }
}

async fn start(cast: &[Role]) -> Result<Simulator, Failure> {
    let fleet = Fleet::from_toml(&staging::fleet(cast))
        .map_err(|error| Failure::usage("the demo cannot be staged like this").because(&error))?;
    let expected: usize = cast.iter().flat_map(|role| &role.calls).sum();
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
    let options = Options {
        queues: dead.chain(live).collect(),
        // Enough to notice calls that should not have been made.
        received_max: 2 * expected + 1_000,
        epoch: simulate::now(),
        ..Options::default()
    };
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

/// A key that signs this demo's requests and no others, and what its receivers need to know of it.
async fn throwaway() -> Result<(Trust, VerifyingKeys), Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::failed("the demo has no key").because(error);
    let pair = key_pair(&*notifier::ambient::key_bytes().map_err(|error| wrong(&error))?);
    let environment: Environment = [("DEMO_KEY", pair.private.as_str())].into_iter().collect();
    let signing = Signing::By(vec![SecretRef::Env("DEMO_KEY".to_owned())]);
    let options = TrustOptions { signing, ..TrustOptions::default() };
    let trust = Trust::load(&options, &Vault::new(environment, None)).await.map_err(|error| wrong(&error))?;
    Ok((trust, VerifyingKeys::parse(&pair.public).map_err(|error| wrong(&error))?))
}

fn stages(aws: &Aws, trust: Trust, progress: Progress) -> Result<Ctx, Failure> {
    // The only form in which loopback may be called.
    let networks: Networks = "127.0.0.0/8,::1/128"
        .parse()
        .map_err(|error| Failure::failed("loopback cannot be allowed").because(&error))?;
    // Nobody wants to wait minutes for the task that refuses on purpose.
    let options = deliver::Options { horizon: Duration::ZERO, ..deliver::Options::default() };
    let clock = Clock::system();
    Ok(Ctx::new(
        Discovery::new(aws, Health::Detect, networks.clone()),
        Deliverer::new(&options, networks, clock.clone(), Chance::from_entropy()).trusting(trust),
        Ledger::none(),
        progress,
        clock,
    ))
}

async fn completion(tally: &Shared) {
    while !lock(tally).is_complete() {
        tokio::time::sleep(LOOK).await;
    }
}

fn lock(tally: &Shared) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the report and who was not asked, and says whether everything ended as staged; `took` is how long the broadcast
/// took, if it ended.
fn show(
    cast: &[Role],
    sim: &Simulator,
    keys: &VerifyingKeys,
    tally: &Shared,
    took: Option<Duration>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let tally = lock(tally);
    conclusion::show(&tally.report(), console)?;
    if console.format == Format::Text {
        let bystanders = bystanders(&tally).render(console.columns());
        write!(console.out(), "not called, because nobody asked:\n{bystanders}").map_err(Failure::output)?;
    }
    let Some(took) = took else {
        return Err(Failure::not_told(format!("the broadcast did not end within {BROADCAST_TIME_MAX:?}")));
    };
    let received = sim.received();
    check::signatures(keys, &received)?;
    let checks = check::checks(cast, &tally, &received);
    console.say("\nwhat was staged, what was reported and what the containers received:");
    console.say_table(&check::table(&checks));
    let wrong: Vec<&str> = checks.iter().filter(|c| !c.is_right()).map(|c| c.role.name.as_str()).collect();
    if !wrong.is_empty() {
        let services = count(wrong.len(), "service");
        return Err(Failure::not_told(format!("{services} did not end as staged: {}", wrong.join(", "))));
    }
    console.say(&format!(
        "all {} ended as staged, {}, each one signed, and {} after the event was published",
        count(cast.len(), "service"),
        count(received.len(), "call"),
        duration(took),
    ));
    Ok(Exit::Done)
}

/// A line for each service and reason.
fn bystanders(tally: &Tally) -> Table {
    let mut numbers = BTreeMap::<(&str, String), usize>::new();
    for one in tally.bystanders() {
        *numbers.entry((&one.member.service, one.reason.to_string())).or_default() += 1;
    }
    let mut table = Table::default();
    for ((service, reason), number) in numbers {
        let reason = if number == 1 { reason } else { format!("{reason} ({})", digits(number)) };
        table.row(1, [Cell::from(service), Cell::new(reason, DIM)]);
    }
    table
}

async fn keep(sim: &Simulator, console: &mut Console) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    console.say(&format!(
        "everything is left running until Ctrl-C. In another terminal:\n{}\n  ecs-task-notifier plan --cluster {CLUSTER}\n  \
         ecs-task-notifier send --cluster {CLUSTER}\n  ecs-task-notifier publish --cluster {CLUSTER} --queue {}",
        simulate::pointers(&sim.url()),
        QUEUES[0]
    ));
    stop.asked().await;
    Ok(())
}
