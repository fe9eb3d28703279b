//! Counts every request to AWS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Requests so far, by service and operation. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Counts>>);

type Counts = BTreeMap<(String, String), u64>;

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
        let counts = self.counts();
        let count = |(key, requests): (&(String, String), &u64)| {
            let (service, operation) = key.clone();
            Count { service, operation, requests: *requests }
        };
        counts.iter().map(count).collect()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
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
            *self.counts().entry((call.service().to_owned(), call.name().to_owned())).or_default() += 1;
        }
        Ok(())
    }
}
