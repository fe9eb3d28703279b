//! Where a world's ledger is kept: in a file, in a table that fails to order, or in the table of others.

use std::path::Path;
use std::sync::Arc;

use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::store::Store;
use notifier::store::dynamodb::DynamoDb;
use notifier::store::sqlite::Sqlite;
use simulator::Faults;
use simulator::faults::Fate as Ordered;
use testkit::fake_dynamodb::{Call, FakeDynamoDb, Fate};
use tokio::time::Instant;

use crate::ministack::Cloud;

/// A ledger's place.
#[derive(Clone)]
pub(crate) enum Kept {
    Nowhere,
    /// A file, which all processes of a world write through one thread.
    File(Arc<Sqlite>),
    Table(Arc<Table>),
    Cloud(Cloud),
}

/// A table of the world's own.
pub(crate) struct Table {
    /// As daemons meet it.
    failing: FakeDynamoDb,
    /// As it is looked at.
    unfailing: FakeDynamoDb,
}

impl Kept {
    pub(crate) async fn in_file(directory: &Path, clock: Clock) -> Self {
        Self::File(Arc::new(Sqlite::open(directory.join("ledger.db"), clock).await.unwrap()))
    }

    /// A table that does to its requests what `faults` orders for the operations of DynamoDB.
    pub(crate) async fn in_table(faults: Faults) -> Self {
        let failing = FakeDynamoDb::start_by(move |asked| fate(&faults, asked)).await;
        let unfailing = failing.unfailing().await;
        Self::Table(Arc::new(Table { failing, unfailing }))
    }

    /// The store of one process, in whose lane this must be called: its connections belong there.
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        match self {
            Self::Nowhere => None,
            Self::File(file) => Some(Arc::clone(file) as Arc<dyn Store>),
            Self::Table(table) => Some(store(&table.failing)),
            Self::Cloud(cloud) => Some(cloud.store()),
        }
    }

    /// The same, without faults, for observers.
    pub(crate) fn looked_at(&self) -> Option<Arc<dyn Store>> {
        match self {
            Self::Table(table) => Some(store(&table.unfailing)),
            _ => self.store(),
        }
    }

    /// Whether its work is done outside of all lanes.
    pub(crate) fn works_outside(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// What stands in a table of the world's own.
    pub(crate) fn text(&self) -> String {
        if let Self::Table(table) = self { table.unfailing.text() } else { String::new() }
    }
}

fn store(table: &FakeDynamoDb) -> Arc<dyn Store> {
    Arc::new(DynamoDb::new(Aws::at(&table.url, "us-east-1").dynamodb, "t", Rng::seeded(1)))
}

fn fate(faults: &Faults, asked: &Call<'_>) -> Fate {
    let verdict = faults.meet(asked.operation, false, Instant::now());
    match verdict.fate {
        Some(Ordered::Throttled) => Fate::Refused(400, "ProvisionedThroughputExceededException"),
        Some(Ordered::Failed) => Fate::Refused(500, "InternalServerError"),
        Some(Ordered::Reset) => Fate::Cut,
        Some(Ordered::AnswerLost) => Fate::Lost,
        None if !verdict.delay.is_zero() => Fate::Late(verdict.delay),
        None => {
            let is_taken = |entry: &usize| faults.drops_entry(asked.operation, &entry.to_string()).is_none();
            Fate::Some((0..asked.entries).filter(is_taken).count())
        }
    }
}
