//! The stores of the tests, each empty.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::client::Waiters as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::store::dynamodb::DynamoDb;
use notifier::store::sqlite::Sqlite;
use notifier::store::{Item, Key, Page, Range, Store};
use tempfile::TempDir;
use testkit::emulator::Emulator;

/// The seconds since 1970 at which the tests are.
pub(crate) const NOW: i64 = 1_800_000_000;

/// A store, and what it needs to live.
pub(crate) struct Table {
    pub(crate) store: Arc<dyn Store>,
    _directory: TempDir,
}

impl Table {
    /// A file in a directory of its own.
    pub(crate) async fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(sqlite(&directory.path().join("ledger.db")).await);
        Self { store, _directory: directory }
    }
}

/// A new table, as the Terraform module makes it.
pub(crate) async fn dynamodb(emulator: &Emulator, table: &str) -> DynamoDb {
    dynamodb_of(&Aws::at(&emulator.url, "us-east-1"), table).await
}

/// The same by these clients.
pub(crate) async fn dynamodb_of(aws: &Aws, table: &str) -> DynamoDb {
    let client = aws.dynamodb.clone();
    let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, role) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name(name).key_type(role);
        call = call.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap());
    }
    call.send().await.unwrap();
    client.wait_until_table_exists().table_name(table).wait(Duration::from_secs(60)).await.unwrap();
    DynamoDb::new(client, table, Rng::seeded(1))
}

pub(crate) async fn ministack() -> Emulator {
    Emulator::ministack(&[]).await
}

pub(crate) async fn moto() -> Emulator {
    Emulator::start("moto.server", &["-H", "127.0.0.1", "-p", "{port}"], &[]).await
}

/// The ledger at this path.
pub(crate) async fn sqlite(path: &Path) -> Sqlite {
    Sqlite::open(path, clock_at(NOW)).await.unwrap()
}

/// A clock that stands at so many seconds since 1970.
pub(crate) fn clock_at(seconds: i64) -> Clock {
    Clock::fixed(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap()))
}

pub(crate) fn key(partition: &str, sort: &str) -> Key {
    Key { partition: partition.to_owned(), sort: sort.to_owned() }
}

/// An item that is not forgotten within a test.
pub(crate) fn item(partition: &str, sort: &str, body: &str) -> Item {
    Item { key: key(partition, sort), body: body.to_owned(), expires: NOW + 86_400 }
}

/// `count` small items of one partition, in the order of their keys.
pub(crate) fn numbered(partition: &str, count: usize) -> Vec<Item> {
    (0..count).map(|n| item(partition, &format!("n{n:06}"), &format!("{{\"n\":{n}}}"))).collect()
}

pub(crate) fn range(partition: &str, prefix: &str, backwards: bool) -> Range {
    Range { partition: partition.to_owned(), prefix: prefix.to_owned(), backwards }
}

/// All pages of a range.
pub(crate) async fn pages(store: &dyn Store, range: Range) -> Vec<Page> {
    let mut pages = vec![store.list(range.clone(), None).await.unwrap()];
    while let Some(after) = pages.last().and_then(|page| page.next.clone()) {
        pages.push(store.list(range.clone(), Some(after)).await.unwrap());
        assert!(pages.len() < 1_000, "{range:?} has no end");
    }
    pages
}

/// All items of a range.
pub(crate) async fn all(store: &dyn Store, range: Range) -> Vec<Item> {
    pages(store, range).await.into_iter().flat_map(|page| page.items).collect()
}

/// The sort keys of a range.
pub(crate) async fn sorts(store: &dyn Store, range: Range) -> Vec<String> {
    all(store, range).await.into_iter().map(|item| item.key.sort).collect()
}

/// What stands at one key.
pub(crate) async fn find(store: &dyn Store, partition: &str, sort: &str) -> Option<Item> {
    let found = store.get(vec![key(partition, sort)]).await.unwrap();
    assert_eq!(found.len(), 1);
    found.into_iter().next().unwrap()
}
