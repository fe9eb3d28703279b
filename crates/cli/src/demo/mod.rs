//! `demo`: a whole broadcast on loopback. The daemon is that of `serve`, with the real AWS SDK; only AWS and the tasks
//! are simulated.

mod check;
mod scene;
mod staging;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use notifier::base::Clock;
use notifier::queue::Trace;
use notifier::report::BroadcastState;
use simulator::Simulator;
use tokio::task::JoinSet;
use wire::{Broadcast, BroadcastId, Data, Draft, ObserverMessage};

use crate::args::{Format, Global, ProgressArgs};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::live::{Live, Shared};
use crate::render::format::{count, digits, duration};
use crate::render::style::{BOLD, DIM};
use crate::render::table::{Cell, Table};
use crate::stop::Stop;
use crate::{log, progress, publish, summary, trial};
use scene::Scene;
use staging::{CLUSTER, Role};

/// Time limit of the broadcast.
const BROADCAST_TIME_MAX: Duration = Duration::from_secs(120);
/// Pause between two checks whether the broadcast is complete.
const LOOK: Duration = Duration::from_millis(20);
/// Commands to try in another terminal while the demo keeps running. Some containers of its fleet cannot be notified, so
/// `send` and `publish` end with exit code 1.
const COMMANDS: [&str; 8] = [
    "plan --cluster demo",
    "send --cluster demo",
    "publish --cluster demo --wait",
    "report last",
    "history",
    "send --failed-of last",
    "redrive --dry-run",
    "drop --code rejected --reason 'not needed'",
];

/// A whole broadcast on this machine: no AWS account, no set-up
///
/// Starts a simulated ECS, EC2, SQS and STS with a fleet whose containers really listen on loopback, runs the daemon on the
/// simulated queues, publishes one event, and reports the outcome of every container. At the end it compares the report
/// with what was staged and with what the containers received: exit code 0 if all agree.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Ordinary services, in addition to those that each show one case
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=500))]
    services: u16,
    /// Tasks of each ordinary service
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    tasks: u16,
    /// Keep everything running until Ctrl-C, and write a file to `source` in another terminal
    #[arg(long)]
    keep: bool,
    /// Keep everything running, and show it in a browser: an address, or 127.0.0.1:8787
    #[arg(
        long,
        value_name = "ADDR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:8787"
    )]
    page: Option<SocketAddr>,
    /// With --keep or --page: path of that file [default: in a temporary folder]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(flatten)]
    progress: ProgressArgs,
}

const EXAMPLES: &str = "\
Examples:
  ecs-task-notifier demo
  ecs-task-notifier demo --services 20 --tasks 10
  ecs-task-notifier demo --format json | jq 'select(.outcome == \"skipped\")'
  ecs-task-notifier demo --keep
  ecs-task-notifier demo --page";

