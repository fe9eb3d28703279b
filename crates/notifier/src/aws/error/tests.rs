//! Tests every service with its real client, and prepared answers instead of a network.

use std::io;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::sdk_config::Builder;

use super::AwsErrorKind as Kind;
use super::*;
use crate::aws::Aws;
use crate::aws::budget::Budget;
use crate::aws::ecs::Ecs;
use crate::aws::identity;
use crate::aws::minimal::secrets::Version;
use crate::base::Rng;
use crate::queue::Queue;
use crate::store::dynamodb::DynamoDb;
use crate::store::{Range, Store as _};

/// The result of every request.
#[derive(Clone, Debug)]
enum Fate {
    Answer(u16, String),
    Fails(fn() -> ConnectorError),
}

impl HttpConnector for Fate {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(match self {
            Self::Answer(status, body) => {
                Ok(HttpResponse::new(StatusCode::try_from(*status).unwrap(), SdkBody::from(body.as_str())))
            }
            Self::Fails(error) => Err(error()),
        })
    }
}

impl HttpClient for Fate {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Clients whose requests have this result, with one attempt.
fn clients(fate: Fate) -> Builder {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(fate)
        .retry_config(RetryConfig::standard().with_max_attempts(1))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::new("eu-west-1"))
        .endpoint_url("http://aws.invalid")
}

/// The error of one call to a service.
async fn error_of(service: AwsService, config: SdkConfig) -> AwsError {
    let aws = Aws::from_sdk_config(config, Budget::unlimited());
    let error: BoxError = match service {
        AwsService::Ecs => Ecs::new(&aws).list_tasks("c", None).await.unwrap_err().into(),
        AwsService::Ec2 => aws.ec2.addresses(&["i-1".to_owned()]).await.unwrap_err().into(),
        AwsService::Sqs => Queue::open(aws.sqs, "q", Rng::seeded(1)).await.unwrap_err().into(),
        AwsService::DynamoDb => {
            let range = Range { partition: "p".to_owned(), prefix: String::new(), backwards: false };
            DynamoDb::new(aws.dynamodb, "t", Rng::seeded(1)).list(range, None).await.unwrap_err().into()
        }
        AwsService::Sts => identity::unique_id(&aws).await.unwrap_err().into(),
        AwsService::SecretsManager => aws.secrets.secret("s", Version::Current).await.unwrap_err().into(),
        AwsService::Ssm => aws.secrets.parameter("p").await.unwrap_err().into(),
        AwsService::CloudWatch => aws.cloudwatch.states(&["a".to_owned()]).await.unwrap_err().into(),
    };
    let error = AwsError::among(&*error).unwrap_or_else(|| panic!("{error:?}")).clone();
    assert_eq!(error.service, service);
    error
}

/// The error of one call to each service.
async fn all(config: SdkConfig) -> Vec<AwsError> {
    let mut errors = Vec::new();
    for service in AwsService::ALL {
        errors.push(error_of(service, config.clone()).await);
    }
    errors
}

