//! `check`: sends good and bad requests to a receiver, and reports the wrong answers.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, where backticks would show")]

mod cases;
mod exchange;
mod receiver;
mod sender;
mod show;
mod verdict;

use std::io::Write;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};
use notifier::base::Environment;
use notifier::base::{self, Clock};
use notifier::secrets::{Material, SecretRef, Vault, signing_keys};
use notifier::settings::Flags;
use wire::signature::{SigningKeys, hmac_key, key_pair};

use self::cases::{ALL, Case};
use self::receiver::Receiver;
use self::sender::{EVENT_TYPE, Sender};
use self::show::{Finding, Summary, Verdict};
use self::verdict::{Good, Reaction};
use crate::args::{Format, Global};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::format::count;
use crate::render::records;
use crate::{context, log};

/// Send good and bad requests to a receiver, and report wrong answers
///
/// The requests are forged, changed, old, repeated, misdirected, oversized or slow, among others; --verbose shows for
/// each the expected answer and why. Calls only the host of the URL, which may be this machine. Accepted events reach
/// the handler of the receiver: they have the type com.ecs-task-notifier.check and no data.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The receiver, such as http://127.0.0.1:8080/v1.0/notify
    url: String,
    /// Location of a key that the receiver knows: env:NAME, file:PATH, secretsmanager:NAME or ssm:NAME
    #[arg(long, value_name = "REFERENCE")]
    secret: String,
    /// ARN of the task that the receiver is in; without it, the case wrong-task is left out
    #[arg(long, value_name = "ARN", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    task: Option<String>,
    /// Only this case; repeat it for more
    #[arg(
        long = "case",
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(ALL.iter().map(|case| case.name)),
        hide_possible_values = true
    )]
    cases: Vec<String>,
    /// Time-out of an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3000, value_parser = value_parser!(u32).range(1..=600_000))]
    timeout_ms: u32,
    /// Time in which the receiver must give up an incomplete request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = value_parser!(u32).range(1..=600_000))]
    patience_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  A receiver on this machine:
    ecs-task-notifier check http://127.0.0.1:8080/v1.0/notify --secret env:NOTIFIER_VERIFYING_KEYS

  With the task of the receiver, and the reason for every case:
    ecs-task-notifier check http://127.0.0.1:8080/v1.0/notify --secret file:signing.key \\
      --task arn:aws:ecs:eu-west-1:111122223333:task/prod/0f3a --verbose";

/// The task of the events if the arguments name none.
const SOME_TASK: &str = "arn:aws:ecs:us-east-1:000000000000:task/check/0";
/// Time-out of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) async fn run(
    global: &Global,
    args: CheckArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    log::for_people(console);
    let keys = keys(global, &args.secret, environment, console).await?;
    let sender = Sender {
        keys,
        unknown_keys: unknown_keys()?,
        task: args.task.clone().unwrap_or_else(|| SOME_TASK.to_owned()),
        run: uuid::Uuid::now_v7().to_string(),
        clock: Clock::fixed(Clock::system().now().into()),
    };
    let receiver = Receiver::of(&args.url).await?;
    if let Err(error) = receiver.connect(CONNECT_TIMEOUT).await {
        let failure = Failure::failed(format!("cannot connect to {}", receiver.authority)).because(&error);
        return Err(failure.hint("check that the receiver runs and listens at that address"));
    }
    let mut findings = Vec::new();
    for case in ALL.iter().filter(|case| is_wanted(case, &args.cases)) {
        findings.push(find(case, &args, &sender, &receiver).await?);
    }
    report(&args, &sender, &findings, console)
}

fn is_wanted(case: &Case, named: &[String]) -> bool {
    named.is_empty() || named.iter().any(|name| name == case.name)
}

