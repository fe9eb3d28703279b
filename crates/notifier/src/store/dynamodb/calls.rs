//! One request with retries: unprocessed items, throttles and lost answers are retried while there is progress.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout};

use super::DynamoDb;
use super::answer::{self, InvalidAnswer};
use super::error::{BoxError, GivenUp, advised};
use super::item::{self, Attributes, Batch};
use super::rounds::Rounds;
use crate::aws::{AwsError, AwsErrorKind as Kind, AwsService};
use crate::store::{Item, Key, StoreError, StoreProblem};

impl DynamoDb {
    /// Makes a request and retries it until there is an answer, or an error that a retry would repeat.
    pub(super) async fn call<T, E, F>(
        &self,
        operation: &'static str,
        rounds: &mut Rounds,
        ask: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        loop {
            let limit = rounds.call_time(Instant::now());
            let error = match timeout(limit, ask()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => AwsError::of(AwsService::DynamoDb, operation, &error),
                Err(_elapsed) => AwsError::timed_out(AwsService::DynamoDb, operation, limit),
            };
            if !error.is_transient() {
                return Err(self.failed(operation, StoreProblem::Table(error.kind), error));
            }
            self.pause(operation, rounds, error.kind, error).await?;
        }
    }

    /// Waits before the next round, or returns the error if there is none.
    async fn pause(
        &self,
        operation: &'static str,
        rounds: &mut Rounds,
        kind: Kind,
        why: impl Into<BoxError>,
    ) -> Result<(), StoreError> {
        if let Some(pause) = rounds.pause(Instant::now(), self.rng.fraction()) {
            sleep(pause).await;
            return Ok(());
        }
        let given_up = GivenUp { standstill: rounds.standstill(Instant::now()), source: why.into() };
        Err(self.failed(operation, StoreProblem::Table(kind), given_up))
    }

    /// Writes one batch, and repeats it until DynamoDB has processed all items.
    pub(super) async fn write(&self, mut batch: Batch) -> Result<(), StoreError> {
        const OPERATION: &str = "BatchWriteItem";
        let mut rounds = Rounds::new(Instant::now());
        loop {
            let requests = batch.values().cloned().map(put).collect::<Result<Vec<_>, _>>();
            let requests = requests.map_err(|error| self.incomplete(OPERATION, &error))?;
            let ask = || self.client.batch_write_item().request_items(&self.table, requests.clone()).send();
            let answer = self.call(OPERATION, &mut rounds, ask).await?;
            let asked = batch.keys().cloned().collect();
            let left = answer::unwritten(&self.table, &asked, answer.unprocessed_items)
                .map_err(|error| self.invalid_answer(OPERATION, error))?;
            if left.is_empty() {
                return Ok(());
            }
            batch.retain(|key, _| left.contains(key));
            self.left(OPERATION, &mut rounds, asked.len(), left.len()).await?;
        }
    }

    /// Reads one batch, and repeats it until DynamoDB has processed all keys.
    pub(super) async fn read(&self, mut keys: BTreeSet<Key>) -> Result<Vec<Attributes>, StoreError> {
        const OPERATION: &str = "BatchGetItem";
        let (mut found, mut rounds) = (Vec::new(), Rounds::new(Instant::now()));
        loop {
            let wanted = keys.iter().cloned().map(item::keyed).collect();
            let wanted = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| self.incomplete(OPERATION, &error))?;
            let ask = || self.client.batch_get_item().request_items(&self.table, wanted.clone()).send();
            let answer = self.call(OPERATION, &mut rounds, ask).await?;
            let invalid = |error| self.invalid_answer(OPERATION, error);
            found.append(&mut answer::read(&self.table, &keys, answer.responses).map_err(invalid)?);
            let left = answer::unread(&self.table, &keys, answer.unprocessed_keys).map_err(invalid)?;
            if left.is_empty() {
                return Ok(found);
            }
            let asked = std::mem::replace(&mut keys, left).len();
            self.left(OPERATION, &mut rounds, asked, keys.len()).await?;
        }
    }

    /// Waits before the rest of a batch is requested again.
    async fn left(
        &self,
        operation: &'static str,
        rounds: &mut Rounds,
        asked: usize,
        left: usize,
    ) -> Result<(), StoreError> {
        if left < asked {
            rounds.progress(Instant::now());
        }
        self.pause(operation, rounds, Kind::Throttled, format!("DynamoDB did not process {left} items")).await
    }

    pub(super) fn invalid_answer(&self, operation: &'static str, error: InvalidAnswer) -> StoreError {
        let problem =
            if error.is_final() { StoreProblem::ForeignTable } else { StoreProblem::Table(Kind::NotAws) };
        self.failed(operation, problem, error)
    }

    fn incomplete(&self, operation: &'static str, error: &BuildError) -> StoreError {
        let error = AwsError::incomplete(AwsService::DynamoDb, operation, error);
        self.failed(operation, StoreProblem::Table(error.kind), error)
    }

    /// The error of an operation, with advice and its cause.
    pub(super) fn failed(
        &self,
        operation: &'static str,
        problem: StoreProblem,
        source: impl Into<BoxError>,
    ) -> StoreError {
        let source = advised(problem, operation, source);
        StoreError::new(format!("dynamodb:{}", self.table), operation, problem, source)
    }
}

fn put(item: Item) -> Result<WriteRequest, BuildError> {
    let put = PutRequest::builder().set_item(Some(item::attributes(item))).build()?;
    Ok(WriteRequest::builder().put_request(put).build())
}
