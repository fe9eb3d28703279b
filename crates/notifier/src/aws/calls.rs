//! Counts every request to AWS, and keeps what went wrong last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::error;
use super::reach::NoAnswer;

/// Requests so far, by service and operation. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    counts: BTreeMap<(String, String), u64>,
    trouble: Option<String>,
}

/// How often one operation was requested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// The service as AWS's SDKs name it: for example `ECS` or `DynamoDB`.
    pub service: String,
    /// Name of the operation, for example `ListTasks`.
    pub operation: String,
    /// Requests on the wire, repeated tries included.
    pub requests: u64,
}

impl Calls {
    /// The counts so far, sorted by service and operation.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Count> {
        let seen = self.seen();
        let count = |(key, requests): (&(String, String), &u64)| {
            let (service, operation) = key.clone();
            Count { service, operation, requests: *requests }
        };
        seen.counts.iter().map(count).collect()
    }

    /// Why the last request failed; `None` when it did not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.seen().trouble.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    /// Runs once for each try, just before the request goes out.
    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = cfg.load::<Metadata>() {
            let key = (call.service().to_owned(), call.name().to_owned());
            *self.seen().counts.entry(key).or_default() += 1;
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = cfg.load::<Metadata>().map_or("", |call| call.name());
        self.seen().trouble = match context.output_or_error() {
            Some(Err(error)) => Some(match error.as_connector_error().and_then(|e| NoAnswer::among(e)) {
                Some(no_answer) => no_answer.to_string(),
                None => format!("{operation}: {}", error::said(context.response())),
            }),
            _ => None,
        };
        Ok(())
    }
}