/// An error answer in the protocol of this service.
fn answer(service: AwsService, status: u16, code: &str) -> Fate {
    let error = format!("<Error><Code>{code}</Code><Message>why\u{202e}</Message></Error>");
    let body = match service {
        AwsService::Ec2 => format!("<Response><Errors>{error}</Errors></Response>"),
        AwsService::Sts => format!("<ErrorResponse>{error}</ErrorResponse>"),
        _ => format!(r#"{{"__type":"com.amazonaws#{code}","message":"why\u202e"}}"#),
    };
    Fate::Answer(status, body)
}

#[tokio::test(start_paused = true)]
async fn every_service_has_the_same_kind_for_the_same_code() {
    for (status, code, kind, is_refusal) in [
        (400, "AccessDeniedException", Kind::AccessDenied, true),
        (403, "InvalidClientTokenId", Kind::InvalidCredentials, true),
        (400, "ExpiredTokenException", Kind::ExpiredCredentials, true),
        (403, "SignatureDoesNotMatch", Kind::BadSignature, true),
        (400, "ResourceNotFoundException", Kind::NotFound, true),
        (400, "ThrottlingException", Kind::Throttled, false),
        (500, "InternalFailure", Kind::Unavailable, false),
        (500, "AccessDeniedException", Kind::Unavailable, false),
        (400, "ValidationException", Kind::Invalid, true),
        (400, "UnknownOperationException", Kind::UnknownOperation, true),
        (400, "SomethingNew", Kind::Unknown, true),
    ] {
        for service in AwsService::ALL {
            let error = error_of(service, clients(answer(service, status, code)).build()).await;
            assert_eq!((error.kind, error.is_refusal()), (kind, is_refusal), "{code}: {error:?}");
            assert_eq!((error.status, error.code.as_deref()), (Some(status), Some(code)), "{error:?}");
            assert_eq!(error.to_string(), format!("{code}: why\\u{{202e}} (status {status})"));
            let verb = if is_refusal { "refused" } else { "did not answer" };
            assert_eq!(error.summary(), format!("{service} {verb} {}", error.operation));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_lookup_of_nodes_is_an_error_unless_their_ids_are_invalid() {
    let lookup = async |code: &str| {
        let config = clients(answer(AwsService::Ssm, 400, code)).build();
        let aws = Aws::from_sdk_config(config, Budget::unlimited());
        aws.nodes.describe(&["mi-1".to_owned(), "mi-2".to_owned()]).await
    };
    let error = lookup("AccessDeniedException").await.unwrap_err();
    let error = AwsError::among(&error).unwrap();
    assert_eq!((error.service, error.operation), (AwsService::Ssm, "DescribeInstanceInformation"));
    assert_eq!(error.kind, Kind::AccessDenied);
    assert!(lookup("InvalidInstanceId").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_of_aws_is_named_as_such() {
    for (status, body, kind) in [
        (200, "welcome", Kind::NotAws),
        (301, "{}", Kind::NotAws),
        (403, "<html>", Kind::NotAws),
        (400, r#"{"message":"no type"}"#, Kind::NotAws),
        (400, r##"{"__type":"#"}"##, Kind::NotAws),
        (413, "", Kind::NotAws),
        (408, "", Kind::Unavailable),
        (429, "", Kind::Throttled),
        (503, "busy", Kind::Unavailable),
        (999, "{}", Kind::Unavailable),
    ] {
        for error in all(clients(Fate::Answer(status, body.to_owned())).build()).await {
            assert_eq!(error.kind, kind, "{status} {body}: {error:?}");
            assert!(error.is_transient() && !error.is_refusal(), "{error:?}");
            let text = format!("the answer (status {status}) cannot be read as AWS's");
            assert_eq!(error.to_string(), text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_is_unreachable_timed_out_or_not_made() {
    fn cause() -> BoxError {
        io::Error::other("cause\u{1b}").into()
    }
    for (fails, kind) in [
        ((|| ConnectorError::io(cause())) as fn() -> ConnectorError, Kind::Unreachable),
        (|| ConnectorError::timeout(cause()), Kind::TimedOut),
        (|| ConnectorError::user(cause()), Kind::NotSent),
        (|| ConnectorError::other(cause(), None), Kind::NotSent),
    ] {
        for error in all(clients(Fate::Fails(fails)).build()).await {
            assert_eq!(error.kind, kind, "{error:?}");
            assert_eq!(error.to_string(), "the request cannot be made: cause\\u{1b}");
        }
    }
}

/// The error of `fail_fast` takes precedence over the connector's kind.
#[tokio::test(start_paused = true)]
async fn the_failures_that_our_http_client_names_keep_their_text() {
    for (kind, may_retry) in [(Kind::Unreachable, true), (Kind::TimedOut, false), (Kind::NotAws, true)] {
        let error = ConnectionError { kind, text: "cannot connect to http://h:1".to_owned(), may_retry };
        let connector = ConnectorError::other(error.clone().into(), None);
        let sdk = SdkError::<ErrorMetadata, HttpResponse>::dispatch_failure(connector);
        let found = AwsError::of(AwsService::Ecs, "ListTasks", &sdk);
        assert_eq!((found.kind, found.to_string()), (kind, error.text));
        assert_eq!(found.is_transient(), may_retry, "no further try while somebody waits");
    }
}

/// A provider without credentials.
#[derive(Debug)]
struct NoCredentials(fn() -> CredentialsError);

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(provider::Result::Err(self.0()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_before_a_request_has_a_kind_of_its_own() {
    let nobody = || clients(Fate::Fails(|| ConnectorError::user("asked all the same".into())));
    let none = || CredentialsError::not_loaded("none found");
    let broken = || CredentialsError::invalid_configuration("could not parse profile file");
    for (error, kind, text) in [
        (none as fn() -> CredentialsError, Kind::NoCredentials, "no AWS credentials: none found"),
        (broken, Kind::BadCredentialsConfig, "no AWS credentials: could not parse profile file"),
    ] {
        let config = nobody().credentials_provider(SharedCredentialsProvider::new(NoCredentials(error)));
        for error in all(config.build()).await {
            assert_eq!((error.kind, error.to_string()), (kind, text.to_owned()), "{error:?}");
            assert!(error.kind.is_local() && !error.is_transient());
        }
    }
    let mut config = nobody();
    config.set_endpoint_url(None).set_region(None);
    for error in all(config.build()).await {
        assert_eq!(error.kind, Kind::NoEndpoint, "{error:?}");
        assert!(error.to_string().starts_with("there is no endpoint: "), "{error}");
    }
    let mut config = nobody();
    config.set_credentials_provider(None);
    for error in all(config.build()).await {
        assert_eq!(error.kind, Kind::NotSent, "{error:?}");
    }
}

#[test]
fn codes_of_one_service_have_their_kind_too() {
    for (code, kind) in [
        ("UnauthorizedOperation", Kind::AccessDenied),
        ("AuthFailure", Kind::InvalidCredentials),
        ("RequestLimitExceeded", Kind::Throttled),
        ("QueueDoesNotExist", Kind::NotFound),
        ("AWS.SimpleQueueService.NonExistentQueue", Kind::NotFound),
        ("KMS.AccessDeniedException", Kind::AccessDenied),
        ("KmsThrottled", Kind::Throttled),
        ("OverLimit", Kind::Throttled),
        ("TooManyRequestsException", Kind::Throttled),
        ("ProvisionedThroughputExceededException", Kind::Throttled),
        ("LimitExceededException", Kind::Throttled),
        ("ReplicatedWriteConflictException", Kind::Unavailable),
        ("RequestTimeout", Kind::Unavailable),
        ("ServerException", Kind::Unavailable),
        ("RequestExpired", Kind::ExpiredCredentials),
        ("RequestTimeTooSkewed", Kind::BadSignature),
        ("MissingAuthenticationToken", Kind::InvalidCredentials),
        ("IncompleteSignatureException", Kind::InvalidCredentials),
        ("ItemCollectionSizeLimitExceededException", Kind::Invalid),
        ("ClientException", Kind::Invalid),
        ("ParameterNotFound", Kind::NotFound),
        ("InvalidMessageContents", Kind::Unknown),
        ("", Kind::Unknown),
    ] {
        assert_eq!(Kind::of_code(code), kind, "{code}");
    }
}

#[test]
fn what_follows_from_each_kind() {
    for kind in Kind::ALL {
        let follows = match (kind.is_transient(), kind.is_final(), kind.is_local()) {
            (true, false, false) => "transient",
            (false, true, false) => "final",
            (false, false, true) => "local",
            (false, false, false) => "later",
            _ => "contradiction",
        };
        let expected = match kind {
            Kind::Throttled | Kind::Unavailable | Kind::Unreachable | Kind::TimedOut | Kind::NotAws => {
                "transient"
            }
            Kind::NotFound
            | Kind::AccessDenied
            | Kind::InvalidCredentials
            | Kind::UnknownOperation
            | Kind::Invalid => "final",
            Kind::NoCredentials | Kind::BadCredentialsConfig | Kind::NoEndpoint | Kind::NotSent => "local",
            Kind::ExpiredCredentials | Kind::BadSignature | Kind::Unknown => "later",
        };
        assert_eq!(follows, expected, "{kind:?}");
    }
}

#[test]
fn every_form_of_an_error_answer_has_its_code() {
    let xml = |error: &str| {
        format!("<?xml version=\"1.0\"?><Response><Errors>{error}</Errors><RequestID/></Response>")
    };
    let quoted =
        xml("<Error><Code>UnauthorizedOperation</Code><Message>not &quot;you&quot;</Message></Error>");
    let unexplained = xml("<Error><Code>InvalidNextToken</Code><Message></Message></Error>");
    for (body, json, xml) in [
        (r#"{"__type":"NotFoundException","Message":"no"}"#, "NotFoundException: no", "-"),
        (r#"{"__type":"com.amazonaws.ssm#InvalidRequest","message":"no"}"#, "InvalidRequest: no", "-"),
        (r#"{"__type":"AccessDeniedException:http://x/"}"#, "AccessDeniedException: ", "-"),
        (&quoted, "-", "UnauthorizedOperation: not \"you\""),
        (&unexplained, "-", "InvalidNextToken: "),
        (&xml(""), "-", "-"),
        ("<Response/>", "-", "-"),
        ("<html><h1>Bad gateway</h1>", "-", "-"),
        ("{}", "-", "-"),
        ("\0", "-", "-"),
        ("", "-", "-"),
    ] {
        for (read, expected) in [(read_json(body.as_bytes()), json), (read_xml(body.as_bytes()), xml)] {
            let found = read.code().map(|code| format!("{code}: {}", read.message().unwrap_or_default()));
            assert_eq!(found.as_deref().unwrap_or("-"), expected, "{body}");
        }
    }
}

#[test]
fn a_message_without_end_is_cut() {
    let error = AwsError::answered(AwsService::Ecs, "ListTasks", 400, "Code", Some(&"ü".repeat(100_000)));
    assert_eq!(error.message.chars().count(), MESSAGE_CHARS_MAX);
}
