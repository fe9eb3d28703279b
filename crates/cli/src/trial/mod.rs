//! A trial: what `demo --keep` and `simulate` leave for commands in another terminal.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | the folder, the ledger and the key of a trial, and the commands to try |
//! | `queues` | the three queues with their dead letters, as the Terraform module makes them |
//! | `env_file` | the file to `source` |

pub(crate) mod env_file;
pub(crate) mod queues;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use notifier::aws::Aws;
use notifier::base::{self, Environment};
use notifier::ledger::{self, Ledger, LedgerOptions, Location, Use};
use notifier::pipeline::QueueName;
use notifier::settings::{Flags, QueueUrls, Settings, Sources, table};
use tempfile::TempDir;
use wire::signature::{KeyPair, key_pair};

use crate::console::Console;
use crate::failure::Failure;
use env_file::{EnvFile, Variables, quoted};

/// The variable that holds the private key. It is no setting: `NOTIFIER_SIGNING_SECRET` names it.
pub(crate) const KEY_VARIABLE: &str = "TRIAL_SIGNING_KEY";
/// How `NOTIFIER_SIGNING_SECRET` names it.
const KEY_REFERENCE: &str = "env:TRIAL_SIGNING_KEY";
/// The access key of the commands in the other terminal. The simulator accepts any.
pub(crate) const ACCESS_KEY: &str = "trial";
/// The only networks in which a trial calls anybody.
pub(crate) const NETWORKS: &str = "127.0.0.0/8,::1/128";
/// How long a trial's ledger keeps outcomes, in days.
const LEDGER_DAYS: u32 = 1;

/// The folder of one trial, for this user alone. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Makes a new one. Take the signals over before: one that ends the process leaves the folder behind.
    pub(crate) fn create() -> Result<Self, Failure> {
        let made = tempfile::Builder::new()
            .prefix("ecs-task-notifier-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        made.map(Self).map_err(|error| {
            Failure::failed("the folder for the ledger and the variables of the trial cannot be made")
                .because(&error)
                .hint("TMPDIR names another place for it")
        })
    }

    fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger.sqlite3")
    }

    /// Makes the ledger of the trial, or opens it.
    pub(crate) async fn open_ledger(&self, aws: &Aws) -> Result<Ledger, Failure> {
        let options = LedgerOptions { location: Location::Sqlite(self.ledger()), days: LEDGER_DAYS };
        Ok(ledger::open(&options, aws, Use::Call).await?)
    }

    /// Writes the file to `source`: to this path, else into the folder.
    pub(crate) fn write_env_file(
        &self,
        path: Option<&Path>,
        trial: &Simulated<'_>,
    ) -> Result<EnvFile, Failure> {
        let ledger = self.ledger();
        let unreadable = |what: &str| {
            Failure::usage(format!("the path of {what} is not Unicode")).hint("TMPDIR names another place")
        };
        let program = std::env::current_exe().ok();
        let variables = Variables {
            trial,
            ledger: ledger.to_str().ok_or_else(|| unreadable("the trial's ledger"))?,
            program_folder: program.as_deref().and_then(Path::parent).and_then(Path::to_str),
        };
        let default = self.0.path().join("env");
        EnvFile::write(path.unwrap_or(&default), &variables.to_sh())
    }
}

/// What was started for a trial.
#[derive(Debug)]
pub(crate) struct Simulated<'a> {
    /// The endpoint of all of AWS.
    pub(crate) url: &'a str,
    pub(crate) region: &'a str,
    pub(crate) queues: &'a QueueUrls,
    /// The private key that signs.
    pub(crate) key: &'a str,
}

/// The settings of the demo's daemon, and the environment with its key. The same as in the file to `source`, but for the
/// ledger: only here may loopback be called, and a delivery ends after its quick attempts.
pub(crate) fn settings(queues: &QueueUrls, key: &str) -> Result<(Settings, Environment), Failure> {
    let urls =
        QueueName::ALL.map(|name| (table::queue(name).variable(), queues.get(name).unwrap_or_default()));
    let other = [
        (table::ALLOW_NETWORKS.variable(), NETWORKS),
        (table::HORIZON_MINUTES.variable(), "0"),
        (table::GRACE_MS.variable(), "2000"),
        (table::SIGNING_SECRET.variable(), KEY_REFERENCE),
        (KEY_VARIABLE.to_owned(), key),
    ];
    let environment: Environment = urls.into_iter().chain(other).collect();
    let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
    let (settings, _) = Settings::load(sources)?;
    Ok((settings, environment))
}

/// A key that signs the requests of one trial and of no other.
pub(crate) fn key() -> Result<KeyPair, Failure> {
    let bytes = base::key_bytes()
        .map_err(|error| Failure::failed("this machine has no randomness to give").because(&error))?;
    Ok(key_pair(&bytes))
}

/// Says which file to `source`.
pub(crate) fn say_source(file: &EnvFile, console: &mut Console) {
    let path = file.path().display().to_string();
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    // Wrapped, it could not be copied.
    console.say_unwrapped(&format!("  source {}", if is_plain { path } else { quoted(&path) }));
}

/// Says what to run after that.
pub(crate) fn say_commands(commands: &[impl AsRef<str>], console: &mut Console) {
    for command in commands {
        console.say_unwrapped(&format!("  ecs-task-notifier {}", command.as_ref()));
    }
}
