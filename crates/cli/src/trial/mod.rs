//! A trial: the ledger, key and variables that `demo --keep` and `simulate` offer to commands in another terminal.
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
use notifier::ledger::{self, Ledger, LedgerOptions};
use notifier::settings::{Flags, QueueUrls, Settings, Sources, table};
use notifier::store::{Location, Use};
use tempfile::TempDir;
use wire::signature::{KeyPair, key_pair};

use crate::console::Console;
use crate::failure::Failure;
use env_file::{EnvFile, Variables, quoted};

/// The variable with the private key. It is not a setting: `NOTIFIER_SIGNING_SECRET` refers to it.
pub(crate) const KEY_VARIABLE: &str = "TRIAL_SIGNING_KEY";
/// The value of `NOTIFIER_SIGNING_SECRET`.
const KEY_REFERENCE: &str = "env:TRIAL_SIGNING_KEY";
/// The access key of the commands in the other terminal. The simulator accepts any.
pub(crate) const ACCESS_KEY: &str = "trial";
/// The only networks that a trial may call.
pub(crate) const NETWORKS: &str = "127.0.0.0/8,::1/128";
/// How long a trial's ledger keeps outcomes, in days.
const LEDGER_DAYS: u32 = 1;

/// The folder of one trial, only for this user. Drop removes it.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Creates the folder. Listen for signals first: a signal that ends the process would leave the folder behind.
    pub(crate) fn create() -> Result<Self, Failure> {
        let made = tempfile::Builder::new()
            .prefix("ecs-task-notifier-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        made.map(Self).map_err(|error| {
            Failure::failed("the temporary folder of the trial cannot be created")
                .because(&error)
                .hint("set TMPDIR to another directory")
        })
    }

    fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger.sqlite3")
    }

    /// Creates the ledger of the trial, or opens it.
    pub(crate) async fn open_ledger(&self, aws: &Aws) -> Result<Ledger, Failure> {
        let options = LedgerOptions { location: Location::Sqlite(self.ledger()), days: LEDGER_DAYS };
        Ok(ledger::open(&options, aws, Use::Call).await?)
    }

    /// Writes the file to `source`, to this path or else into the folder.
    pub(crate) fn write_env_file(
        &self,
        path: Option<&Path>,
        trial: &Simulated<'_>,
    ) -> Result<EnvFile, Failure> {
        let ledger = self.ledger();
        let unreadable = |what: &str| {
            Failure::usage(format!("the path of {what} is not Unicode"))
                .hint("set TMPDIR to another directory")
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

/// The simulated AWS of a trial.
#[derive(Debug)]
pub(crate) struct Simulated<'a> {
    /// The endpoint of all of AWS.
    pub(crate) url: &'a str,
    pub(crate) region: &'a str,
    pub(crate) queues: &'a QueueUrls,
    /// The private key that signs.
    pub(crate) key: &'a str,
}

/// The settings of the demo's daemon, and the environment with its key. Except for the ledger they are the same as in
/// the file to `source`: calls to loopback are allowed, and a delivery ends after its quick attempts.
pub(crate) fn settings(queues: &QueueUrls, key: &str) -> Result<(Settings, Environment), Failure> {
    let urls = queues.iter().map(|(name, url)| (table::queue(*name).variable(), url.as_str()));
    let other = [
        (table::ALLOW_NETWORKS.variable(), NETWORKS),
        (table::HORIZON_MINUTES.variable(), "0"),
        (table::GRACE_MS.variable(), "2000"),
        (table::SIGNING_SECRET.variable(), KEY_REFERENCE),
        (KEY_VARIABLE.to_owned(), key),
    ];
    let environment: Environment = urls.chain(other).collect();
    let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
    let (settings, _) = Settings::load(sources)?;
    Ok((settings, environment))
}

/// A new key that signs the requests of one trial only.
pub(crate) fn key() -> Result<KeyPair, Failure> {
    let bytes = base::key_bytes()
        .map_err(|error| Failure::failed("the system's random generator failed").because(&error))?;
    Ok(key_pair(&bytes))
}

/// Shows which file to `source`.
pub(crate) fn show_source(file: &EnvFile, console: &mut Console) {
    let path = file.path().display().to_string();
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    // A wrapped line could not be copied.
    console.note_unwrapped(&format!("  source {}", if is_plain { path } else { quoted(&path) }));
}

/// Shows the commands to run after that.
pub(crate) fn show_commands(commands: &[impl AsRef<str>], console: &mut Console) {
    for command in commands {
        console.note_unwrapped(&format!("  ecs-task-notifier {}", command.as_ref()));
    }
}
