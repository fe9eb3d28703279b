//! How a ledger is opened.

use super::{Ledger, LedgerError};
use crate::aws::Aws;
use crate::store::{self, Location, Use};

/// Options of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Its location.
    pub location: Location,
    /// Retention in days.
    pub days: u32,
}

/// Opens a ledger. A table is not asked yet.
///
/// # Errors
///
/// If a file cannot be opened.
pub async fn open(options: &LedgerOptions, aws: &Aws, purpose: Use) -> Result<Ledger, LedgerError> {
    let store = store::open(&options.location, aws, purpose).await?;
    Ok(store.map_or_else(Ledger::none, |store| Ledger::new(store, aws.clock(), options.days)))
}
