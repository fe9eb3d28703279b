//! What to do about an error. Pure.

use notifier::aws::{AwsErrorKind, AwsService, LoadError};
use notifier::ledger::LedgerError;
use notifier::ledger::store::StoreProblem;

pub(super) const SETTINGS: &str =
    "`ecs-task-notifier serve --help` lists every setting, its range and its default";
pub(super) const ENDPOINT: &str =
    "an endpoint looks like http://127.0.0.1:4566; without one, AWS itself is asked";
pub(super) const CLUSTERS: &str =
    "`aws ecs list-clusters` lists them; --region and --profile choose another region and account";
pub(super) const QUEUES: &str =
    "`aws sqs list-queues` lists them; --region and --profile choose another region and account";
pub(super) const QUEUE_FORM: &str =
    "name the queue, or give its URL: https://sqs.eu-west-1.amazonaws.com/111122223333/NAME";
pub(super) const NOT_AWS: &str = "something else than AWS answers: look at --endpoint-url, the variables AWS_ENDPOINT_URL… and HTTPS_PROXY, and \
     at any sign-in page of this network";

const REGION: &str = "name a region: --region eu-west-1, or AWS_REGION, or `region` in the AWS profile";
const CONFIG_FILES: &str = "look at the AWS configuration files: AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE say where they are; else they are \
    in ~/.aws";
const CREDENTIALS: &str = "AWS does not know who is asking: choose a profile with --profile or AWS_PROFILE, and log in; \
    `aws sts get-caller-identity` shows who you are";

/// What to do when there are no clients.
pub(super) fn load(error: &LoadError) -> &'static str {
    match error {
        LoadError::NoRegion => REGION,
        LoadError::Region(_) => {
            "a region is named like eu-west-1: look at --region, AWS_REGION and the AWS profile"
        }
        LoadError::Profile { .. } => {
            "profiles are in ~/.aws/config and ~/.aws/credentials; `aws configure list-profiles` lists them"
        }
        LoadError::Endpoint { .. } => ENDPOINT,
        _ => CONFIG_FILES,
    }
}

/// What to do when a call to a service failed.
pub(super) fn aws(service: AwsService, kind: AwsErrorKind) -> Option<&'static str> {
    match kind {
        AwsErrorKind::AccessDenied => {
            Some("whoever runs this may not make that call: allow it in their IAM policy")
        }
        AwsErrorKind::InvalidCredentials | AwsErrorKind::ExpiredCredentials | AwsErrorKind::NoCredentials => {
            Some(CREDENTIALS)
        }
        AwsErrorKind::BadSignature => {
            Some("look at this machine's clock, and at the secret access key of these credentials")
        }
        AwsErrorKind::BadCredentialsConfig => Some(CONFIG_FILES),
        AwsErrorKind::NoEndpoint => Some(
            "look at --region or AWS_REGION, and at AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_ENDPOINT_URL…",
        ),
        AwsErrorKind::Throttled => Some(throttled(service)),
        AwsErrorKind::Unavailable => {
            Some("AWS or a proxy on the way has a problem: try again in a few minutes")
        }
        AwsErrorKind::Unreachable | AwsErrorKind::TimedOut => {
            Some("is the network up, and are --region and --endpoint-url (or AWS_ENDPOINT_URL) right?")
        }
        AwsErrorKind::NotAws | AwsErrorKind::UnknownOperation => Some(NOT_AWS),
        AwsErrorKind::NotFound | AwsErrorKind::NotSent | AwsErrorKind::Invalid | AwsErrorKind::Unknown => {
            None
        }
    }
}

fn throttled(service: AwsService) -> &'static str {
    match service {
        AwsService::Sqs => "others in this account use SQS too: try again in a minute",
        AwsService::DynamoDb => {
            "try again in a minute; a table that is throttled for longer needs more capacity, or to be paid on demand"
        }
        AwsService::Ecs
        | AwsService::Ec2
        | AwsService::Sts
        | AwsService::SecretsManager
        | AwsService::Ssm => {
            "AWS limits how often the account may ask, and others ask too: try again later, or lower \
             --aws-budget-percent so that fewer requests are made at once"
        }
    }
}

/// What to do when the ledger failed.
pub(super) fn ledger(error: &LedgerError) -> Option<&'static str> {
    match error {
        LedgerError::Store(error) => store(error.problem()),
        LedgerError::Unreadable { .. } => Some(DAMAGED),
        _ => None,
    }
}

/// What to do when a table or a file failed.
fn store(problem: StoreProblem) -> Option<&'static str> {
    match problem {
        StoreProblem::Table(kind) => aws(AwsService::DynamoDb, kind),
        StoreProblem::FileMissing => {
            Some("--ledger or NOTIFIER_LEDGER must name the file that `send` or the daemon writes")
        }
        StoreProblem::FileNotOpened => Some(
            "the directory of the ledger's file must exist, and whoever runs this must be able to write there",
        ),
        StoreProblem::FileLocked => {
            Some("another process keeps the ledger's file to itself: wait for it, or end it")
        }
        StoreProblem::DiskFull => Some(
            "nobody is called before the outcome can be recorded: free some space, or name a ledger on another disk",
        ),
        StoreProblem::FileIo => Some("look at the disk that holds the ledger's file"),
        StoreProblem::FileDamaged => Some(DAMAGED),
        StoreProblem::ForeignTable | StoreProblem::FileUnsuitable | StoreProblem::Other => None,
    }
}

const DAMAGED: &str = "is it the right ledger (--ledger, NOTIFIER_LEDGER)? If so, keep it for inspection, and let the next broadcasts \
    use a new one";
