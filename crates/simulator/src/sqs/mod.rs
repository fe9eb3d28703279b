//! SQS: queues, messages and their visibility.

use serde_json::Value;

use crate::error::AwsError;

/// The queues of one account and Region.
#[derive(Debug)]
pub struct Sqs {}

impl Sqs {
    /// No queues yet. Queue URLs start with `base_url`.
    #[must_use]
    pub fn new(_base_url: &str, _region: &str, _account: &str) -> Self {
        Self {}
    }

    /// Carries out one operation of the JSON protocol.
    pub async fn call(&self, operation: &str, _body: Value) -> Result<Value, AwsError> {
        Err(AwsError::client("UnknownOperationException", format!("unknown operation {operation}")))
    }
}
