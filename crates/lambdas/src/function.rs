//! One function: sets up settings, clients and log once, then handles invocations.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use notifier::aws::budget::Budget;
use notifier::aws::{Aws, AwsOptions};
use notifier::base::text::chain;
use notifier::base::trace::TraceContext;
use notifier::base::{Clock, Environment, Rng};
use notifier::deliver::{Auth, Signing};
use notifier::pipeline::{QueueName, Routing, StageName};
use notifier::queue::{EventSourceMapping, Queue};
use notifier::secrets::Vault;
use notifier::settings::table::Setting;
use notifier::settings::{Flags, Settings, Sources, table};
use notifier::telemetry::Traces;
use notifier::telemetry::emf::Emf;
use notifier::{Notifier, Parts, ledger, report, store};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::batch::{ANSWER, Worker};
use crate::metrics::Reporter;
use crate::record::Batch;
use crate::stream;

/// The variable with the function's name. Lambda sets it.
const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// Time limit of an invocation's wait for the log.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Time limit of an invocation's wait for the collector of traces: an outage costs each invocation this long.
const TRACES_FLUSH_MAX: Duration = Duration::from_secs(2);

/// Runs one stage as a Lambda function, until Lambda ends the process.
///
/// # Errors
///
/// All missing or wrong settings; and a runtime interface that does not answer.
pub fn run(stage: StageName) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(stage))
}

/// Runs the function on a DynamoDB stream, until Lambda ends the process.
///
/// # Errors
///
/// As for [`run`].
pub fn run_stream() -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve_stream())
}

async fn serve_stream() -> Result<(), Error> {
    let environment = Environment::of_process();
    let observer = table::queue(QueueName::Observer);
    let settings = load(&environment, &[observer])?;
    let aws = Aws::load(AwsOptions::default()).await?.in_region()?;
    let url = settings.queues.get(&QueueName::Observer).map(String::as_str).unwrap_or_default();
    let observer = &Queue::at(aws.sqs.clone(), url, Rng::from_entropy());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        Ok::<_, Error>(stream::forward(&event.payload, observer).await?)
    }))
    .await
}

/// The settings of a function, and its log.
fn load(environment: &Environment, needed: &[&'static Setting]) -> Result<Settings, Error> {
    let sources = Sources { flags: &Flags::default(), config: None, environment, needed };
    let settings = Settings::load(sources);
    log(settings.as_ref().map_or(tracing::Level::INFO, |(settings, _)| settings.daemon.log_level));
    let (settings, warnings) = settings.inspect_err(|mistakes| tracing::error!("{mistakes}"))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

async fn serve(stage: StageName) -> Result<(), Error> {
    let environment = Environment::of_process();
    let spec = stage.stage();
    let queues = [Some(spec.source), spec.next].into_iter().flatten().map(table::queue);
    // A function requires a decision about signing: the keys, or `none`.
    let signing = spec.calls_tasks.then_some(&table::SIGNING_SECRET);
    let clusters = (stage == StageName::Registry).then_some(&table::REGISTRY_CLUSTERS);
    let needed: Vec<_> = queues.chain(signing).chain(clusters).collect();
    let settings = load(&environment, &needed)?;
    let senders = settings.trusted_senders.clone();
    // Observers and EventBridge are no senders of this program.
    let is_inner = !matches!(spec.source, QueueName::Observer | QueueName::Registry);
    if senders.is_empty() && is_inner {
        // A function's own identity would not help: the previous stage has another role.
        tracing::warn!(
            "NOTIFIER_TRUSTED_SENDERS is empty, so no message is trusted: the task is checked in ECS before every call"
        );
    }
    let budget = Budget::percent(settings.aws_budget_percent);
    let aws = Aws::load(AwsOptions { budget, roles: settings.roles.clone(), ..AwsOptions::default() })
        .await?
        .in_region()?;
    let vault = &Vault::new(environment.clone(), Some(aws.secrets.clone()));
    let auth = if spec.calls_tasks { auth(&settings, vault).await? } else { Auth::default() };
    let ledger = ledger::open(&settings.ledger, &aws, store::Use::Call).await?;
    let reporter = emf(&settings, &environment, stage);
    let reporter = reporter.map(|emf| Reporter::new(emf, aws.calls.clone(), ledger.clone()));
    let progress = report::logged()?;
    let progress = match &reporter {
        Some(reporter) => reporter.metrics.of(progress),
        None => progress,
    };
    let clock = &Clock::system();
    let reporter = &Mutex::new(reporter);
    let routes =
        if spec.source == QueueName::Observer { routes(&settings, vault).await? } else { Routing::default() };
    let function = environment.get(FUNCTION_NAME);
    let traces = &Traces::start(&settings.traces, settings.auth.refresh, vault, function).await?;
    let (following, spans) = (progress.clone(), traces.spans());
    let parts = Parts { auth, ledger, routes, senders, progress: following, spans, ..Parts::default() };
    let work = Notifier::new(settings, aws, parts).stage(stage)?;
    let worker = &Worker { source: EventSourceMapping::new(work.source.clone()), work };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        let left = event.context.deadline() - clock.now();
        let left = Duration::try_from(left).unwrap_or_default();
        let invocation = event.context.xray_trace_id.as_deref().and_then(TraceContext::from_aws);
        let end = Instant::now() + left;
        let answer = worker.run_in(&event.payload, end, invocation).await;
        if let Some(reporter) = &mut *reporter.lock().unwrap_or_else(PoisonError::into_inner) {
            reporter.write();
        }
        // Lambda freezes the process after the answer, so buffered log lines and spans could be lost.
        let rest = end.saturating_duration_since(Instant::now()).saturating_sub(ANSWER);
        tokio::join!(progress.flush(FLUSH_MAX), traces.flush(TRACES_FLUSH_MAX.min(rest)));
        Ok::<_, Error>(answer?)
    }))
    .await
}

/// Namespace and dimensions of the function's metrics; `None` if it writes none.
fn emf(settings: &Settings, environment: &Environment, stage: StageName) -> Option<Emf> {
    let function = environment.get(FUNCTION_NAME).unwrap_or_default().to_owned();
    let namespace = settings.daemon.metrics_namespace.clone()?;
    Some(Emf { namespace, stage, function, level: settings.daemon.log_level })
}

/// The signing keys and other secrets; without them the function does not start.
async fn auth(settings: &Settings, vault: &Vault) -> Result<Auth, Error> {
    if settings.auth.signing == Signing::Off {
        tracing::warn!("Requests are not signed: tasks cannot verify their sender");
    }
    let auth = Auth::load(&settings.auth, vault).await;
    Ok(auth.inspect_err(|error| tracing::error!("{}", chain(error)))?)
}

/// The routing rules; with wrong ones the function does not start.
async fn routes(settings: &Settings, vault: &Vault) -> Result<Routing, Error> {
    let routes = Routing::load(settings.routes.as_ref(), settings.auth.refresh, vault).await;
    Ok(routes.inspect_err(|error| tracing::error!("{}", chain(error)))?)
}

/// One JSON object per line, for Lambda's JSON log format.
fn log(level: tracing::Level) {
    let level = level.as_str().to_lowercase();
    let filter = EnvFilter::new(format!("warn,notifier={level},lambdas={level}"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).json().flatten_event(true).with_ansi(false);
    // It fails only if a logger is already set.
    drop(builder.try_init());
}
