//! `serve`: runs the three stages as one process on the three queues.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use notifier::base::Environment;
use notifier::daemon::http::Pages;
use notifier::daemon::{self, DaemonError, Health, Served};
use notifier::deliver::Signing;
use notifier::pipeline::QueueName;
use notifier::settings::table;
use notifier::telemetry::{Metrics, Tally};
use notifier::{Notifier, Parts};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::{ForServe, Global, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::stop::Stop;
use crate::{context, log};

/// Run the three stages as one process on the three queues
///
/// Does the work of the three Lambda functions. SIGTERM or SIGINT stops it cleanly: it finishes the work in flight within
/// the grace time, and leaves the rest on the queues. `/healthz`, `/readyz` and `/metrics` are served at the address of
/// `--listen`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: SettingFlags<ForServe>,
}

const EXAMPLES: &str = "\
Examples:
  With the queues in the environment:
    SQS=https://sqs.eu-west-1.amazonaws.com/111122223333
    export NOTIFIER_OBSERVER_QUEUE_URL=$SQS/ecs_service_notification_eu-west-1
    export NOTIFIER_SERVICES_QUEUE_URL=$SQS/ecs_service_eu-west-1
    export NOTIFIER_TASKS_QUEUE_URL=$SQS/ecs_service_task_eu-west-1
    ecs-task-notifier serve

  In a container, with all settings in a file and logs in JSON:
    ecs-task-notifier serve --config notifier.toml --listen 0.0.0.0:8080 --log-format json

  Its state:
    curl --fail http://127.0.0.1:8080/readyz";

/// Time limit at the end for the rest of the log and of the traces.
const FLUSH_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn run(
    global: &Global,
    args: ServeArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    // The daemon requires a decision about signing: the keys, or `none`.
    let needed: Vec<_> =
        QueueName::BROADCAST.map(table::queue).into_iter().chain([&table::SIGNING_SECRET]).collect();
    let settings = context::settings(global, &args.settings.flags, &needed, environment, console)?;
    log::start(console, settings.daemon.log_format, settings.daemon.log_level);
    let aws = context::unattended_aws(global, &settings).await?;
    context::queues_in_region(&aws, &settings.queues)?;
    let auth = context::auth(&aws, &settings, environment).await?;
    if settings.auth.signing == Signing::Off {
        tracing::warn!("{}", context::UNSIGNED);
    }
    let ledger = context::ledger(&aws, &settings).await?;
    let routes = context::routes(&aws, &settings, environment).await?;
    let traces = context::traces(&aws, &settings, environment).await?;
    let senders = notifier::senders(&settings, &aws).await;
    let metrics = Metrics::new(Tally::new(settings.daemon.metrics_services));
    let progress = metrics.of(notifier::report::logged().map_err(Failure::runtime)?);
    let listen = settings.daemon.listen;
    let (progress_of, spans) = (progress.clone(), traces.spans());
    let parts = Parts { auth, ledger, routes, senders, progress: progress_of, spans, ..Parts::default() };
    let notifier = Notifier::new(settings, aws, parts);
    let health = Health::default();
    let shutdown = CancellationToken::new();
    let listener = match listen {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                Failure::failed(format!("cannot listen at {address}"))
                    .because(&error)
                    .hint("choose another address with --listen, or no listener with `--listen none`")
            })?;
            Some(listener)
        }
    };
    let answering = CancellationToken::new();
    let sources = notifier.metrics_sources();
    let pages = Pages { health: health.clone(), metrics: Some(Arc::new((metrics.clone(), sources))) };
    let answers =
        listener.map(|listener| tokio::spawn(daemon::http::serve(listener, pages, answering.clone())));
    tokio::spawn(stop_when_asked(Stop::listen()?, shutdown.clone()));
    tracing::info!("Serving");
    let served = notifier.run(health, shutdown).await;
    tokio::join!(progress.flush(FLUSH_MAX), traces.flush(FLUSH_MAX));
    log_outcomes(&metrics);
    answering.cancel();
    if let Some(answers) = answers {
        // It ends only because it was stopped: the result has no information.
        drop(answers.await);
    }
    let Served { done, retried, dead_lettered, returned } = served.map_err(failure)?;
    // The field's name is part of the log's interface.
    tracing::info!(done, retried, buried = dead_lettered, returned, "Stopped");
    Ok(Exit::Done)
}

/// The last totals: nobody may scrape them any more.
fn log_outcomes(metrics: &Metrics) {
    let [delivered, rejected, failed, gone, skipped] = metrics.outcomes().map(|(_, count)| count);
    tracing::info!(delivered, rejected, failed, gone, skipped, "Deliveries by outcome");
}

async fn stop_when_asked(stop: Stop, shutdown: CancellationToken) {
    let signal = stop.asked().await;
    tracing::info!("Stopping after {signal}");
    shutdown.cancel();
}

fn failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Queue { source, .. } => Failure::from(source),
        DaemonError::Crashed(_) => Failure::failed("the daemon crashed").because(&error),
        _ => Failure::usage(error.to_string()).because(&error),
    }
}
