//! `publish`: requests a broadcast from the daemon or the Lambda functions.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, where backticks would show")]

use std::io::Write;
use std::time::Duration;

use clap::Args;
use notifier::base::Environment;
use notifier::base::{Clock, Rng};
use notifier::ledger::Ledger;
use notifier::pipeline::{QueueName, resend};
use notifier::queue::{Queue, Trace};
use serde::Serialize;
use wire::{Draft, Message, ObserverMessage};

use crate::args::{
    AudienceArgs, EventArgs, ForLedger, Format, Global, LateArgs, PaceArgs, ProgressArgs, SettingFlags,
};
use crate::console::Console;
use crate::failed_of::{self, Again, FailedOf};
use crate::failure::{Exit, Failure};
use crate::render::records;
use crate::report::{self, WaitArgs};
use crate::watch::Watch;
use crate::{context, log, place};

/// Put an event on the observer queue, for the daemon or the Lambda functions to broadcast
///
/// Returns as soon as SQS has the message, and prints the broadcast's id. With --wait it waits for the end of the
/// broadcast and shows its report.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    audience: AudienceArgs,
    #[command(flatten)]
    event: EventArgs,
    #[command(flatten)]
    late: LateArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// URL or name of the observer queue [default: NOTIFIER_OBSERVER_QUEUE_URL]
    #[arg(long, visible_alias = "queue-url", value_name = "URL|NAME")]
    queue: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

const EXAMPLES: &str = "\
Examples:
  To the queue of NOTIFIER_OBSERVER_QUEUE_URL:
    ecs-task-notifier publish --cluster prod --type com.example.cache.clear

  The newest log level, also for every task that starts in the next week:
    ecs-task-notifier publish --cluster prod --type com.example.log-level \\
      --data '\"debug\"' --retain log-level --ttl 7d

  In waves, with a pause between them; the first error stops it. The daemon or the functions need a ledger:
    ecs-task-notifier publish --cluster prod --type com.example.config.reload --waves 1,10%,100% --pause 1h

  The latest broadcast again, only to services with containers that were not notified:
    ecs-task-notifier publish --failed-of last --ledger dynamodb:ecs-task-notifier

  To a queue by its name in the account and region:
    ecs-task-notifier publish --cluster prod --queue ecs_service_notification_eu-west-1";

/// The published message.
#[derive(Debug, Default, Serialize)]
struct Published<'a> {
    broadcast: &'a str,
    /// Id of the SQS message.
    message: &'a str,
    queue: &'a str,
}

pub(crate) async fn run(
    global: &Global,
    args: PublishArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    console.show_progress(args.progress.progress);
    let settings = context::settings(global, &args.settings.flags, &[], environment, console)?;
    let place =
        args.queue.or_else(|| settings.queues.get(&QueueName::Observer).cloned()).ok_or_else(|| {
            Failure::usage("no observer queue is set")
                .hint("pass one with --queue, or set NOTIFIER_OBSERVER_QUEUE_URL")
        })?;
    let mut broadcast = args.event.broadcast(&Clock::system())?;
    let mut scope = args.audience.scope()?;
    args.late.apply(&mut scope);
    args.pace.apply_queued(&mut scope)?;
    let mut scopes = vec![scope];
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::queue_in_region(&aws, &place)?;
    // Checked before anything is sent: --wait and --failed-of need a ledger.
    let is_read = args.wait.wait.is_some() || args.audience.failed_of.is_some();
    let ledger = if is_read { context::kept_ledger(&aws, &settings).await? } else { Ledger::none() };
    let mut again = None;
    if let Some(named) = &args.audience.failed_of {
        let failed = match FailedOf::load(&ledger, named, &args.event, console).await? {
            Again::To(failed) => failed,
            Again::Nobody(counts) => return failed_of::conclude(counts, args.wait.allow, console),
        };
        let report = failed.recorded.report;
        scopes = resend::scopes(&failed.record, &report);
        broadcast = failed.broadcast;
        again = Some(report);
    }
    for scope in &scopes {
        context::scope_in_region(&aws, scope)?;
    }
    let bodies = scopes.into_iter().map(|scope| message(scope, &broadcast));
    let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
    let queue = Queue::open(aws.sqs.clone(), &place, Rng::from_entropy()).await?;
    let place = place::describe(&aws, queue.url(), console).await;
    console.note(&format!("broadcast {} to queue {}{place}", broadcast.id, queue.name()));
    if let Some(report) = &again {
        resend::expect(&ledger, report).await?;
    }
    let mut messages = Vec::new();
    for body in &bodies {
        match queue.publish_one(body, &Trace::default()).await {
            Ok(message) => messages.push(message),
            Err(error) => {
                // What is on the queue will be recorded again.
                if let Some(report) = &again {
                    resend::expect_no_more(&ledger, report).await?;
                }
                return Err(error.into());
            }
        }
    }
    if let Some(seconds) = args.wait.wait {
        let watch = Watch::new(&ledger, &aws, &settings);
        let wait = Duration::from_secs(seconds);
        let Some(seen) = watch.see(&broadcast.id, Some(wait), console).await? else {
            return Err(Failure::unsuccessful("the broadcast has not begun").hint(report::NO_RECORD));
        };
        report::show(&seen, |_| true, console)?;
        return report::conclude(&seen, &broadcast.id, &args.wait, console);
    }
    let (id, queue) = (broadcast.id.as_str(), queue.url());
    if console.format == Format::Text {
        let text = format!("broadcast {id}\nmessage   {}\nqueue     {queue}", messages.join("\n          "));
        writeln!(console.out(), "{text}").map_err(Failure::output)?;
    } else {
        let summary = serde_json::json!({ "published": messages.len() });
        let published = messages.iter().map(|message| Published { broadcast: id, message, queue });
        let format = console.format;
        records::write(console.out(), format, published, &summary).map_err(Failure::output)?;
    }
    Ok(Exit::Done)
}

/// The body for the observer queue: the scope, and the whole event.
pub(crate) fn message(mut scope: ObserverMessage, broadcast: &wire::Broadcast) -> Result<String, Failure> {
    scope.event = Some(Draft::from(broadcast.event.clone()));
    scope.to_body().map_err(|error| Failure::usage("the event cannot be sent").because(&error))
}