async fn find(
    case: &'static Case,
    args: &CheckArgs,
    sender: &Sender,
    receiver: &Receiver,
) -> Result<Finding, Failure> {
    if case.good == Good::Misdirected && args.task.is_none() {
        return Ok(Finding { case, seen: None });
    }
    let patience = if matches!(case.good, Good::GivesUp(_)) { args.patience_ms } else { args.timeout_ms };
    let seen = receiver.send(case.probe(sender)?, Duration::from_millis(patience.into())).await;
    Ok(Finding { case, seen: Some(seen) })
}

/// The keys that the reference names. AWS is called only if they are stored there.
async fn keys(
    global: &Global,
    reference: &str,
    environment: &Environment,
    console: &mut Console,
) -> Result<SigningKeys, Failure> {
    let reference: SecretRef =
        reference.parse().map_err(|error| Failure::usage("--secret is not a reference").because(&error))?;
    let aws = if reference.is_in_aws() {
        let settings = context::settings(global, &Flags::new(), &[], environment, console)?;
        Some(context::aws(global, &settings).await?.secrets)
    } else {
        None
    };
    let wrong = |error: &dyn std::error::Error| Failure::usage("the key cannot be read").because(error);
    let material: Material =
        Vault::new(environment.clone(), aws).read(&reference).await.map_err(|e| wrong(&e))?;
    signing_keys(&[material]).map_err(|error| {
        wrong(&*error).hint(
            "`check` signs requests: it needs a secret (whsec_…) or a private key (whsk_…), not a public key",
        )
    })
}

/// A new key of each kind, which the receiver does not know.
fn unknown_keys() -> Result<SigningKeys, Failure> {
    let bytes = base::key_bytes()
        .map_err(|error| Failure::failed("the system's random generator failed").because(&error))?;
    let both = format!("{} {}", *hmac_key(&bytes), *key_pair(&bytes).private);
    SigningKeys::parse(&both).map_err(|error| Failure::failed("no key could be made").because(&error))
}

fn report(
    args: &CheckArgs,
    sender: &Sender,
    findings: &[Finding],
    console: &mut Console,
) -> Result<Exit, Failure> {
    let summary = Summary::new(args.url.clone(), findings);
    let (format, columns, in_full) = (console.format, console.columns(), console.verbose > 0);
    if format == Format::Text {
        let text = show::text(findings, columns, in_full);
        writeln!(console.out(), "{text}{}", summary.text()).map_err(Failure::output)?;
    } else {
        let records = findings.iter().map(show::record);
        records::write(console.out(), format, records, &summary).map_err(Failure::output)?;
    }
    if findings.iter().any(|finding| finding.verdict() == Verdict::Unchecked) {
        console.warn("the case wrong-task was not sent: it needs the receiver's task, --task");
    }
    let accepted = findings.iter().filter(|finding| is_accepted(finding)).count();
    if accepted > 0 {
        console.hint(&format!(
            "the handler ran once for each accepted event, and not for repeats: its log shows the type {EVENT_TYPE} \
             and ids with check-{}",
            sender.run
        ));
    }
    let bad = findings.iter().filter(|finding| finding.verdict() == Verdict::Bad).count();
    if bad == 0 {
        return Ok(Exit::Done);
    }
    let (were, failure) = (if bad == 1 { "was" } else { "were" }, Failure::unsuccessful);
    let failure = failure(format!("{} {were} answered wrongly", count(bad, "case")));
    Err(match first_answer(findings) {
        Some(401 | 403) => {
            failure.hint("the valid event was refused too: check that the receiver knows this key")
        }
        Some(421) => {
            failure.hint("the receiver only accepts events for its own task: pass its ARN with --task")
        }
        _ => failure,
    })
}

fn is_accepted(finding: &Finding) -> bool {
    matches!(&finding.seen, Some((Reaction::Answered { status, .. }, _)) if status.is_success())
}

/// The status with which the valid event was refused.
fn first_answer(findings: &[Finding]) -> Option<u16> {
    let first = findings.iter().find(|finding| finding.case.name == cases::FIRST)?;
    match &first.seen {
        Some((Reaction::Answered { status, .. }, _)) => Some(status.as_u16()),
        _ => None,
    }
}
