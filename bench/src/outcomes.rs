//! The ledger alone: outcomes written and reported, by the product and by the smallest program that keeps the same rows.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::ledger::{DAYS_DEFAULT, Ledger};
use notifier::model::{Delivery, Member, Outcome};
use notifier::store::dynamodb::DynamoDb;
use notifier::store::sqlite::Sqlite;
use notifier::store::{Item, Key, Page, Range, Store, StoreError};
use rusqlite::{Connection, params};
use tokio::runtime::Runtime;

use crate::load::{self, ACCOUNT, REGION};
use crate::process::{self, Calls};

/// Outcomes that are settled at the same time, as by the stages.
const CONCURRENCY: usize = 256;
/// Rows of one transaction of the smallest program: as many as the ledger can have under way.
const TRANSACTION_ROWS: usize = CONCURRENCY;

/// Outcomes in a file.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct InFile {
    /// Outcomes to keep
    #[arg(long)]
    count: u32,
    /// The ledger's file, which must not be there yet
    #[arg(long)]
    path: PathBuf,
}

/// Outcomes in a table.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct InTable {
    /// Outcomes to keep
    #[arg(long)]
    count: u32,
    /// Port of 127.0.0.1 where DynamoDB answers
    #[arg(long)]
    port: u16,
}

/// Writes and reports with the library; prints a sample of each.
pub(crate) fn product(of: &InFile) -> Result<ExitCode> {
    // Before the store starts its thread, which stays on the same processor.
    process::pin(0);
    let runtime = runtime()?;
    let store = runtime.block_on(Sqlite::open(&of.path, Clock::system()))?;
    let (ledger, mut entries) = (ledger(Arc::new(store)), entries(of.count));
    process::sample(|| runtime.block_on(settle(&ledger, std::mem::take(&mut entries))))?;
    process::sample(|| {
        let recorded = runtime.block_on(ledger.read(&load::broadcast()?.id))?.context("no record")?;
        let ok = recorded.report.counts().delivered.try_into()?;
        ensure!(recorded.report.latency().is_some(), "no latency");
        Ok(Calls { ok, errors: of.count - ok })
    })
}

/// Writes the same rows and reads them with nothing but SQLite; prints a sample of each.
pub(crate) fn floor(of: &InFile) -> Result<ExitCode> {
    process::pin(0);
    let runtime = runtime()?;
    // The same tables, and nothing in them.
    drop(runtime.block_on(Sqlite::open(&of.path, Clock::system()))?);
    let store = Arc::<Rows>::default();
    runtime.block_on(settle(&ledger(Arc::clone(&store) as Arc<dyn Store>), entries(of.count)))?;
    let rows = std::mem::take(&mut *store.0.lock().unwrap_or_else(PoisonError::into_inner));
    let mut db = Connection::open(&of.path)?;
    for (pragma, value) in [("synchronous", 2), ("wal_autocheckpoint", 8_000), ("cache_size", -16_384)] {
        db.pragma_update(None, pragma, value)?;
    }
    process::sample(|| {
        for rows in rows.chunks(TRANSACTION_ROWS) {
            let transaction = db.transaction()?;
            let mut insert = transaction
                .prepare("INSERT INTO items (partition, sort, body, expires) VALUES (?1, ?2, ?3, ?4)")?;
            for Item { key, body, expires } in rows {
                insert.execute(params![key.partition, key.sort, body, expires])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(Calls { ok: rows.len().try_into()?, errors: 0 })
    })?;
    process::sample(|| {
        let mut statement = db.prepare("SELECT sort, body, expires FROM items")?;
        let read = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        })?;
        let read = read.collect::<Result<Vec<_>, _>>()?;
        Ok(Calls { ok: read.len().try_into()?, errors: 0 })
    })
}

/// Writes with the library to DynamoDB; prints a sample.
pub(crate) fn table(of: &InTable) -> Result<ExitCode> {
    let runtime = runtime()?;
    let aws = Aws::at(&format!("http://127.0.0.1:{}", of.port), "eu-west-1");
    let store = DynamoDb::new(aws.dynamodb.clone(), "outcomes", Rng::from_entropy());
    let (ledger, mut entries) = (ledger(Arc::new(store)), entries(of.count));
    process::sample(|| runtime.block_on(settle(&ledger, std::mem::take(&mut entries))))
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn ledger(store: Arc<dyn Store>) -> Ledger {
    Ledger::new(store, Clock::system(), DAYS_DEFAULT)
}

fn entries(count: u32) -> Vec<Delivery> {
    let entry = |n| Delivery {
        member: Arc::new(Member {
            service: load::SERVICE.into(),
            task_definition: format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{}:42", load::SERVICE),
            container: load::CONTAINER.into(),
            ..Member::of_task(load::CLUSTER, &load::task(n))
        }),
        address: Some((Ipv4Addr::LOCALHOST, 8080).into()),
        outcome: Some(Outcome::Delivered),
        attempts: Some(1),
        status: Some(202),
        latency: Some(Duration::from_micros(1_000 + u64::from(n))),
        ..Delivery::default()
    };
    (0..count).map(entry).collect()
}

async fn settle(ledger: &Ledger, entries: Vec<Delivery>) -> Result<Calls> {
    let id = load::broadcast()?.id;
    let ok = entries.len().try_into()?;
    let settled = stream::iter(entries).map(|entry| ledger.settle(&id, entry));
    settled.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    Ok(Calls { ok, errors: 0 })
}

/// What a ledger would have a store keep.
#[derive(Debug, Default)]
struct Rows(Mutex<Vec<Item>>);

impl Store for Rows {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(items);
        async { Ok(()) }.boxed()
    }

    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put_new(item)
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { self.put(vec![item]).await.map(|()| true) }.boxed()
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        async move { Ok(vec![None; keys.len()]) }.boxed()
    }

    fn list(&self, _: Range, _: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        async { Ok(Page::default()) }.boxed()
    }

    fn put_items_max(&self) -> usize {
        1_000
    }
}
