//! What kind of failure an error of AWS is, and what follows from it. Pure.

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};

/// Throttling codes of SQS and KMS that the SDK's list lacks. Source: Amazon SQS API Reference, "Common Errors".
const THROTTLING_CODES: [&str; 4] = ["OverLimit", "KmsThrottled", "KMS.ThrottlingException", "Throttled"];

/// Codes of server errors that do not always come with a status of 500 or more. Source: the services' API references.
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

/// Before the codes of the query protocol, SQS puts this.
const SQS_PREFIX: &str = "AWS.SimpleQueueService.";

/// What kind of failure it is. Whether to retry, which exit code and which hint follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// What the request names does not exist.
    NotFound,
    /// The caller has no permission for the call.
    AccessDenied,
    /// AWS does not know the credentials.
    InvalidCredentials,
    /// The session has expired. A role's is renewed by itself.
    ExpiredCredentials,
    /// The signature does not match: a wrong clock or a wrong secret key.
    BadSignature,
    /// No source of credentials has any.
    NoCredentials,
    /// The source of credentials is set up wrongly, as by a mistake in the AWS configuration files.
    BadCredentialsConfig,
    /// The settings give no endpoint: there is no region, or they contradict each other.
    NoEndpoint,
    /// The request could not be made for another reason.
    NotSent,
    /// Too many requests, of this process or of others.
    Throttled,
    /// A server error, or a connection that broke off during the answer.
    Unavailable,
    /// No connection: refused, no address, no TLS.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The answer is not one of AWS, but for example of a proxy.
    NotAws,
    /// Whatever answers does not know the operation, so it is another service.
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

    /// Whether the same request may succeed in a moment, without anybody's doing.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::Unreachable | Self::TimedOut | Self::NotAws
        )
    }

    /// Whether the same request fails until somebody changes something. What is neither this nor transient may pass by
    /// itself, but not in a moment: a role's credentials are renewed, a clock is set, and of an unknown code nobody knows.
    #[must_use]
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
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(self, Self::NoCredentials | Self::BadCredentialsConfig | Self::NoEndpoint | Self::NotSent)
    }

    /// The kind of an error answer with this code.
    #[must_use]
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

    /// The kind of an answer that is no success, or that cannot be read. Every error answer of AWS has a code.
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
