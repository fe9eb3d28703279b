//! From arguments to what the library needs: settings, AWS clients, the stages.

use notifier::ambient::{Chance, Clock};
use notifier::aws::budget::Budget;
use notifier::aws::{self, Aws};
use notifier::deliver::Deliverer;
use notifier::discover::Discovery;
use notifier::progress::Progress;
use notifier::settings::table::Setting;
use notifier::settings::{Environment, Flags, Settings, Sources};
use notifier::stage::Ctx;

use crate::args::Global;
use crate::console::Console;
use crate::failure::Failure;

/// Every setting, from all three layers; warnings are said.
pub(crate) fn settings(
    global: &Global,
    flags: &Flags,
    needed: &[&'static Setting],
    environment: &Environment,
    console: &Console,
) -> Result<Settings, Failure> {
    let sources = Sources { flags, config: global.config.as_deref(), environment, needed };
    let (settings, warnings) = Settings::load(sources)?;
    for warning in warnings {
        console.warn(&warning);
    }
    Ok(settings)
}

/// The AWS clients that the arguments and the environment describe.
pub(crate) async fn aws(global: &Global, settings: &Settings) -> Aws {
    let options = aws::Options {
        region: global.region.clone(),
        profile: global.profile.clone(),
        endpoint_url: global.endpoint_url.clone(),
        budget: Budget::percent(settings.aws_budget_percent),
    };
    Aws::load(options).await
}

/// The three stages on these clients.
pub(crate) fn stages(aws: &Aws, settings: &Settings, progress: Progress) -> Ctx {
    let networks = settings.allow_networks.clone();
    Ctx {
        discovery: Discovery::new(aws, settings.health, networks.clone()),
        deliverer: Deliverer::new(&settings.delivery, networks, Clock::system(), Chance::from_entropy()),
        progress,
    }
}
