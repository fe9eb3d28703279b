//! The exit codes, and failures with their causes and a hint.
//!
//! Exit code and hint depend on the type of an error, never on its text.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use notifier::aws::ecs::EcsError;
use notifier::aws::{AwsError, LoadError};
use notifier::fleet::DiscoveryError;
use notifier::ledger::LedgerError;
use notifier::pipeline::send::SendError;
use notifier::queue::QueueError;
use notifier::rollout::PaceError;
use notifier::settings::{SettingError, SettingErrors};

mod hints;
#[cfg(test)]
mod tests;

/// The exit code of a run. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every opted-in container was notified, or the command succeeded.
    Done = 0,
    /// Some opted-in containers were not notified; in `demo`, a result was not the expected one; in `check`, an answer
    /// was wrong.
    Unsuccessful = 1,
    /// Wrong use or settings.
    Usage = 2,
    /// AWS, the network or this machine failed.
    Failed = 3,
}

impl Exit {
    /// Help and version are not errors.
    pub(crate) fn of_usage(message: &clap::Error) -> Self {
        if message.use_stderr() { Self::Usage } else { Self::Done }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a run did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What went wrong, in one line.
    pub(crate) message: String,
    /// The causes, from the nearest to the root.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Wrong use or settings.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// AWS, the network or this machine failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, ..Self::usage(message) }
    }

    /// Containers were not notified, or a check failed.
    pub(crate) fn unsuccessful(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unsuccessful, ..Self::usage(message) }
    }

    /// The same failure as the cause of another one.
    pub(crate) fn about(mut self, message: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, cause);
        self
    }

    /// Adds a cause.
    pub(crate) fn because_of(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds an error and its causes. Some errors repeat their cause: repeated text is left out.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            let is_known =
                self.message.contains(&text) || self.causes.iter().any(|cause| cause.contains(&text));
            if !text.is_empty() && !is_known {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds the hint for a failed call to AWS, if there is one among the error and its causes.
    pub(crate) fn hint_about_aws(self, error: &(dyn Error + 'static)) -> Self {
        let hint = AwsError::among(error).and_then(|error| hints::aws(error.service, error.kind));
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
    pub(crate) fn runtime(error: io::Error) -> Self {
        Self::failed("this machine cannot run the program's threads").because(&error)
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
    pub(crate) fn output(error: io::Error) -> Self {
        Self::failed("the output cannot be written").because(&error)
    }
}

impl From<SettingErrors> for Failure {
    fn from(errors: SettingErrors) -> Self {
        // The help of this program does not explain the variables of AWS.
        let are_of_aws = errors.0.iter().all(|error| matches!(error, SettingError::Endpoint { .. }));
        let hint = if are_of_aws { hints::ENDPOINT } else { hints::SETTINGS };
        Self::usage(errors.to_string()).hint(hint)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::usage(error.to_string()).because(&error).hint(hints::load(&error))
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Self {
        let text = error.to_string();
        let failure = if error.is_final() { Self::usage(text) } else { Self::failed(text) };
        let failure = failure.because(&error);
        match &error {
            DiscoveryError::Ecs(EcsError::ClusterNotFound(_)) => failure.hint(hints::CLUSTERS),
            DiscoveryError::Ecs(EcsError::Incomplete { .. }) => failure.hint(hints::NOT_AWS),
            _ => failure.hint_about_aws(&error),
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Discover(error) => error.into(),
            SendError::Ledger(error) => error.into(),
            SendError::Late(_) | SendError::Event(_) => Self::usage(error.to_string())
                .because(&error)
                .hint("`--cover` and `--retain` need a ledger: --ledger"),
            SendError::Recheck(ref cause) => {
                Self::failed(error.to_string()).because(cause).hint_about_aws(cause)
            }
            SendError::Incomplete { ref source, .. } => {
                Self::failed(error.to_string()).because(source).hint_about_aws(source)
            }
            SendError::Pace(PaceError::NoLedgerForManual) => {
                Self::usage("`--pause manual` needs a ledger, which `continue` writes to")
                    .hint("set one with --ledger")
            }
            SendError::Pace(_) => Self::usage(error.to_string()),
            SendError::InWaves => Self::usage(error.to_string()).hint(
                "`redrive` sends its dead letters back; a `send` that was interrupted goes on when it is run again with the same --id and flags",
            ),
            SendError::Cancelled { .. } | SendError::Stopped(_) => {
                Self::unsuccessful(error.to_string()).hint("to send the event all the same, use another --id")
            }
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let text = error.to_string();
        let failure =
            if error.is_final() && !error.is_damage() { Self::usage(text) } else { Self::failed(text) };
        let failure = failure.because(&error);
        match hints::ledger(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let text = error.to_string();
        match &error {
            QueueError::Unknown { .. } => Self::usage(text).hint(hints::QUEUES),
            QueueError::InvalidName { .. } => Self::usage(text).hint(hints::QUEUE_FORM),
            QueueError::NotSqs { .. } => Self::failed(text).hint(hints::NOT_AWS),
            _ => Self::failed(text).because(&error).hint_about_aws(&error),
        }
    }
}
