use std::sync::Arc;
use std::time::Duration;

use notifier::aws::{AwsErrorKind as Kind, AwsService, CallError};
use notifier::fleet::RecheckError;
use notifier::store::{StoreError, StoreProblem};

use super::*;

/// How a hint begins; empty for none.
#[track_caller]
fn begins(hint: Option<&str>, start: &str, what: impl std::fmt::Debug) {
    let fits = match hint {
        Some(hint) => !start.is_empty() && hint.starts_with(start),
        None => start.is_empty(),
    };
    assert!(fits, "{what:?}: {hint:?}");
}

/// The beginning of the hint for each kind, for a service without a special hint.
fn start(kind: Kind) -> &'static str {
    match kind {
        Kind::AccessDenied => "permission denied",
        Kind::InvalidCredentials | Kind::ExpiredCredentials | Kind::NoCredentials => {
            "AWS does not accept the credentials"
        }
        Kind::BadSignature => "check this machine's clock",
        Kind::BadCredentialsConfig => "check the AWS configuration files",
        Kind::NoEndpoint => "check --region",
        Kind::Throttled => "the whole account shares the request rate of AWS",
        Kind::Unavailable => "AWS or a proxy is not available",
        Kind::Unreachable | Kind::TimedOut => "check the network",
        Kind::NotAws | Kind::UnknownOperation => "the response is not from AWS",
        Kind::NotFound | Kind::NotSent | Kind::Invalid | Kind::Unknown => "",
    }
}

#[test]
fn each_kind_of_error_of_aws_has_its_hint() {
    for kind in Kind::ALL {
        for service in [AwsService::Ecs, AwsService::Ec2, AwsService::Sts, AwsService::Ssm] {
            begins(hints::aws(service, kind), start(kind), (service, kind));
        }
    }
}

#[test]
fn a_throttle_has_the_hint_of_its_own_service() {
    begins(hints::aws(AwsService::Sqs, Kind::Throttled), "the account's SQS requests are throttled", "SQS");
    begins(hints::aws(AwsService::DynamoDb, Kind::Throttled), "try again in a minute; if it lasts", "table");
    for service in [AwsService::Sqs, AwsService::DynamoDb] {
        let hint = hints::aws(service, Kind::Throttled).unwrap_or_default();
        assert!(!hint.contains("--aws-budget-percent"), "{hint}");
    }
}

fn refused(service: AwsService, operation: &'static str, code: &str) -> AwsError {
    AwsError::answered(service, operation, 400, code, Some("why"))
}

#[test]
fn an_error_of_discovery_has_its_causes_and_the_hint_of_its_kind() {
    let failure = Failure::from(DiscoveryError::Ecs(EcsError::Call(refused(
        AwsService::Ecs,
        "ListTasks",
        "AccessDenied",
    ))));
    assert_eq!((failure.exit, failure.message.as_str()), (Exit::Failed, "ECS refused ListTasks"));
    assert_eq!(failure.causes, ["AccessDenied: why (status 400)"]);
    begins(failure.hint.as_deref(), start(Kind::AccessDenied), "ECS");

    let late = AwsError::timed_out(AwsService::Ec2, "DescribeInstances", Duration::from_secs(4));
    let failure = Failure::from(DiscoveryError::Ec2(CallError::Call(late)));
    assert_eq!((failure.exit, failure.causes), (Exit::Failed, vec!["no answer within 4.0s".to_owned()]));
    begins(failure.hint.as_deref(), start(Kind::TimedOut), "EC2");

    let invalid = refused(AwsService::Ecs, "ListTasks", "InvalidParameterException");
    assert_eq!(Failure::from(DiscoveryError::Ecs(EcsError::Call(invalid))).exit, Exit::Usage);

    let unknown = Failure::from(DiscoveryError::Ecs(EcsError::ClusterNotFound("prdo".to_owned())));
    assert_eq!(unknown.exit, Exit::Usage);
    begins(unknown.hint.as_deref(), "`aws ecs list-clusters`", "cluster");

    let incomplete =
        EcsError::Incomplete { operation: "ListTasks", endpoint: "http://a".to_owned(), part: "taskArns" };
    begins(Failure::from(DiscoveryError::Ecs(incomplete)).hint.as_deref(), start(Kind::NotAws), "part");
}

