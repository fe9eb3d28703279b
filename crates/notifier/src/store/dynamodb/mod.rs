//! A ledger in a DynamoDB table with the text keys `pk` and `sk`, the body in `body`, and the time to live in `expires`.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | the store: its operations as requests to DynamoDB |
//! | `calls` | one request with retries |
//! | `rounds` | when retries stop without progress (pure) |
//! | `error` | what to do about an error (pure) |
//! | `answer` | checks that an answer matches the request (pure) |
//! | `item` | items as DynamoDB's attributes, and batches of them (pure) |

mod answer;
mod calls;
mod error;
mod item;
mod rounds;

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::limits;
use super::{Item, Key, Page, Range, Store, StoreError, StoreProblem};
use crate::base::Rng;
use item::{Attributes, text};
use rounds::Rounds;

/// Keys in one `BatchGetItem`. Source: Amazon DynamoDB API reference.
const READS_MAX: usize = 100;
/// Concurrent batches of one call.
const BATCHES_AT_ONCE: usize = 4;
/// Items of a page; DynamoDB itself ends a page at 1 MB.
const PAGE_ITEMS_MAX: u16 = 1_000;
/// The attribute with a random id of the writer, to recognise its own new item.
const WRITER: &str = "writer";

/// A DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: Client,
    table: String,
    rng: Rng,
}

impl DynamoDb {
    /// The table of this name or ARN. Makes no request. `chance` spreads retries.
    #[expect(clippy::needless_pass_by_value, reason = "a store has its client")]
    pub fn new(client: Client, table: impl Into<String>, rng: Rng) -> Self {
        // Retries are made here, because unprocessed items and throttles need the same backoff.
        let config = client.config().to_builder().retry_config(RetryConfig::disabled());
        Self { client: Client::from_conf(config.build()), table: table.into(), rng }
    }

    fn unfit(&self, operation: &'static str, misfit: String) -> StoreError {
        StoreError::new(format!("dynamodb:{}", self.table), operation, StoreProblem::Unsupported, misfit)
    }

    /// The items at these keys, with all attributes.
    async fn find(&self, keys: BTreeSet<Key>) -> Result<Vec<Attributes>, StoreError> {
        let mut batches = Vec::new();
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            batches.push(keys.by_ref().take(READS_MAX).collect());
        }
        let found = stream::iter(batches).map(|batch| self.read(batch)).buffer_unordered(BATCHES_AT_ONCE);
        Ok(found.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
    }

    /// Writes an item if its key does not exist; with `or_greater`, also if the existing body is smaller.
    async fn put_if(&self, item: Item, or_greater: bool) -> Result<bool, StoreError> {
        const OPERATION: &str = "PutItem";
        limits::item(&item).map_err(|misfit| self.unfit(OPERATION, misfit))?;
        let (key, body) = (item.key.clone(), text(&item.body));
        let mut ours = item::attributes(item);
        // The existing item may be from an attempt whose answer was lost, or an equal item of another process.
        let writer = format!("{:016x}", self.rng.fraction().to_bits());
        ours.insert(WRITER.to_owned(), text(writer));
        let ask = async || {
            let mut request = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(ours.clone()))
                .condition_expression("attribute_not_exists(pk)")
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            if or_greater {
                request = request
                    .condition_expression("attribute_not_exists(pk) OR #body < :body")
                    .expression_attribute_names("#body", item::BODY)
                    .expression_attribute_values(":body", body.clone());
            }
            match request.send().await {
                Ok(_) => Ok(None),
                Err(error) => match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(taken)) => {
                        Ok(Some(taken.item.clone()))
                    }
                    _ => Err(error),
                },
            }
        };
        match self.call(OPERATION, &mut Rounds::new(Instant::now()), ask).await? {
            None => Ok(true),
            Some(Some(there)) => Ok(there == ours),
            // Not every emulator says what stands there.
            Some(None) => Ok(self.find(BTreeSet::from([key])).await?.contains(&ours)),
        }
    }
}

impl Store for DynamoDb {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            items.iter().try_for_each(limits::item).map_err(|misfit| self.unfit("BatchWriteItem", misfit))?;
            stream::iter(item::batches(items).into_iter().map(Ok))
                .try_for_each_concurrent(BATCHES_AT_ONCE, |batch| self.write(batch))
                .await
        }
        .boxed()
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put_if(item, false).boxed()
    }

    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put_if(item, true).boxed()
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        const OPERATION: &str = "BatchGetItem";
        async move {
            keys.iter().try_for_each(limits::key).map_err(|misfit| self.unfit(OPERATION, misfit))?;
            let mut found = HashMap::new();
            for attributes in self.find(keys.iter().cloned().collect()).await? {
                let item = item::item(attributes)
                    .map_err(|foreign| self.failed(OPERATION, StoreProblem::ForeignTable, foreign))?;
                found.insert(item.key.clone(), item);
            }
            Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
        }
        .boxed()
    }

    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        const OPERATION: &str = "Query";
        async move {
            limits::range(&range).map_err(|misfit| self.unfit(OPERATION, misfit))?;
            let Range { partition, prefix, backwards } = &range;
            let start = after.as_ref().map(|after| Key { partition: partition.clone(), sort: after.clone() });
            let mut request = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .scan_index_forward(!backwards)
                .limit(PAGE_ITEMS_MAX.into())
                .set_exclusive_start_key(start.map(item::keyed))
                .expression_attribute_values(":pk", text(partition));
            request = if prefix.is_empty() {
                request.key_condition_expression("pk = :pk")
            } else {
                request
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", text(prefix))
            };
            let mut rounds = Rounds::new(Instant::now());
            let answer = self.call(OPERATION, &mut rounds, || request.clone().send()).await?;
            let (items, last) = (answer.items, answer.last_evaluated_key);
            answer::page(&range, after.as_deref(), PAGE_ITEMS_MAX.into(), items, last)
                .map_err(|error| self.invalid_answer(OPERATION, error))
        }
        .boxed()
    }

    fn put_items_max(&self) -> usize {
        item::WRITES_MAX
    }
}
