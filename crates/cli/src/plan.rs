//! `plan`: who would be called, and who not and why.

use std::io::Write;

use clap::Args;
use notifier::base::Environment;
use notifier::model::{Cause, Skip};
use notifier::{Notifier, Parts};

use crate::args::{ForPlan, Format, Global, ScopeArgs, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::{plan, records};
use crate::{context, log, services};

/// Show who would be called, where, and who not and why; calls nobody
///
/// The dry run of `send`: it asks ECS and EC2 as `send` does, and shows for every container of every running task in the
/// scope whether it would be called. Ends 0 whenever the fleet could be looked
/// at, and 2 when the cluster has no service of a name that was given.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    settings: SettingFlags<ForPlan>,
}

const EXAMPLES: &str = "\
Examples:
  Everything in a cluster:
    ecs-task-notifier plan --cluster prod

  Two services, and every container and task id in full:
    ecs-task-notifier plan --cluster prod --service checkout --service search --verbose

  The addresses alone:
    ecs-task-notifier plan --cluster prod --format json | jq -r 'select(.decision == \"call\").url'

  What would change if health did not count:
    ecs-task-notifier plan --cluster prod --health ignore";

pub(crate) async fn run(
    global: &Global,
    args: PlanArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let settings = context::settings(global, &args.settings.flags, &[], environment, console)?;
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::scope_in_region(&aws, &args.scope.cluster, &args.scope.services)?;
    let notifier = Notifier::new(settings, aws.clone(), Parts::default());
    let scope = args.scope.message();
    let fleet = context::patiently(notifier.plan(&scope), &aws, console).await?;
    let summary = plan::Summary::new(&fleet, &aws.calls.snapshot());
    let (format, columns, in_full) = (console.format, console.columns(), console.verbose > 0);
    if format == Format::Text {
        let text = plan::text(&fleet, columns, in_full);
        let summary = console.prose(&summary.text());
        writeln!(console.out(), "{text}{summary}").map_err(Failure::output)?;
    } else {
        records::write(console.out(), format, plan::records(&fleet), &summary).map_err(Failure::output)?;
    }
    let unknown = |skip: &&Skip| skip.reason.cause() == Cause::NoSuchService;
    let unknown: Vec<_> =
        fleet.skips.iter().filter(unknown).map(|skip| skip.member.service.as_str()).collect();
    services::refuse_unknown(&unknown, &args.scope.cluster, &notifier.ctx().discovery).await?;
    if fleet.endpoints.is_empty() && fleet.skips.is_empty() {
        console.warn(&format!(
            "nobody opted in: no running container in {} has the labels",
            args.scope.describe()
        ));
    }
    Ok(Exit::Done)
}
