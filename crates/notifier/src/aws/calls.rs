//! Counts every request to AWS, and keeps the last error.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::error::{AwsErrorKind, ConnectionError};
use super::error::{read_json, read_xml};
use crate::base::causes::find;
use crate::base::text::printable;

/// The most characters of an error code that are kept.
const CODE_CHARS_MAX: usize = 100;

/// Requests so far, by service and operation. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    counts: BTreeMap<(String, String), Counts>,
    /// Where the first request of each service went.
    endpoints: BTreeMap<String, String>,
    last_error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    results: Results,
}

/// Answered requests, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Results {
    /// Successful.
    pub ok: u64,
    /// AWS asked to slow down.
    pub throttled: u64,
    /// AWS refused the request, also when a condition of a write was not met.
    pub refused: u64,
    /// AWS failed, or there was no answer.
    pub failed: u64,
}

impl Results {
    /// Each result with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self { ok, throttled, refused, failed } = *self;
        [("ok", ok), ("throttled", throttled), ("refused", refused), ("failed", failed)].into_iter()
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// The results after an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            ok: self.ok.saturating_sub(earlier.ok),
            throttled: self.throttled.saturating_sub(earlier.throttled),
            refused: self.refused.saturating_sub(earlier.refused),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }

    fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.throttled += other.throttled;
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

/// The number of requests of one operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// The service's name in the AWS SDKs, for example `ECS` or `DynamoDB`.
    pub service: String,
    /// Name of the operation, for example `ListTasks`.
    pub operation: String,
    /// Number of requests, including retries.
    pub requests: u64,
    /// The answered ones by result.
    pub results: Results,
}

impl Calls {
    /// The counts so far, sorted by service and operation.
    pub fn snapshot(&self) -> Vec<Count> {
        let seen = self.seen();
        let count = |(key, counts): (&(String, String), &Counts)| {
            let (service, operation) = key.clone();
            Count { service, operation, requests: counts.requests, results: counts.results }
        };
        seen.counts.iter().map(count).collect()
    }

    /// The results of all operations together.
    pub fn results(&self) -> Results {
        let mut results = Results::default();
        self.seen().counts.values().for_each(|counts| results.add(counts.results));
        results
    }

    /// The error of the last request, if it failed.
    pub fn last_error(&self) -> Option<String> {
        self.seen().last_error.clone()
    }

    /// Where the requests of a service go; `None` before the first one.
    pub(super) fn endpoint(&self, service: &str) -> Option<String> {
        self.seen().endpoints.get(service).cloned()
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

    /// Runs once for each attempt, just before the request is sent.
    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = cfg.load::<Metadata>() {
            let service = call.service().to_owned();
            let mut seen = self.seen();
            seen.counts.entry((service.clone(), call.name().to_owned())).or_default().requests += 1;
            seen.endpoints.entry(service).or_insert_with(|| context.request().uri().to_owned());
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
        if let Some(call) = cfg.load::<Metadata>() {
            let key = (call.service().to_owned(), call.name().to_owned());
            self.seen().counts.entry(key).or_default().results.add(result(context));
        }
        self.seen().last_error = match context.output_or_error() {
            Some(Err(error)) => {
                let connection = error.as_connector_error().and_then(|e| find::<ConnectionError>(e));
                let text = || format!("{operation}: {}", answered(context.response()));
                Some(connection.map_or_else(text, ToString::to_string))
            }
            _ => None,
        };
        Ok(())
    }
}

/// The result of a request that has ended.
pub(super) fn result(context: &FinalizerInterceptorContextRef<'_>) -> Results {
    if matches!(context.output_or_error(), Some(Ok(_))) {
        return Results { ok: 1, ..Results::default() };
    }
    let Some(response) = context.response() else { return Results { failed: 1, ..Results::default() } };
    let body = response.body().bytes().unwrap_or_default();
    let (json, xml) = (read_json(body), read_xml(body));
    let code = json.code().or(xml.code());
    match response.status().as_u16() {
        429 => Results { throttled: 1, ..Results::default() },
        _ if code.is_some_and(|code| AwsErrorKind::of_code(code) == AwsErrorKind::Throttled) => {
            Results { throttled: 1, ..Results::default() }
        }
        400..500 => Results { refused: 1, ..Results::default() },
        _ => Results { failed: 1, ..Results::default() },
    }
}

/// The code and status of an error answer. The type of the error is not known here, so the body is parsed again.
fn answered(response: Option<&HttpResponse>) -> String {
    let Some(response) = response else { return "no answer".to_owned() };
    let status = response.status().as_u16();
    let body = response.body().bytes().unwrap_or_default();
    let (json, xml) = (read_json(body), read_xml(body));
    match json.code().or(xml.code()) {
        Some(code) => format!("{} (status {status})", printable(code, CODE_CHARS_MAX)),
        None => format!("status {status}"),
    }
}
