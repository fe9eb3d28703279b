//! How a run ends: the exit codes, and failures with their causes and a hint.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use notifier::aws::LoadError;
use notifier::aws::ecs::EcsError;
use notifier::fleet::DiscoveryError;
use notifier::ledger::LedgerError;
use notifier::pipeline::send::SendError;
use notifier::queue::QueueError;
use notifier::settings::{Origin, SettingError, SettingErrors};

/// How a run ends. The numbers are promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every opted-in container was told, or the command did what it is for.
    Done = 0,
    /// Some opted-in containers were not told; in the demo, something did not end as staged; in `check`, a receiver erred.
    NotTold = 1,
    /// Wrong use or settings.
    Usage = 2,
    /// AWS, the network or this machine failed.
    Failed = 3,
}

impl Exit {
    /// Asking for help is no mistake.
    pub(crate) fn of_usage(message: &clap::Error) -> Self {
        if message.use_stderr() { Self::Usage } else { Self::Done }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a run did not do what it is for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What went wrong, in a line of its own.
    pub(crate) message: String,
    /// Why, from the nearest cause to the farthest, each adding something.
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

    /// Containers were not told.
    pub(crate) fn not_told(message: impl Into<String>) -> Self {
        Self { exit: Exit::NotTold, ..Self::usage(message) }
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

    /// Adds an error and what caused it. SDK errors repeat themselves: what says nothing new is left out.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            let is_known =
                self.message.contains(&text) || self.causes.iter().any(|cause| cause.contains(&text));
            if !text.is_empty() && !is_known && !EMPTY_WORDS.contains(&text.as_str()) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
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
    fn from(mistakes: SettingErrors) -> Self {
        let hint = if mistakes.0.iter().all(is_about_an_endpoint) { AN_ENDPOINT } else { SEE_THE_SETTINGS };
        Self::usage(mistakes.to_string()).hint(hint)
    }
}

/// Whether a variable of AWS's own is wrong, which the help of our settings does not explain.
fn is_about_an_endpoint(mistake: &SettingError) -> bool {
    let (SettingError::Value { origin, .. } | SettingError::Unusable { origin, .. }) = mistake else {
        return false;
    };
    matches!(origin, Origin::Variable(name) if name.starts_with("AWS_ENDPOINT_URL"))
}

const WHERE_PROFILES_ARE: &str = "look at the AWS configuration files: AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE say where they are; else they are \
    in ~/.aws";
const SEE_THE_SETTINGS: &str =
    "`ecs-task-notifier serve --help` lists every setting, its range and its default";
const AN_ENDPOINT: &str = "an endpoint looks like http://127.0.0.1:4566; without one, AWS itself is asked";

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let hint = match &error {
            LoadError::NoRegion => NAME_A_REGION,
            LoadError::Region(_) => {
                "a region is named like eu-west-1: look at --region, AWS_REGION and the AWS profile"
            }
            LoadError::Profile { .. } => {
                "profiles are in ~/.aws/config and ~/.aws/credentials; `aws configure list-profiles` lists them"
            }
            LoadError::Endpoint { .. } => AN_ENDPOINT,
            _ => WHERE_PROFILES_ARE,
        };
        Self::usage(error.to_string()).because(&error).hint(hint)
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Self {
        let is_final = error.is_final();
        let failure = if is_final { Self::usage(error.to_string()) } else { Self::failed(error.to_string()) };
        let failure = failure.because(&error);
        match &error {
            DiscoveryError::Ecs(EcsError::ClusterNotFound(_)) => failure
                .hint("`aws ecs list-clusters` lists them; --region and --profile choose another region and account"),
            _ => failure.advised(),
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Discover(error) => error.into(),
            SendError::Ledger(error) => error.into(),
            SendError::Recheck(ref cause) => Self::failed(error.to_string()).because(cause).advised(),
            SendError::Incomplete { ref source, .. } => {
                Self::failed(error.to_string()).because(source).advised()
            }
            SendError::Cancelled { .. } => Self::not_told(error.to_string())
                .hint("the same event with another --id is another broadcast"),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        if error.is_damage() {
            return Self::failed(error.to_string()).because(&error).hint(DAMAGED);
        }
        let failure =
            if error.is_final() { Self::usage(error.to_string()) } else { Self::failed(error.to_string()) };
        failure.because(&error).advised()
    }
}

/// What to do about a ledger that cannot be read.
const DAMAGED: &str = "is it the right ledger (--ledger, NOTIFIER_LEDGER)? If so, keep it for inspection, and let the next broadcasts \
    use a new one";

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let failure = match &error {
            QueueError::Unknown { .. } | QueueError::NotAPlace { .. } => Self::usage(error.to_string()),
            _ => Self::failed(error.to_string()),
        };
        match &error {
            QueueError::Unknown { .. } => failure.hint(
                "`aws sqs list-queues` lists them; --region and --profile choose another region and account",
            ),
            QueueError::NotAPlace { .. } => failure.hint(
                "name the queue, or give its URL: https://sqs.eu-west-1.amazonaws.com/111122223333/NAME",
            ),
            QueueError::NotSqs { .. } => failure.hint(NOT_AWS),
            _ => failure.because(&error).advised(),
        }
    }
}

