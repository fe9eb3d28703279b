//! The flags of settings, generated from the table of settings.

use std::marker::PhantomData;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use notifier::settings::Flags;
use notifier::settings::table::{self, Group, Setting};

/// The settings of a subcommand.
pub(crate) trait Scope {
    /// The groups of settings that it uses.
    const GROUPS: &[Group];
    /// Names of settings in these groups that it does not use.
    const UNUSED: &[&str] = &[];
}

/// Settings of `plan`.
#[derive(Clone, Debug)]
pub(crate) struct ForPlan;

impl Scope for ForPlan {
    const GROUPS: &[Group] = &[Group::Discovery];
}

/// Settings of `send`.
#[derive(Clone, Debug)]
pub(crate) struct ForSend;

impl Scope for ForSend {
    const GROUPS: &[Group] = &[Group::Ledger, Group::Discovery, Group::Delivery, Group::Traces];
}

/// Settings of `ask`.
#[derive(Clone, Debug)]
pub(crate) struct ForAsk;

impl Scope for ForAsk {
    const GROUPS: &[Group] = ForSend::GROUPS;
    // The time-out of a question takes the place of the one of an attempt, and there is no queue.
    const UNUSED: &[&str] = &["timeout_ms", "horizon_minutes"];
}

/// Settings of commands that only use the ledger.
#[derive(Clone, Debug)]
pub(crate) struct ForLedger;

impl Scope for ForLedger {
    const GROUPS: &[Group] = &[Group::Ledger];
}

/// Settings of commands that read dead letters.
#[derive(Clone, Debug)]
pub(crate) struct ForQueues;

impl Scope for ForQueues {
    const GROUPS: &[Group] = &[Group::Queues, Group::Ledger];
}

/// Settings of `serve`.
#[derive(Clone, Debug)]
pub(crate) struct ForServe;

impl Scope for ForServe {
    const GROUPS: &[Group] = &[
        Group::Queues,
        Group::Ledger,
        Group::Discovery,
        Group::Delivery,
        Group::Sources,
        Group::Daemon,
        Group::Traces,
    ];
}

/// Settings of `routes`.
#[derive(Clone, Debug)]
pub(crate) struct ForRoutes;

impl Scope for ForRoutes {
    const GROUPS: &[Group] = &[Group::Sources];
}

/// A flag for each setting of a subcommand's groups. Values are checked together with all other settings, not by clap.
#[derive(Clone, Debug)]
pub(crate) struct SettingFlags<S> {
    pub(crate) flags: Flags,
    scope: PhantomData<S>,
}

fn settings<S: Scope>() -> impl Iterator<Item = &'static Setting> {
    let is_used =
        |setting: &&Setting| S::GROUPS.contains(&setting.group) && !S::UNUSED.contains(&setting.name);
    table::ALL.into_iter().filter(is_used)
}

impl<S: Scope> Args for SettingFlags<S> {
    fn augment_args(command: Command) -> Command {
        settings::<S>().fold(command, |command, setting| command.arg(flag(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Scope> FromArgMatches for SettingFlags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut all = Self { flags: Flags::new(), scope: PhantomData };
        all.update_from_arg_matches(matches)?;
        Ok(all)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in settings::<S>() {
            if let Some(value) = matches.get_one::<String>(setting.name) {
                self.flags.insert(setting.name, value.clone());
            }
        }
        Ok(())
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let default = match setting.default {
        "" => String::new(),
        // A space after each comma lets a long list wrap.
        default => format!(" [default: {}]", default.replace(',', ", ")),
    };
    let long = format!(
        "{}{default}\n\nValue: {}. Also {}, or `{}` in the file.",
        setting.help,
        setting.kind,
        setting.variable(),
        setting.name,
    );
    Arg::new(setting.name)
        .long(setting.flag())
        .value_name("VALUE")
        .help(format!("{}{default}", setting.help))
        .long_help(long)
        .help_heading("Settings")
        .hide_short_help(true)
        .allow_hyphen_values(true)
}
