//! The record of every broadcast: who should have been told, who was.
//!
//! | file | job |
//! | --- | --- |
//! | `store` | what a ledger needs of a table: the trait of `dynamodb` and `sqlite` |
//! | `sqlite` | a file of this machine |
//! | `fit` | the sizes of keys and bodies, the same in each store (pure) |

mod fit;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod store;