impl Failure {
    /// Adds a hint where AWS's SDK says what is wrong without saying what to do.
    pub(crate) fn advised(self) -> Self {
        let said = format!("{} {}", self.message, self.causes.join(" ")).to_lowercase();
        let advice = ADVICE.iter().find(|(words, _)| words.iter().any(|word| said.contains(word)));
        match (advice, &self.hint) {
            (Some((_, hint)), None) => self.hint(*hint),
            _ => self,
        }
    }
}

/// What the SDK says on the way to the cause.
const EMPTY_WORDS: [&str; 6] = [
    "dispatch failure",
    "service error",
    "io error",
    "other",
    "client error (Connect)",
    "the credential provider was not enabled",
];

/// What to do without a region.
const NAME_A_REGION: &str =
    "name a region: --region eu-west-1, or AWS_REGION, or `region` in the AWS profile";
/// What to do when somebody else answers.
const NOT_AWS: &str = "something else than AWS answers: look at --endpoint-url, the variables AWS_ENDPOINT_URL… and HTTPS_PROXY, and \
     at any sign-in page of this network";

/// Words of errors, and what to do about them.
const ADVICE: [(&[&str], &str); 14] = [
    (
        &["the file does not exist; the process"],
        "--ledger or NOTIFIER_LEDGER must name the file that `send` or the daemon writes",
    ),
    (
        &["the file cannot be opened"],
        "the directory of the ledger's file must exist, and whoever runs this must be able to write there",
    ),
    (&["database is locked"], "another process keeps the ledger's file to itself: wait for it, or end it"),
    (
        &["bytes left, and"],
        "nobody is called before the outcome can be recorded: free some space, or name a ledger on another disk",
    ),
    (&["disk i/o error"], "look at the disk that holds the ledger's file"),
    (&["no aws region", "missing region"], NAME_A_REGION),
    (&["html page", "cannot be read as aws's", "always sends", "is not dynamodb"], NOT_AWS),
    (&["sqs throttles"], "others in this account use SQS too: try again in a minute"),
    (
        &["`throttledrequests`"],
        "try again in a minute; a table that is throttled for longer needs more capacity, or to be paid on demand",
    ),
    (
        &["throttl", "rate exceeded", "requestlimitexceeded"],
        "AWS limits how often the account may ask, and others ask too: try again later, or lower \
         --aws-budget-percent so that fewer requests are made at once",
    ),
    (&["could not parse profile file"], WHERE_PROFILES_ARE),
    (
        &["credentials", "securitytoken", "unrecognizedclient", "expiredtoken", "security token"],
        "AWS does not know who is asking: choose a profile with --profile or AWS_PROFILE, and log in; \
         `aws sts get-caller-identity` shows who you are",
    ),
    (
        &["accessdenied", "not authorized", "no permission"],
        "whoever runs this may not make that call: allow it in their IAM policy",
    ),
    (
        &["dispatch failure", "connect", "dns", "timed out", "timeout", "within"],
        "is the network up, and are --region and --endpoint-url (or AWS_ENDPOINT_URL) right?",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_about_a_ledger_or_a_throttle_is_that_of_its_own_service() {
        for (said, hint) in [
            ("SQS throttles GetQueueUrl on queue q", "others in this account use SQS too"),
            (
                "the table has too much to do; its metric `ThrottledRequests` shows for how long",
                "try again in",
            ),
            ("Error code 5: database is locked", "another process keeps the ledger's file"),
            ("the disk has 4096 bytes left, and SQLite cannot open the file", "nobody is called before"),
            ("Error code 4874: disk I/O error", "look at the disk"),
        ] {
            let throttled = "ThrottlingException: Rate exceeded";
            let failure = Failure::failed("failed").because_of(said).because_of(throttled).advised();
            let found = failure.hint.unwrap_or_default();
            assert!(found.starts_with(hint) && !found.contains("--aws-budget-percent"), "{said}: {found}");
        }
    }

    fn unavailable(why: &str) -> Failure {
        Failure::from(DiscoveryError::Ecs(EcsError::Unavailable {
            operation: "ListTasks",
            source: why.into(),
        }))
    }

    #[test]
    fn each_reason_why_aws_does_not_answer_has_a_hint_of_its_own() {
        for (why, hint) in [
            ("ThrottlingException: Rate exceeded (status 400)", "AWS limits how often the account may ask"),
            ("cannot connect to http://127.0.0.1:1: Connection refused (os error 111)", "is the network up"),
            ("no answer from http://127.0.0.1:1 within 4s", "is the network up"),
            (
                "http://a answered with an HTML page (status 200), as a proxy does",
                "something else than AWS answers",
            ),
            ("the answer (status 200) cannot be read as AWS's", "something else than AWS answers"),
            (
                "http://a answered ListTasks without `taskArns`, which ECS always sends",
                "something else than AWS",
            ),
            ("no AWS region is set", "name a region: --region"),
            ("no AWS credentials: Profile: none", "AWS does not know who is asking"),
            ("no AWS credentials: could not parse profile file", "look at the AWS configuration files"),
        ] {
            let failure = unavailable(why);
            assert_eq!(failure.exit, Exit::Failed, "{why}");
            assert_eq!(failure.causes, [why]);
            assert!(
                failure.hint.as_deref().is_some_and(|found| found.starts_with(hint)),
                "{why}: {:?}",
                failure.hint
            );
        }
    }
}
