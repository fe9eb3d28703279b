//! Builds the library's parts from the arguments: settings, AWS clients, secrets, the ledger.

use std::time::Duration;

use notifier::aws::budget::Budget;
use notifier::aws::{self, Aws, LoadError, region_of};
use notifier::base::Environment;
use notifier::base::text::printable;
use notifier::deliver::Auth;
use notifier::ledger::{self, Ledger};
use notifier::pipeline::Routing;
use notifier::secrets::Vault;
use notifier::settings::table::Setting;
use notifier::settings::{Flags, QueueUrls, Settings, Sources};
use notifier::store::{self, Location};
use notifier::telemetry::Traces;
use wire::ObserverMessage;

use crate::args::{self, Global};
use crate::console::Console;
use crate::failure::Failure;
use crate::log;
use crate::render::format::count;

/// Time before a note says that the command still waits for AWS.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most characters of a queue, cluster or region in an error.
const PLACE_CHARS_MAX: usize = 200;

/// Every setting, from all three layers. Writes the warnings.
pub(crate) fn settings(
    global: &Global,
    flags: &Flags,
    needed: &[&'static Setting],
    environment: &Environment,
    console: &mut Console,
) -> Result<Settings, Failure> {
    let sources = Sources { flags, config: global.config.as_deref(), environment, needed };
    let (settings, warnings) = Settings::load(sources)?;
    for warning in warnings {
        console.warn(&warning);
    }
    Ok(settings)
}

/// The AWS clients for an interactive command, which reports an outage soon.
pub(crate) async fn aws(global: &Global, settings: &Settings) -> Result<Aws, Failure> {
    Ok(load(global, settings, true).await?.in_region()?)
}

/// The AWS clients for the daemon, which retries during an outage.
pub(crate) async fn unattended_aws(global: &Global, settings: &Settings) -> Result<Aws, Failure> {
    Ok(load(global, settings, false).await?.in_region()?)
}

async fn load(global: &Global, settings: &Settings, attended: bool) -> Result<Aws, LoadError> {
    let options = aws::AwsOptions {
        region: global.region.clone(),
        profile: global.profile.clone(),
        endpoint_url: global.endpoint_url.clone(),
        budget: Budget::percent(settings.aws_budget_percent),
        roles: settings.roles.clone(),
        attended,
    };
    Aws::load(options).await
}

/// Checks that the URL of a queue is in the region of the AWS clients.
pub(crate) fn queue_in_region(aws: &Aws, place: &str) -> Result<(), Failure> {
    in_region(aws.region.as_deref(), "queue", place)
}

fn in_region(region: Option<&str>, what: &str, place: &str) -> Result<(), Failure> {
    match (region_of(place), region) {
        (Some(of), Some(asked)) if of != asked => Err(Failure::usage(format!(
            "{what} {} is in {}, but the command uses region {}",
            printable(place, PLACE_CHARS_MAX),
            printable(of, PLACE_CHARS_MAX),
            printable(asked, PLACE_CHARS_MAX)
        ))
        .hint(format!("use the same region: --region {of}, or AWS_REGION={of}"))),
        _ => Ok(()),
    }
}

/// Checks that the services of a scope are in the region of its cluster.
pub(crate) fn scope_in_region(aws: &Aws, scope: &ObserverMessage) -> Result<(), Failure> {
    let region = args::scope::region(scope, aws.region.as_deref());
    scope.services.iter().try_for_each(|service| in_region(region, "service", service))
}

/// Checks the same for every queue of the settings.
pub(crate) fn queues_in_region(aws: &Aws, queues: &QueueUrls) -> Result<(), Failure> {
    queues.values().try_for_each(|url| queue_in_region(aws, url))
}

/// The keys that sign requests, and the other secrets of deliveries.
pub(crate) async fn auth(aws: &Aws, settings: &Settings, environment: &Environment) -> Result<Auth, Failure> {
    let vault = Vault::new(environment.clone(), Some(aws.secrets.clone()));
    Auth::load(&settings.auth, &vault).await.map_err(|error| {
        let what = "a secret cannot be read";
        let failure = if error.is_passing() { Failure::failed(what) } else { Failure::usage(what) };
        failure.because(&error).hint(
            "NOTIFIER_SIGNING_SECRET and the other settings of secrets are references: env:NAME, file:PATH, \
                 secretsmanager:ID or ssm:NAME",
        )
    })
}

/// The export of traces.
pub(crate) async fn traces(
    aws: &Aws,
    settings: &Settings,
    environment: &Environment,
) -> Result<Traces, Failure> {
    let vault = Vault::new(environment.clone(), Some(aws.secrets.clone()));
    let traces = Traces::start(&settings.traces, settings.auth.refresh, &vault, None).await;
    traces.map_err(|error| {
        let what = "the headers for the collector cannot be read";
        let failure = if error.is_passing() { Failure::failed(what) } else { Failure::usage(what) };
        failure
            .because(&error)
            .hint("NOTIFIER_OTLP_HEADERS is a reference to a secret, as env:NAME or file:PATH")
    })
}

/// The routing rules.
pub(crate) async fn routes(
    aws: &Aws,
    settings: &Settings,
    environment: &Environment,
) -> Result<Routing, Failure> {
    let vault = Vault::new(environment.clone(), Some(aws.secrets.clone()));
    let routes = Routing::load(settings.routes.as_ref(), settings.auth.refresh, &vault).await;
    routes.map_err(|error| {
        let what = "the routing rules cannot be read";
        let failure = if error.is_passing() { Failure::failed(what) } else { Failure::usage(what) };
        failure.because(&error).hint("`ecs-task-notifier routes check` shows what is wrong with them")
    })
}

/// The warning about unsigned requests.
pub(crate) const UNSIGNED: &str = "requests are not signed: tasks cannot verify their sender. Make a key with `ecs-task-notifier keygen`, and set \
     NOTIFIER_SIGNING_SECRET to its location, or to `none` for unsigned requests";

/// The ledger of the settings, for a command that calls tasks.
pub(crate) async fn ledger(aws: &Aws, settings: &Settings) -> Result<Ledger, Failure> {
    open_ledger(aws, settings, store::Use::Call).await
}

/// The ledger of the settings, for a command that repeats a recorded broadcast.
pub(crate) async fn ledger_to_call_again(aws: &Aws, settings: &Settings) -> Result<Ledger, Failure> {
    kept(open_ledger(aws, settings, store::Use::CallAgain).await?)
}

/// The ledger of the settings, for a command that reads it if there is one.
pub(crate) async fn ledger_to_read(aws: &Aws, settings: &Settings) -> Result<Ledger, Failure> {
    open_ledger(aws, settings, store::Use::Read).await
}

async fn open_ledger(aws: &Aws, settings: &Settings, purpose: store::Use) -> Result<Ledger, Failure> {
    Ok(ledger::open(&settings.ledger, aws, purpose).await?)
}

/// The ledger for a command that uses nothing else.
pub(crate) async fn only_ledger(
    global: &Global,
    flags: &Flags,
    environment: &Environment,
    purpose: store::Use,
    console: &mut Console,
) -> Result<Ledger, Failure> {
    let settings = settings(global, flags, &[], environment, console)?;
    log::for_people(console);
    let aws = aws_of_ledger(global, &settings).await?;
    kept(open_ledger(&aws, &settings, purpose).await?)
}

/// The AWS clients for a command that reads the ledger. A SQLite file needs no region.
pub(crate) async fn aws_of_ledger(global: &Global, settings: &Settings) -> Result<Aws, Failure> {
    let aws = load(global, settings, true).await?;
    let is_table = matches!(settings.ledger.location, Location::DynamoDb(_));
    Ok(if is_table || !settings.queues.is_empty() { aws.in_region()? } else { aws })
}

/// The ledger of the settings, for a command that needs one.
pub(crate) async fn kept_ledger(aws: &Aws, settings: &Settings) -> Result<Ledger, Failure> {
    kept(ledger_to_read(aws, settings).await?)
}

/// An error if there is no ledger.
pub(crate) fn kept(ledger: Ledger) -> Result<Ledger, Failure> {
    if ledger.is_kept() {
        return Ok(ledger);
    }
    Err(Failure::usage("no ledger is set, so nothing was recorded")
        .hint("set the ledger that the daemon or the functions write: --ledger dynamodb:TABLE or sqlite:PATH, or NOTIFIER_LEDGER"))
}

/// Waits for work that calls AWS, and writes a note if it takes long: requests are retried for about a minute while
/// AWS cannot be reached.
pub(crate) async fn patiently<T>(work: impl Future<Output = T>, aws: &Aws, console: &mut Console) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let requests: u64 = aws.calls.snapshot().iter().map(|call| call.requests).sum();
    let requests = count(usize::try_from(requests).unwrap_or(usize::MAX), "request");
    let last_error =
        aws.calls.last_error().map_or_else(String::new, |error| format!(", the latest failed ({error})"));
    console.note(&format!("still waiting for AWS: {requests} so far{last_error}; Ctrl-C cancels"));
    work.await
}
