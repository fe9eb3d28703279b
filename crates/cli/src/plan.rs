//! `plan`: the targets of a broadcast, and why other containers are not called.

use std::io::Write;

use clap::Args;
use notifier::base::Environment;
use notifier::base::text::chain;
use notifier::fleet::DiscoveryError;
use notifier::model::Delivery;
use notifier::pipeline::Plan;
use notifier::{Notifier, Parts};

use crate::args::{ForPlan, Format, Global, ScopeArgs, SettingFlags, describe};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::format::count;
use crate::render::{plan, records};
use crate::{context, log, services};

/// Show the targets and their addresses, and why other containers are not called; calls no container
///
/// The dry run of `send`: it reads ECS and EC2 as `send` does, and shows for every container of every running task in
/// the scope whether it would be called. Exit code 0 if the fleet could be read, 2 if a named service does not exist.
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

  Two services, with every container and full task ids:
    ecs-task-notifier plan --cluster prod --service checkout --service search --verbose

  Only the addresses:
    ecs-task-notifier plan --cluster prod --format json | jq -r 'select(.decision == \"call\").url'

  The plan without health checks:
    ecs-task-notifier plan --cluster prod --health ignore";

pub(crate) async fn run(
    global: &Global,
    args: PlanArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let scope = args.scope.message()?;
    let settings = context::settings(global, &args.settings.flags, &[], environment, console)?;
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::scope_in_region(&aws, &scope)?;
    let policy = settings.discovery;
    let notifier = Notifier::new(settings, aws.clone(), Parts::default());
    let Plan { fleet, unreached } = context::patiently(notifier.plan(&scope), &aws, console).await?;
    let summary = plan::Summary::new(&fleet, &scope, policy, &aws);
    let (format, columns, in_full) = (console.format, console.columns(), console.verbose > 0);
    if format == Format::Text {
        let text = plan::text(&fleet, columns, in_full);
        let summary = console.prose(&summary.text());
        writeln!(console.out(), "{text}{summary}").map_err(Failure::output)?;
    } else {
        records::write(console.out(), format, plan::records(&fleet), &summary).map_err(Failure::output)?;
    }
    refuse_unreached(unreached, console)?;
    let others = fleet.endpoints.iter().map(Delivery::from).collect::<Vec<_>>();
    let unknown = services::unknown(fleet.skips.iter().chain(&others));
    services::refuse_unknown(&unknown, &scope, &notifier.ctx().discovery).await?;
    if fleet.endpoints.is_empty() && fleet.skips.is_empty() {
        console.warn(&format!("no target: no running container in {} has the labels", describe(&scope)));
    }
    Ok(Exit::Done)
}

/// An error for the clusters of several that cannot be reached: the plan does not have them.
fn refuse_unreached(unreached: Vec<(String, DiscoveryError)>, console: &mut Console) -> Result<(), Failure> {
    let clusters = unreached.len();
    let mut last = None;
    for (cluster, error) in unreached {
        console.warn(&format!("cluster {cluster} cannot be reached: {}", chain(&error)));
        last = Some(error);
    }
    let Some(last) = last else { return Ok(()) };
    let what = format!("the plan lacks {}", count(clusters, "cluster"));
    Err(Failure::from(last).about(what))
}
