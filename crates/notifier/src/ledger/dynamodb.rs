//! A ledger in a DynamoDB table with the keys `pk` and `sk`, the body in `body`, and the time to live in `expires`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::{sleep, timeout};

use super::fit;
use super::store::{Item, Key, Page, Range, Store, StoreError};
use crate::ambient::Chance;
use crate::queue::Backoff;

/// Items in one `BatchWriteItem`. Source: Amazon DynamoDB API reference.
const WRITES_MAX: usize = 25;
/// Keys in one `BatchGetItem`. Source: Amazon DynamoDB API reference.
const READS_MAX: usize = 100;
/// Bytes of the items in one `BatchWriteItem`, keys included, below DynamoDB's 16 MB: a batch is retried as a whole when
/// its answer is lost.
const WRITE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batches of one call that are under way at the same time.
const BATCHES_AT_ONCE: usize = 4;
/// Items of a page; DynamoDB ends a page at 1 MB by itself.
const PAGE_ITEMS_MAX: i32 = 1_000;

/// How often what DynamoDB left undone of a batch is offered again.
const TRIES_MAX: u32 = 8;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(2) };
/// The longest that one request may take, the SDK's own retries included.
const CALL_TIME_MAX: Duration = Duration::from_secs(20);

/// Codes of errors that will be the same next time.
const FINAL: [&str; 7] = [
    "AccessDeniedException",
    "ItemCollectionSizeLimitExceededException",
    "MissingAuthenticationToken",
    "ResourceNotFoundException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
];

/// Attributes of an item as the SDK has them.
type Attributes = HashMap<String, AttributeValue>;

/// A DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: Client,
    table: String,
    chance: Chance,
}

impl DynamoDb {
    /// The table of this name or ARN. Calls nobody; `chance` spreads retries.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, chance: Chance) -> Self {
        Self { client, table: table.into(), chance }
    }

    /// Waits for a request, but not for ever.
    async fn call<T, E>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match timeout(CALL_TIME_MAX, request).await {
            Ok(answer) => answer.map_err(|error| self.error(operation, error)),
            Err(late) => Err(self.unavailable(operation, late)),
        }
    }

    fn error<E>(&self, operation: &'static str, error: SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        if code.is_some_and(|code| FINAL.contains(&code)) {
            self.refused(operation, error)
        } else {
            self.unavailable(operation, error)
        }
    }

    fn refused(
        &self,
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Refused { store: format!("dynamodb:{}", self.table), operation, source: source.into() }
    }

    fn unavailable(
        &self,
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Unavailable {
            store: format!("dynamodb:{}", self.table),
            operation,
            source: source.into(),
        }
    }

    /// Waits before what was left undone is offered again; an error when that was done often enough.
    async fn pause(&self, operation: &'static str, tries: u32) -> Result<(), StoreError> {
        if tries >= TRIES_MAX {
            return Err(
                self.unavailable(operation, "it left items undone again and again: the table is too busy")
            );
        }
        sleep(BACKOFF.wait_after(tries, self.chance.fraction())).await;
        Ok(())
    }

    /// One batch, offered again until DynamoDB has taken all of it.
    async fn write(&self, mut requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        const OPERATION: &str = "BatchWriteItem";
        let mut tries = 0;
        loop {
            let call = self.client.batch_write_item().request_items(&self.table, requests);
            let answer = self.call(OPERATION, call.send()).await?;
            requests = answer.unprocessed_items.into_iter().flatten().flat_map(|(_, left)| left).collect();
            if requests.is_empty() {
                return Ok(());
            }
            tries += 1;
            self.pause(OPERATION, tries).await?;
        }
    }

    /// One batch, asked again until DynamoDB has answered all of it.
    async fn read(&self, mut keys: Vec<Attributes>) -> Result<Vec<Item>, StoreError> {
        const OPERATION: &str = "BatchGetItem";
        let (mut found, mut tries) = (Vec::new(), 0);
        loop {
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| self.refused(OPERATION, error))?;
            let call = self.client.batch_get_item().request_items(&self.table, wanted);
            let answer = self.call(OPERATION, call.send()).await?;
            for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                found.push(self.item(OPERATION, item)?);
            }
            keys = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
            if keys.is_empty() {
                return Ok(found);
            }
            tries += 1;
            self.pause(OPERATION, tries).await?;
        }
    }

    /// An item out of its attributes. One without a time to live was not written by us, and is never forgotten.
    fn item(&self, operation: &'static str, mut attributes: Attributes) -> Result<Item, StoreError> {
        let expires = attributes.get("expires").and_then(|value| value.as_n().ok()?.parse().ok());
        let mut text =
            |name: &str| match attributes.remove(name) {
                Some(AttributeValue::S(text)) => Ok(text),
                _ => Err(self
                    .refused(operation, format!("an item has no text in `{name}`: is it another's table?"))),
            };
        let key = Key { partition: text("pk")?, sort: text("sk")? };
        Ok(Item { key, body: text("body")?, expires: expires.unwrap_or(i64::MAX) })
    }
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn keyed(key: Key) -> Attributes {
    HashMap::from([("pk".to_owned(), text(key.partition)), ("sk".to_owned(), text(key.sort))])
}

fn attributes(item: Item) -> Attributes {
    let mut attributes = keyed(item.key);
    attributes.insert("body".to_owned(), text(item.body));
    attributes.insert("expires".to_owned(), AttributeValue::N(item.expires.to_string()));
    attributes
}

