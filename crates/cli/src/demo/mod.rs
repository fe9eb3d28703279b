//! `demo`: a whole broadcast on loopback. The daemon is the one of `serve`, and so is every request to AWS; only AWS and
//! the tasks are simulated.

mod check;
mod scene;
mod staging;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use notifier::base::Clock;
use notifier::queue::Trace;
use notifier::report::BroadcastState;
use simulator::Simulator;
use wire::{Broadcast, BroadcastId, Data, Draft, ObserverMessage};

use crate::args::{Format, Global, ProgressArgs};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::live::{Live, Shared};
use crate::render::style::{BOLD, DIM};
use crate::render::table::{Cell, Table};
use crate::render::units::{count, digits, duration};
use crate::stop::Stop;
use crate::{conclusion, log, progress, publish, trial};
use scene::Scene;
use staging::{CLUSTER, Role};

/// How long the broadcast may take before the demo gives up on it.
const BROADCAST_TIME_MAX: Duration = Duration::from_secs(120);
/// Between two looks at whether the broadcast is complete.
const LOOK: Duration = Duration::from_millis(20);
/// What to try in another terminal while the demo is left running. Some of its fleet cannot be told, so `send` and
/// `publish` end with exit code 1.
const COMMANDS: [&str; 8] = [
    "plan --cluster demo",
    "send --cluster demo",
    "publish --cluster demo --wait",
    "report last",
    "history",
    "send --failed-of last",
    "redrive --dry-run",
    "drop --code rejected --reason 'it said no'",
];

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
    /// Leave everything running until Ctrl-C, and write a file to `source` in another terminal
    #[arg(long)]
    keep: bool,
    /// With --keep: where that file is written; else into a temporary folder
    #[arg(long, value_name = "FILE", requires = "keep")]
    env_file: Option<PathBuf>,
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
    // Before the folder exists: a signal must not leave it behind.
    let stop = args.keep.then(Stop::listen).transpose()?;
    let mut asked = pin!(async {
        match stop {
            Some(stop) => stop.asked().await,
            None => std::future::pending().await,
        }
    });
    let folder = args.keep.then(trial::Folder::create).transpose()?;
    let scene = Scene::set(&cast, folder.as_ref()).await?;
    // Before the broadcast, so that a file that cannot be written is told of at once.
    let simulated = scene.simulated();
    let write = |folder: &trial::Folder| folder.write_env_file(args.env_file.as_deref(), &simulated);
    let env_file = folder.as_ref().map(write).transpose()?;
    let broadcast = broadcast()?;
    introduce(&cast, &scene.sim, &broadcast, console);
    let state: Shared = Arc::new(Mutex::new(BroadcastState::new(broadcast.id.clone())));
    let progress = progress::follow(&state, console)?;
    let daemon = scene.serve(progress.clone());

    let verdict = tokio::select! {
        verdict = perform(&cast, &scene, &broadcast, &state, console) => verdict,
        signal = &mut asked => Err(Failure::not_told(format!("{signal} ended the demo before its end"))),
    };
    if let (Some(env_file), Ok(_)) = (&env_file, &verdict) {
        console.say("everything is left running until Ctrl-C. In another terminal:");
        trial::say_source(env_file, console);
        trial::say_commands(&COMMANDS, console);
        scene.sim.reset_received();
        asked.await;
        tell_since(&scene, console);
    }
    daemon.stop().await?;
    scene.sim.stop().await;
    verdict
}

/// Publishes the event, waits for the end of the broadcast, and shows what became of it.
async fn perform(
    cast: &[Role],
    scene: &Scene,
    broadcast: &Broadcast,
    state: &Shared,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let started = Instant::now();
    let scope = ObserverMessage::new(CLUSTER);
    let body = publish::message(scope, broadcast)?;
    scene
        .observer
        .publish(&[body], &Trace::default())
        .await
        .map_err(|error| Failure::failed("the event was not published").because(&error))?;
    let live = Live::start(console.talk(), Arc::clone(state));
    let complete = tokio::time::timeout(BROADCAST_TIME_MAX, completion(state)).await.is_ok();
    let took = started.elapsed();
    live.finish().await;
    show(cast, scene, state, complete.then_some(took), console)
}

/// What the demo's containers received while it was left running, and from whom.
fn tell_since(scene: &Scene, console: &mut Console) {
    let received = scene.sim.received();
    if received.is_empty() {
        return;
    }
    let calls = count(received.len(), "further call");
    match check::signatures(&scene.keys, &received) {
        Ok(()) => console.say(&format!("{calls} since then, each one signed")),
        Err(Failure { message, causes, .. }) => {
            console.warn(&format!("{calls} since then, and {message}: {}", causes.join(": ")));
        }
    }
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

fn broadcast() -> Result<Broadcast, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::failed("the demo's event is wrong").because(error);
    let id = BroadcastId::try_from(uuid::Uuid::now_v7().to_string()).map_err(|error| wrong(&error))?;
    let mut draft = Draft::new("com.example.cache.clear");
    draft.data = Some(Data::from_json(r#"{"cache":"prices"}"#.to_owned()).map_err(|error| wrong(&error))?);
    let event = draft.complete(&id, Clock::system().now()).map_err(|error| wrong(&error))?;
    Ok(Broadcast::new(event))
}

async fn completion(state: &Shared) {
    while !lock(state).is_complete() {
        tokio::time::sleep(LOOK).await;
    }
}

fn lock(state: &Shared) -> std::sync::MutexGuard<'_, BroadcastState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the report and who was not asked, and says whether everything ended as staged; `took` is how long the broadcast
/// took, if it ended.
fn show(
    cast: &[Role],
    scene: &Scene,
    state: &Shared,
    took: Option<Duration>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let state = lock(state);
    conclusion::show(&state.report(), console)?;
    if console.format == Format::Text {
        let not_targeted = not_targeted(&state).render(console.columns());
        write!(console.out(), "not called, because nobody asked:\n{not_targeted}")
            .map_err(Failure::output)?;
    }
    let Some(took) = took else {
        return Err(Failure::not_told(format!("the broadcast did not end within {BROADCAST_TIME_MAX:?}")));
    };
    let received = scene.sim.received();
    check::signatures(&scene.keys, &received)?;
    let checks = check::checks(cast, &state, &received);
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
fn not_targeted(state: &BroadcastState) -> Table {
    let mut numbers = BTreeMap::<(&str, String), usize>::new();
    for one in state.not_targeted() {
        *numbers.entry((&one.member.service, one.reason.to_string())).or_default() += 1;
    }
    let mut table = Table::default();
    for ((service, reason), number) in numbers {
        let reason = if number == 1 { reason } else { format!("{reason} ({})", digits(number)) };
        table.row(1, [Cell::from(service), Cell::new(reason, DIM)]);
    }
    table
}
