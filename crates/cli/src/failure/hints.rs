//! Hints: what to do about an error. Pure.

use notifier::aws::{AwsErrorKind, AwsService, LoadError};
use notifier::ledger::LedgerError;
use notifier::store::StoreProblem;

pub(super) const SETTINGS: &str =
    "`ecs-task-notifier serve --help` lists every setting, its range and its default";
pub(super) const ENDPOINT: &str =
    "an endpoint looks like http://127.0.0.1:4566; without one, requests go to AWS";
pub(super) const CLUSTERS: &str =
    "`aws ecs list-clusters` lists them; --region and --profile choose another region and account";
pub(super) const QUEUES: &str =
    "`aws sqs list-queues` lists them; --region and --profile choose another region and account";
pub(super) const QUEUE_FORM: &str =
    "name the queue, or give its URL: https://sqs.eu-west-1.amazonaws.com/111122223333/NAME";
pub(super) const NOT_AWS: &str = "the response is not from AWS: check --endpoint-url, the variables AWS_ENDPOINT_URL… and HTTPS_PROXY, and \
     any sign-in page of this network";

const REGION: &str = "set a region: --region eu-west-1, or AWS_REGION, or `region` in the AWS profile";
const CONFIG_FILES: &str = "check the AWS configuration files; they are in ~/.aws, or where AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE \
    point to";
const CREDENTIALS: &str = "AWS does not accept the credentials: choose a profile with --profile or AWS_PROFILE, and log in; \
    `aws sts get-caller-identity` shows the current identity";

/// What to do if the AWS clients cannot be created.
pub(super) fn load(error: &LoadError) -> &'static str {
    match error {
        LoadError::NoRegion => REGION,
        LoadError::Region(_) => {
            "a region looks like eu-west-1: check --region, AWS_REGION and the AWS profile"
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
        AwsErrorKind::AccessDenied => Some("permission denied: allow this action in the caller's IAM policy"),
        AwsErrorKind::InvalidCredentials | AwsErrorKind::ExpiredCredentials | AwsErrorKind::NoCredentials => {
            Some(CREDENTIALS)
        }
        AwsErrorKind::BadSignature => {
            Some("check this machine's clock, and the secret access key of these credentials")
        }
        AwsErrorKind::BadCredentialsConfig => Some(CONFIG_FILES),
        AwsErrorKind::NoEndpoint => Some(
            "check --region or AWS_REGION, and AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_ENDPOINT_URL…",
        ),
        AwsErrorKind::Throttled => Some(throttled(service)),
        AwsErrorKind::Unavailable => Some("AWS or a proxy is not available: try again in a few minutes"),
        AwsErrorKind::Unreachable | AwsErrorKind::TimedOut => {
            Some("check the network, --region and --endpoint-url (or AWS_ENDPOINT_URL)")
        }
        AwsErrorKind::NotAws | AwsErrorKind::UnknownOperation => Some(NOT_AWS),
        AwsErrorKind::NotFound | AwsErrorKind::NotSent | AwsErrorKind::Invalid | AwsErrorKind::Unknown => {
            None
        }
    }
}

fn throttled(service: AwsService) -> &'static str {
    match service {
        AwsService::Sqs => "the account's SQS requests are throttled: try again in a minute",
        AwsService::DynamoDb => {
            "try again in a minute; if it lasts, give the table more capacity, or switch it to on-demand"
        }
        AwsService::Ecs
        | AwsService::Ec2
        | AwsService::Sts
        | AwsService::SecretsManager
        | AwsService::Ssm
        | AwsService::CloudWatch => {
            "the whole account shares the request rate of AWS: try again later, or lower --aws-budget-percent for \
             fewer requests at once"
        }
    }
}

/// What to do when the ledger failed.
pub(super) fn ledger(error: &LedgerError) -> Option<&'static str> {
    match error {
        LedgerError::Store(error) => store(error.problem),
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
        StoreProblem::FileNotOpened => Some("the directory of the ledger's file must exist and be writable"),
        StoreProblem::FileLocked => {
            Some("another process has locked the ledger's file: wait for its end, or stop it")
        }
        StoreProblem::DiskFull => Some(
            "no container is called unless its outcome can be recorded: free some space, or use a ledger on another disk",
        ),
        StoreProblem::FileIo => Some("check the disk of the ledger's file"),
        StoreProblem::FileDamaged => Some(DAMAGED),
        StoreProblem::ForeignTable
        | StoreProblem::FileUnsuitable
        | StoreProblem::Unsupported
        | StoreProblem::Other => None,
    }
}

const DAMAGED: &str = "check that --ledger or NOTIFIER_LEDGER names the right ledger; if so, keep it for inspection, and use a new one for \
    the next broadcasts";
