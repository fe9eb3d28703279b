//! An error as AWS answers it, before a protocol gives it its shape.

/// What an operation answers instead of its result.
///
/// The server writes it as JSON 1.0/1.1 (ECS, SQS) or as EC2's XML; the operation only says what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// HTTP status: 400 for most of the caller's mistakes, 5xx for the service's own.
    pub status: u16,
    /// The modelled error's shape name, for example `ClusterNotFoundException` or `QueueDoesNotExist`.
    pub code: String,
    /// The text for people.
    pub message: String,
    /// The code of the older query protocol (`AWS.SimpleQueueService.NonExistentQueue`), which SQS sends beside the
    /// JSON one in the header `x-amzn-query-error`.
    pub query_code: Option<String>,
}

impl AwsError {
    /// The caller's mistake, answered with status 400.
    pub fn client(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into(), query_code: None }
    }

    /// The service's own failure, answered with status 500: clients try such a call again.
    pub fn server(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 500, code: code.into(), message: message.into(), query_code: None }
    }

    /// The same error with the query protocol's code beside it.
    #[must_use]
    pub fn with_query_code(mut self, code: impl Into<String>) -> Self {
        self.query_code = Some(code.into());
        self
    }

    /// The same error with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Whether the caller is to blame, as AWS counts it: `Sender` for 4xx, else `Receiver`.
    pub fn is_senders(&self) -> bool {
        self.status < 500
    }
}
