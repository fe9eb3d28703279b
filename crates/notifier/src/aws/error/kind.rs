//! The kinds of AWS errors. Pure.

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};

/// Throttling codes of SQS and KMS that the SDK's list lacks. Source: Amazon SQS API Reference, "Common Errors".
const THROTTLING_CODES: [&str; 4] = ["OverLimit", "KmsThrottled", "KMS.ThrottlingException", "Throttled"];

/// Codes of server errors that may have a status below 500. Source: the services' API references.
const SERVER_CODES: [&str; 8] = [
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "ReplicatedWriteConflictException",
    "ServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// SQS's prefix of the codes of the query protocol.
const SQS_PREFIX: &str = "AWS.SimpleQueueService.";

/// The kind of an error. Retries, exit codes and hints depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// The resource does not exist.
    NotFound,
    /// The caller has no permission for the call.
    AccessDenied,
    /// AWS does not accept the credentials.
    InvalidCredentials,
    /// The session has expired. The session of a role is renewed automatically.
    ExpiredCredentials,
    /// The signature does not match: a wrong clock or a wrong secret key.
    BadSignature,
    /// No credentials were found.
    NoCredentials,
    /// The source of credentials is not configured correctly, for example in the AWS configuration files.
    BadCredentialsConfig,
    /// The settings have no valid endpoint: there is no region, or they contradict each other.
    NoEndpoint,
    /// The request could not be built for another reason.
    NotSent,
    /// Too many requests, of this process or of others.
    Throttled,
    /// A server error, or a connection that was closed during the answer.
    Unavailable,
    /// The connection failed: refused, no address, or TLS.
    Unreachable,
    /// The answer timed out.
    TimedOut,
    /// The response is not from AWS, but for example from a proxy.
    NotAws,
    /// The endpoint does not know the operation, so it is another service.
    UnknownOperation,
    /// The request itself is wrong.
    Invalid,
    /// A code that this version does not know.
    Unknown,
}

impl AwsErrorKind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::NotFound,
        Self::AccessDenied,
        Self::InvalidCredentials,
        Self::ExpiredCredentials,
        Self::BadSignature,
        Self::NoCredentials,
        Self::BadCredentialsConfig,
        Self::NoEndpoint,
        Self::NotSent,
        Self::Throttled,
        Self::Unavailable,
        Self::Unreachable,
        Self::TimedOut,
        Self::NotAws,
        Self::UnknownOperation,
        Self::Invalid,
        Self::Unknown,
    ];

    /// Whether the same request may soon succeed without a change.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::Unreachable | Self::TimedOut | Self::NotAws
        )
    }

    /// Whether the same request fails until a setting or permission is changed. Errors that are neither this nor transient
    /// may pass later: the credentials of a role are renewed, a clock is set, and unknown codes may be either.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::AccessDenied
                | Self::InvalidCredentials
                | Self::UnknownOperation
                | Self::Invalid
        )
    }

    /// Whether no request was made.
    pub fn is_local(self) -> bool {
        matches!(self, Self::NoCredentials | Self::BadCredentialsConfig | Self::NoEndpoint | Self::NotSent)
    }

    /// The kind of an error answer with this code.
    pub fn of_code(code: &str) -> Self {
        let code = code.strip_prefix(SQS_PREFIX).unwrap_or(code);
        if THROTTLING_ERRORS.contains(&code) || THROTTLING_CODES.contains(&code) {
            return Self::Throttled;
        }
        if TRANSIENT_ERRORS.contains(&code) || SERVER_CODES.contains(&code) {
            return Self::Unavailable;
        }
        // Sources: the API references of the services, "Errors" of the operations and "Common Errors".
        match code {
            "ClusterNotFoundException"
            | "InvalidAddress"
            | "NonExistentQueue"
            | "ParameterNotFound"
            | "ParameterVersionNotFound"
            | "QueueDoesNotExist"
            | "ResourceNotFoundException"
            | "ServiceNotActiveException"
            | "ServiceNotFoundException" => Self::NotFound,
            "AccessDenied"
            | "AccessDeniedException"
            | "InvalidSecurity"
            | "KMS.AccessDeniedException"
            | "KmsAccessDenied"
            | "NotAuthorized"
            | "OptInRequired"
            | "UnauthorizedOperation" => Self::AccessDenied,
            "AuthFailure"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "UnrecognizedClientException" => Self::InvalidCredentials,
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Self::ExpiredCredentials,
            "InvalidSignatureException" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch" => {
                Self::BadSignature
            }
            "InvalidAction" | "UnknownOperationException" => Self::UnknownOperation,
            "ClientException"
            | "InvalidParameterException"
            | "InvalidRequestException"
            | "ItemCollectionSizeLimitExceededException"
            | "SerializationException"
            | "ValidationError"
            | "ValidationException" => Self::Invalid,
            _ => Self::Unknown,
        }
    }

    /// The kind of an error answer or of an unreadable answer. Every error answer of AWS has a code.
    pub(super) fn of_answer(status: u16, code: Option<&str>) -> Self {
        let of_code = code.map(Self::of_code);
        match (status, of_code) {
            (_, Some(kind @ (Self::Throttled | Self::Unavailable))) => kind,
            (408 | 500.., _) => Self::Unavailable,
            (429, _) => Self::Throttled,
            (..400, _) | (_, None) => Self::NotAws,
            (_, Some(kind)) => kind,
        }
    }
}