/// The items, each key once with the last of its items, in batches that DynamoDB takes.
fn batches(items: Vec<Item>) -> Vec<Vec<Item>> {
    // DynamoDB refuses a batch that names a key twice.
    let last: BTreeMap<Key, Item> = items.into_iter().map(|item| (item.key.clone(), item)).collect();
    let mut batches: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in last.into_values() {
        let size = item.body.len() + item.key.partition.len() + item.key.sort.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < WRITES_MAX && bytes + size <= WRITE_BYTES_MAX => {
                batch.push(item);
                bytes += size;
            }
            _ => {
                batches.push(vec![item]);
                bytes = size;
            }
        }
    }
    batches
}

impl Store for DynamoDb {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            for item in &items {
                fit::item(item).map_err(|misfit| self.refused("BatchWriteItem", misfit))?;
            }
            let mut requests = Vec::new();
            for batch in batches(items) {
                let request = |item| {
                    let put = PutRequest::builder().set_item(Some(attributes(item))).build()?;
                    Ok(WriteRequest::builder().put_request(put).build())
                };
                let batch = batch.into_iter().map(request).collect::<Result<Vec<_>, _>>();
                requests.push(batch.map_err(|error: aws_smithy_types::error::operation::BuildError| {
                    self.refused("BatchWriteItem", error)
                })?);
            }
            stream::iter(requests.into_iter().map(Ok))
                .try_for_each_concurrent(BATCHES_AT_ONCE, |batch| self.write(batch))
                .await
        }
        .boxed()
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        const OPERATION: &str = "PutItem";
        async move {
            fit::item(&item).map_err(|misfit| self.refused(OPERATION, misfit))?;
            let call = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(attributes(item)))
                .condition_expression("attribute_not_exists(pk)");
            match timeout(CALL_TIME_MAX, call.send()).await {
                Err(late) => Err(self.unavailable(OPERATION, late)),
                Ok(Ok(_)) => Ok(true),
                // Also when the SDK repeated a request whose answer was lost, and what stands there is ours: whoever asks
                // then looks at what is there, and loses nothing by it.
                Ok(Err(error)) if is_taken(&error) => Ok(false),
                Ok(Err(error)) => Err(self.error(OPERATION, error)),
            }
        }
        .boxed()
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        async move {
            for key in &keys {
                fit::key(key).map_err(|misfit| self.refused("BatchGetItem", misfit))?;
            }
            let distinct: std::collections::BTreeSet<Key> = keys.iter().cloned().collect();
            let distinct: Vec<Attributes> = distinct.into_iter().map(keyed).collect();
            let batches: Vec<Vec<Attributes>> = distinct.chunks(READS_MAX).map(<[_]>::to_vec).collect();
            let found: Vec<Vec<Item>> = stream::iter(batches)
                .map(|batch| self.read(batch))
                .buffer_unordered(BATCHES_AT_ONCE)
                .try_collect()
                .await?;
            let found: HashMap<Key, Item> =
                found.into_iter().flatten().map(|item| (item.key.clone(), item)).collect();
            Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
        }
        .boxed()
    }

    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        const OPERATION: &str = "Query";
        async move {
            fit::range(&range).map_err(|misfit| self.refused(OPERATION, misfit))?;
            let Range { partition, prefix, backwards } = range;
            let mut call = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .scan_index_forward(!backwards)
                .limit(PAGE_ITEMS_MAX)
                .expression_attribute_values(":pk", text(partition.as_str()));
            call = if prefix.is_empty() {
                call.key_condition_expression("pk = :pk")
            } else {
                call.key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", text(prefix))
            };
            if let Some(after) = after {
                call = call.set_exclusive_start_key(Some(keyed(Key { partition, sort: after })));
            }
            let answer = self.call(OPERATION, call.send()).await?;
            let items = answer.items.into_iter().flatten().map(|item| self.item(OPERATION, item));
            let next = answer.last_evaluated_key.and_then(|mut key| match key.remove("sk") {
                Some(AttributeValue::S(sort)) => Some(sort),
                _ => None,
            });
            Ok(Page { items: items.collect::<Result<_, _>>()?, next })
        }
        .boxed()
    }
}

/// Whether something stands where something new was to be written.
fn is_taken<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code == Some("ConditionalCheckFailedException")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(sort: &str, bytes: usize) -> Item {
        let key = Key { partition: "p".to_owned(), sort: sort.to_owned() };
        Item { key, body: "x".repeat(bytes), expires: 0 }
    }

    #[test]
    fn batches_keep_within_what_dynamodb_takes_and_name_no_key_twice() {
        let small = (0..60).map(|n| item(&n.to_string(), 1)).collect();
        assert_eq!(batches(small).iter().map(Vec::len).collect::<Vec<_>>(), [25, 25, 10]);
        let large = (0..25).map(|n| item(&n.to_string(), 300 * 1024)).collect();
        assert_eq!(batches(large).iter().map(Vec::len).collect::<Vec<_>>(), [13, 12]);
        let twice = batches(vec![item("a", 1), item("b", 1), item("a", 2)]);
        assert_eq!(twice, [[item("a", 2), item("b", 1)]]);
        assert!(batches(Vec::new()).is_empty());
    }
}
