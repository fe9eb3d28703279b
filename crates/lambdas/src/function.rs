//! One function: settings, clients and log once, then invocation after invocation.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use notifier::aws::budget::Budget;
use notifier::aws::{self, Aws};
use notifier::base::Environment;
use notifier::base::text::chain;
use notifier::base::{Clock, Rng};
use notifier::deliver::{Auth, Deliverer, Signing};
use notifier::fleet::Discovery;
use notifier::ledger;
use notifier::pipeline::{Ctx, StageName};
use notifier::pipeline::{Stage, Work};
use notifier::queue::{EventSourceMapping, Queue};
use notifier::report;
use notifier::secrets::Vault;
use notifier::settings::table::{self, Setting};
use notifier::settings::{Flags, Settings, Sources};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::batch::Worker;
use crate::record::Batch;

/// How long an invocation waits for the log.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Runs one stage as a Lambda function, until Lambda ends the process.
///
/// # Errors
///
/// Settings that are missing or wrong, all at once; and a runtime interface that does not answer.
pub fn run(stage: StageName) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(stage))
}

async fn serve(stage: StageName) -> Result<(), Error> {
    let environment = Environment::of_process();
    let [own, next] = queues(stage);
    // Whoever calls tasks unattended says by which keys, or that there are none.
    let signing = (stage == StageName::Notify).then_some(&table::SIGNING_SECRET);
    let needed: Vec<_> = [own, next, signing].into_iter().flatten().collect();
    let sources =
        Sources { flags: &Flags::default(), config: None, environment: &environment, needed: &needed };
    let settings = Settings::load(sources);
    log(settings.as_ref().map_or(tracing::Level::INFO, |(settings, _)| settings.daemon.log_level));
    let (settings, warnings) = settings.inspect_err(|mistakes| tracing::error!("{mistakes}"))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let senders = settings.trusted_senders.clone();
    if senders.is_empty() && stage != StageName::Services {
        // A function's own identity would not help: the stage before it has another.
        tracing::warn!(
            "NOTIFIER_TRUSTED_SENDERS names nobody, so no message is believed: ECS is asked before every call"
        );
    }
    let budget = Budget::percent(settings.aws_budget_percent);
    let aws = Aws::load(aws::AwsOptions { budget, ..aws::AwsOptions::default() }).await?.in_region()?;
    let trust = match stage {
        StageName::Notify => trust(&settings, &aws, environment).await?,
        StageName::Services | StageName::Tasks => Auth::default(),
    };
    let rng = Rng::from_entropy();
    let (source, next) = open(stage, &settings, &aws, &rng).ok_or("a queue has no URL")?;
    // Corrected, unlike Lambda's own below, in which deadlines are.
    let clock = aws.clock();
    let ledger = ledger::open(&settings.ledger, &aws, clock.clone(), rng.clone(), ledger::Use::Call).await?;
    let progress = report::logged()?;
    let ctx = Ctx::new(
        Discovery::new(&aws, settings.health, settings.allow_networks.clone()),
        Deliverer::new(&settings.delivery, settings.allow_networks, clock.clone(), rng.clone())
            .trusting(trust),
        ledger,
        progress.clone(),
        clock,
    );
    let ctx = Arc::new(ctx.believing(senders));
    let handler = Stage { ctx, name: stage };
    let worker = &Worker { work: Work { stage, next, handler, rng }, source };
    let clock = &Clock::system();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        let left = event.context.deadline() - clock.now();
        let left = Duration::try_from(left).unwrap_or_default();
        let answer = worker.run(&event.payload, Instant::now() + left).await?;
        // Lambda freezes the process after the answer, and what is not written then may never be.
        progress.flush(FLUSH_MAX).await;
        Ok::<_, Error>(answer)
    }))
    .await
}

/// The secrets by which requests prove themselves; without them the function does not start.
async fn trust(settings: &Settings, aws: &Aws, environment: Environment) -> Result<Auth, Error> {
    if settings.trust.signing == Signing::Off {
        tracing::warn!("Requests are not signed: tasks cannot tell them from anybody else's");
    }
    let vault = Vault::new(environment, Some(aws.secrets.clone()));
    let trust = Auth::load(&settings.trust, &vault).await;
    Ok(trust.inspect_err(|error| tracing::error!("{}", chain(error)))?)
}

/// The settings of the queues that a stage reads and writes.
fn queues(stage: StageName) -> [Option<&'static Setting>; 2] {
    let [observer, services, tasks] = table::QUEUES;
    match stage {
        StageName::Services => [Some(observer), Some(services)],
        StageName::Tasks => [Some(services), Some(tasks)],
        StageName::Notify => [Some(tasks), None],
    }
}

fn open(
    stage: StageName,
    settings: &Settings,
    aws: &Aws,
    rng: &Rng,
) -> Option<(EventSourceMapping, Option<Queue>)> {
    let queue = |url: &Option<String>| Some(Queue::at(aws.sqs.clone(), url.clone()?, rng.clone()));
    let urls = &settings.queues;
    Some(match stage {
        StageName::Services => {
            (EventSourceMapping::new(queue(&urls.observer)?), Some(queue(&urls.services)?))
        }
        StageName::Tasks => (EventSourceMapping::new(queue(&urls.services)?), Some(queue(&urls.tasks)?)),
        StageName::Notify => (EventSourceMapping::new(queue(&urls.tasks)?), None),
    })
}

/// One JSON object a line, as Lambda's JSON log format takes it. Lambda adds neither colour nor time to it.
fn log(level: tracing::Level) {
    let level = level.as_str().to_lowercase();
    let filter = EnvFilter::new(format!("warn,notifier={level},lambdas={level}"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).json().flatten_event(true).with_ansi(false);
    // It fails only where a logger is already there, and then there is one.
    drop(builder.try_init());
}
