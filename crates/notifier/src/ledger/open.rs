//! The ledger that the settings name.

use std::sync::Arc;

use super::Ledger;
use super::store::{Store, StoreError};
use crate::aws::Aws;
use crate::base::{Clock, Rng};
use crate::settings::{self, Place};

/// What a process does with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It calls tasks and records what becomes of them: a file that is not there is made.
    Call,
    /// It calls tasks of a broadcast that the ledger has already: a file that is not there is an error.
    CallAgain,
    /// It looks things up: a file that is not there is an error, because whoever calls uses another one.
    Read,
}

/// Opens the ledger that the settings name. A table is not asked yet.
///
/// # Errors
///
/// [`StoreError`], when the file cannot be used or this build has no such store.
pub async fn open(
    settings: &settings::Ledger,
    aws: &Aws,
    clock: Clock,
    rng: Rng,
    purpose: Use,
) -> Result<Ledger, StoreError> {
    let store: Arc<dyn Store> = match &settings.place {
        Place::None => return Ok(Ledger::none()),
        Place::DynamoDb(table) => {
            Arc::new(super::dynamodb::DynamoDb::new(aws.dynamodb.clone(), table.clone(), rng))
        }
        #[cfg(feature = "sqlite")]
        Place::Sqlite(path) => Arc::new(match purpose {
            Use::Call => super::sqlite::Sqlite::open(path, clock.clone()).await?,
            Use::CallAgain => super::sqlite::Sqlite::reopen(path, clock.clone()).await?,
            Use::Read => super::sqlite::Sqlite::open_existing(path, clock.clone()).await?,
        }),
        #[cfg(not(feature = "sqlite"))]
        Place::Sqlite(path) => {
            let _ = purpose;
            return Err(StoreError::Refused {
                store: format!("sqlite:{}", path.display()),
                operation: "opening",
                source: "the functions keep no files; name a table with `dynamodb:TABLE`".into(),
            });
        }
    };
    Ok(Ledger::new(store, clock, settings.days))
}