#[test]
fn the_hint_is_found_behind_other_errors() {
    let throttled = refused(AwsService::Ecs, "DescribeTasks", "ThrottlingException");
    let error = RecheckError::Discover(DiscoveryError::Ecs(EcsError::Call(throttled)));
    let failure = Failure::from(SendError::Recheck(error));
    assert_eq!(failure.exit, Exit::Failed);
    begins(failure.hint.as_deref(), start(Kind::Throttled), "recheck");
}

#[test]
fn an_error_of_a_queue_has_the_hint_of_its_kind() {
    let queue = || "q".to_owned();
    let call =
        |code| QueueError::Call { queue: queue(), source: refused(AwsService::Sqs, "SendMessage", code) };
    for (error, exit, message, start) in [
        (
            call("AccessDenied"),
            Exit::Failed,
            "no permission for SendMessage on queue q",
            start(Kind::AccessDenied),
        ),
        (
            call("OverLimit"),
            Exit::Failed,
            "SQS throttles SendMessage on queue q",
            "the account's SQS requests are throttled",
        ),
        (
            call("ExpiredToken"),
            Exit::Failed,
            "SQS refuses SendMessage on queue q",
            start(Kind::ExpiredCredentials),
        ),
        (
            call("InternalError"),
            Exit::Failed,
            "SQS cannot be reached for SendMessage on queue q",
            start(Kind::Unavailable),
        ),
        (
            QueueError::Unknown {
                queue: queue(),
                source: refused(AwsService::Sqs, "GetQueueUrl", "QueueDoesNotExist"),
            },
            Exit::Usage,
            "queue q does not exist in this account and region",
            "`aws sqs list-queues`",
        ),
        (
            QueueError::NotSqs { queue: queue(), operation: "GetQueueUrl", problem: "no URL".to_owned() },
            Exit::Failed,
            "the answer to GetQueueUrl on queue q has no URL",
            start(Kind::NotAws),
        ),
    ] {
        let failure = Failure::from(error);
        assert_eq!((failure.exit, failure.message.as_str()), (exit, message));
        begins(failure.hint.as_deref(), start, message);
    }
}

#[test]
fn each_problem_of_a_ledger_has_its_exit_code_and_its_hint() {
    let table = |kind| StoreProblem::Table(kind);
    for (problem, exit, start) in [
        (StoreProblem::FileMissing, Exit::Usage, "--ledger or NOTIFIER_LEDGER must name the file"),
        (StoreProblem::FileNotOpened, Exit::Usage, "the directory of the ledger's file must exist"),
        (StoreProblem::FileUnsuitable, Exit::Usage, ""),
        (StoreProblem::Unsupported, Exit::Usage, ""),
        (StoreProblem::ForeignTable, Exit::Usage, ""),
        (table(Kind::NotFound), Exit::Usage, ""),
        (table(Kind::AccessDenied), Exit::Usage, start(Kind::AccessDenied)),
        (StoreProblem::FileLocked, Exit::Failed, "another process has locked the ledger's file"),
        (StoreProblem::DiskFull, Exit::Failed, "no container is called unless its outcome"),
        (StoreProblem::FileIo, Exit::Failed, "check the disk"),
        (StoreProblem::Other, Exit::Failed, ""),
        (table(Kind::Throttled), Exit::Failed, "try again in a minute; if it lasts"),
        (table(Kind::NotAws), Exit::Failed, start(Kind::NotAws)),
        (
            StoreProblem::FileDamaged,
            Exit::Failed,
            "check that --ledger or NOTIFIER_LEDGER names the right ledger",
        ),
    ] {
        let error = StoreError::new("sqlite:l.db", "open", problem, "why");
        let failure = Failure::from(LedgerError::Store(Arc::new(error)));
        assert_eq!((failure.exit, failure.causes), (exit, vec!["why".to_owned()]), "{problem:?}");
        begins(failure.hint.as_deref(), start, problem);
    }
    let unreadable =
        LedgerError::Unreadable { partition: "p".to_owned(), sort: "s".to_owned(), source: "no JSON".into() };
    let failure = Failure::from(unreadable);
    assert_eq!(failure.exit, Exit::Failed);
    begins(
        failure.hint.as_deref(),
        "check that --ledger or NOTIFIER_LEDGER names the right ledger",
        "a record",
    );
}
