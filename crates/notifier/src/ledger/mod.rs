//! The record of every broadcast: who should have been told, who was.
//!
//! | file | job |
//! | --- | --- |
//! | `store` | what a ledger needs of a table: the trait of `dynamodb` and `sqlite` |

pub mod store;
