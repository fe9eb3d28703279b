//! The location of a store, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(not(feature = "sqlite"))]
use super::StoreProblem;
use super::{Store, StoreError};
use crate::aws::Aws;
use crate::base::Rng;

/// The location of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// No store: nothing is recorded.
    #[default]
    None,
    /// In the DynamoDB table of this name.
    DynamoDb(String),
    /// In this file.
    Sqlite(PathBuf),
}

/// How a process uses a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It calls tasks and records the outcomes. A missing file is created.
    Call,
    /// It calls tasks of a broadcast that is recorded already. A missing file is an error.
    CallAgain,
    /// It reads. A missing file is an error, because the processes that call tasks use another one.
    Read,
}

/// Opens the store at this location, if there is one. A table is not asked yet.
///
/// # Errors
///
/// If a file cannot be opened.
pub async fn open(
    location: &Location,
    aws: &Aws,
    purpose: Use,
) -> Result<Option<Arc<dyn Store>>, StoreError> {
    let store: Arc<dyn Store> = match location {
        Location::None => return Ok(None),
        Location::DynamoDb(table) => {
            Arc::new(super::dynamodb::DynamoDb::new(aws.dynamodb.clone(), table.clone(), Rng::from_entropy()))
        }
        #[cfg(feature = "sqlite")]
        Location::Sqlite(path) => {
            Arc::new(super::sqlite::Sqlite::open_for(purpose, path, aws.clock()).await?)
        }
        #[cfg(not(feature = "sqlite"))]
        Location::Sqlite(path) => {
            let _ = purpose;
            let store = format!("sqlite:{}", path.display());
            let why = "the functions keep no files; name a table with `dynamodb:TABLE`";
            return Err(StoreError::new(store, "opening", StoreProblem::Unsupported, why));
        }
    };
    Ok(Some(store))
}