pub(crate) async fn run(_: &Global, args: DemoArgs, console: &mut Console) -> Result<Exit, Failure> {
    console.show_progress(args.progress.progress);
    log_quietly(console);
    let is_kept = args.keep || args.page.is_some();
    if args.env_file.is_some() && !is_kept {
        return Err(Failure::usage("--env-file needs --keep or --page"));
    }
    let cast = staging::cast(usize::from(args.services), usize::from(args.tasks));
    // Before the folder exists, so that a signal does not leave it behind.
    let stop = is_kept.then(Stop::listen).transpose()?;
    let mut asked = pin!(async {
        match stop {
            Some(stop) => stop.asked().await,
            None => std::future::pending().await,
        }
    });
    let folder = is_kept.then(trial::Folder::create).transpose()?;
    let scene = Scene::set(&cast, folder.as_ref()).await?;
    // Before the broadcast, so that a write error of the file is reported at once.
    let simulated = scene.simulated();
    let write = |folder: &trial::Folder| folder.write_env_file(args.env_file.as_deref(), &simulated);
    let env_file = folder.as_ref().map(write).transpose()?;
    let broadcast = broadcast()?;
    introduce(&cast, &scene.sim, &broadcast, console);
    // Ends with this function.
    let mut pages = JoinSet::new();
    if let Some(listen) = args.page {
        let page = scene.page(listen).await?;
        console.note_unwrapped(&format!("in a browser: {}", page.url().as_str()));
        pages.spawn(page.serve(std::future::pending()));
    }
    let state: Shared = Arc::new(Mutex::new(BroadcastState::new(broadcast.id.clone())));
    let progress = progress::follow(&state, console)?;
    let daemon = scene.serve(progress.clone());

    let verdict = tokio::select! {
        verdict = perform(&cast, &scene, &broadcast, &state, console) => verdict,
        signal = &mut asked => Err(Failure::unsuccessful(format!("{signal} ended the demo before its end"))),
    };
    if let (Some(env_file), Ok(_)) = (&env_file, &verdict) {
        console.note("everything keeps running until Ctrl-C. In another terminal:");
        trial::show_source(env_file, console);
        trial::show_commands(&COMMANDS, console);
        scene.sim.reset_received();
        asked.await;
        note_later_calls(&scene, console);
    }
    daemon.stop().await?;
    scene.sim.stop().await;
    verdict
}

/// Publishes the event, waits for the end of the broadcast, and shows the results.
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
    let live = Live::start(console.stderr(), Arc::clone(state));
    let complete = tokio::time::timeout(BROADCAST_TIME_MAX, completion(state)).await.is_ok();
    let took = started.elapsed();
    live.finish().await;
    show(cast, scene, state, complete.then_some(took), console)
}

/// Shows how many calls the demo's containers received after the broadcast, and checks their signatures.
fn note_later_calls(scene: &Scene, console: &mut Console) {
    let received = scene.sim.received();
    if received.is_empty() {
        return;
    }
    let calls = count(received.len(), "further call");
    match check::signatures(&scene.keys, &received) {
        Ok(()) => console.note(&format!("{calls} since then, each one signed")),
        Err(Failure { message, causes, .. }) => {
            console.warn(&format!("{calls} since then, and {message}: {}", causes.join(": ")));
        }
    }
}

/// Shows the parts of the demo and the event.
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
        ("daemon", "as in `serve`, on the three simulated queues, with the real AWS SDK".to_owned()),
        ("event", event),
    ] {
        table.row(0, [Cell::new(name, BOLD), Cell::from(what)]);
    }
    console.show_table(&table);
    console.note("");
}

/// Rejected calls are part of the demo: the daemon's warnings about them are only for `--verbose`.
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

/// Writes the report and the containers that are not targeted, and checks that everything ended as staged. `took` is the
/// time of the broadcast, if it ended.
fn show(
    cast: &[Role],
    scene: &Scene,
    state: &Shared,
    took: Option<Duration>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let state = lock(state);
    summary::show(&state.report(), console)?;
    if console.format == Format::Text {
        let not_targeted = not_targeted(&state).render(console.columns());
        write!(console.out(), "not called (no opt-in or not running):\n{not_targeted}")
            .map_err(Failure::output)?;
    }
    let Some(took) = took else {
        return Err(Failure::unsuccessful(format!(
            "the broadcast did not end within {BROADCAST_TIME_MAX:?}"
        )));
    };
    let received = scene.sim.received();
    check::signatures(&scene.keys, &received)?;
    let checks = check::checks(cast, &state, &received);
    console.note("\nwhat was staged, what was reported and what the containers received:");
    console.show_table(&check::table(&checks));
    let wrong: Vec<&str> = checks.iter().filter(|c| !c.is_right()).map(|c| c.role.name.as_str()).collect();
    if !wrong.is_empty() {
        let services = count(wrong.len(), "service");
        return Err(Failure::unsuccessful(format!("{services} did not end as staged: {}", wrong.join(", "))));
    }
    console.note(&format!(
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
