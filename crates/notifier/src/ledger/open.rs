//! The location of a ledger, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;

use super::store::Store;
#[cfg(not(feature = "sqlite"))]
use super::store::{StoreError, StoreProblem};
use super::{Ledger, LedgerError};
use crate::aws::Aws;
use crate::base::Rng;

/// The location of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// No ledger: outcomes are only reported.
    #[default]
    None,
    /// In the DynamoDB table of this name.
    DynamoDb(String),
    /// In this file.
    Sqlite(PathBuf),
}

/// Options of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Its location.
    pub location: Location,
    /// Retention in days.
    pub days: u32,
}

/// How a process uses a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It calls tasks and records the outcomes. A missing file is created.
    Call,
    /// It calls tasks of a broadcast that is recorded already. A missing file is an error.
    CallAgain,
    /// It reads. A missing file is an error, because the processes that call tasks use another one.
    Read,
}

/// Opens a ledger. A table is not asked yet.
pub async fn open(options: &LedgerOptions, aws: &Aws, purpose: Use) -> Result<Ledger, LedgerError> {
    let clock = aws.clock();
    let store: Arc<dyn Store> = match &options.location {
        Location::None => return Ok(Ledger::none()),
        Location::DynamoDb(table) => {
            Arc::new(super::dynamodb::DynamoDb::new(aws.dynamodb.clone(), table.clone(), Rng::from_entropy()))
        }
        #[cfg(feature = "sqlite")]
        Location::Sqlite(path) => {
            Arc::new(super::sqlite::Sqlite::open_for(purpose, path, clock.clone()).await?)
        }
        #[cfg(not(feature = "sqlite"))]
        Location::Sqlite(path) => {
            let _ = purpose;
            let store = format!("sqlite:{}", path.display());
            let why = "the functions keep no files; name a table with `dynamodb:TABLE`";
            return Err(StoreError::new(store, "opening", StoreProblem::Unsupported, why).into());
        }
    };
    Ok(Ledger::new(store, clock, options.days))
}
