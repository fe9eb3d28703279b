//! Results as text and as records. Nothing here prints.

pub(crate) mod answers;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod plan;
pub(crate) mod records;
pub(crate) mod report;
pub(crate) mod style;
pub(crate) mod table;
