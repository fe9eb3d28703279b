//! The log of API calls.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Clock;
use crate::lock;
use crate::ring::Ring;
use crate::worlds::Place;

/// One API call, each attempt of a client by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// Counts all calls from 1, in the order in which they came in.
    pub number: u64,
    /// When it came in: time since 1970-01-01 UTC by the simulator's clock.
    pub at: Duration,
    /// Account of its credentials.
    pub account: String,
    /// Region that it was signed for; the home's where a simulator has only one account and Region.
    pub region: String,
    /// Its service.
    pub service: Service,
    /// Operation, for example `ListTasks`.
    pub operation: String,
    /// The parameters: of ECS and SQS as sent, of EC2 and STS as an object of strings (`"Filter.1.Name": "instance-id"`).
    pub parameters: Value,
    /// How it ended.
    pub outcome: Outcome,
}

/// The simulated services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// Amazon ECS.
    Ecs,
    /// Amazon EC2.
    Ec2,
    /// Amazon SQS.
    Sqs,
    /// AWS Security Token Service.
    Sts,
    /// AWS Systems Manager.
    Ssm,
    /// Amazon CloudWatch.
    CloudWatch,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It was answered with an error.
    Refused {
        /// HTTP status.
        status: u16,
        /// Error code, for example `ThrottlingException`.
        code: String,
    },
    /// The operation ran, and its answer was dropped on purpose.
    AnswerLost,
    /// The connection was reset on purpose before the operation ran.
    Reset,
    /// The client closed the connection before the answer.
    Abandoned,
}

/// Counts calls, and keeps the newest.
#[derive(Debug)]
pub(crate) struct CallLog {
    clock: Clock,
    state: Mutex<State>,
    next: AtomicU64,
}

#[derive(Debug)]
struct State {
    counts: HashMap<String, u64>,
    ring: Ring<Call>,
}

/// A call in progress. It is logged however it ends, even if its client closes the connection.
pub(crate) struct Open<'a> {
    log: &'a CallLog,
    call: Option<Call>,
    bytes: usize,
}

impl CallLog {
    pub(crate) fn new(clock: Clock, count_max: usize, bytes_max: usize) -> Self {
        let state = State { counts: HashMap::new(), ring: Ring::new(count_max, bytes_max) };
        Self { clock, state: Mutex::new(state), next: AtomicU64::new(1) }
    }

    /// Counts a call with parameters of this size.
    pub(crate) fn open(
        &self,
        place: &Place,
        service: Service,
        operation: &str,
        parameters: Value,
        bytes: usize,
    ) -> Open<'_> {
        let call = Call {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            at: self.clock.now(),
            account: place.account.clone(),
            region: place.region.clone(),
            service,
            operation: operation.to_owned(),
            parameters,
            outcome: Outcome::Abandoned,
        };
        *lock(&self.state).counts.entry(call.operation.clone()).or_default() += 1;
        Open { log: self, call: Some(call), bytes }
    }

    /// Number of calls of an operation since the last reset, also of calls that are no longer kept.
    pub(crate) fn count(&self, operation: &str) -> u64 {
        lock(&self.state).counts.get(operation).copied().unwrap_or_default()
    }

    /// The calls that have ended and are still kept, in the order in which they came in.
    pub(crate) fn all(&self) -> Vec<Call> {
        let mut calls = lock(&self.state).ring.all();
        calls.sort_by_key(|call| call.number);
        calls
    }

    pub(crate) fn reset(&self) {
        let mut state = lock(&self.state);
        state.counts.clear();
        state.ring.clear();
    }
}

impl Open<'_> {
    /// The call's number; 0 once it has ended.
    pub(crate) fn number(&self) -> u64 {
        self.call.as_ref().map_or(0, |call| call.number)
    }

    pub(crate) fn end(&mut self, outcome: Outcome) {
        if let Some(mut call) = self.call.take() {
            call.outcome = outcome;
            lock(&self.log.state).ring.push(call, self.bytes);
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}
