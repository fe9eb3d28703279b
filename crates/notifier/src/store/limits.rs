//! Limits of keys and bodies, and why a store does not take one. They are the same in each store, so that a ledger can be moved. Pure.

use super::{BODY_BYTES_MAX, Item, Key, Range};

/// DynamoDB: bytes of a partition key. It must not be empty either.
///
/// Source: "Quotas in Amazon DynamoDB", partition keys and sort keys.
const PARTITION_BYTES_MAX: usize = 2_048;
/// DynamoDB: bytes of a sort key. It must not be empty either.
///
/// Source: "Quotas in Amazon DynamoDB", partition keys and sort keys.
const SORT_BYTES_MAX: usize = 1_024;

/// Checks an item.
pub(super) fn item(item: &Item) -> Result<(), String> {
    key(&item.key)?;
    let bytes = item.body.len();
    if bytes > BODY_BYTES_MAX {
        let sort = &item.key.sort;
        return Err(format!(
            "the body of item `{sort}` has {bytes} bytes, and a store keeps at most {BODY_BYTES_MAX}"
        ));
    }
    Ok(())
}

/// Checks a key.
pub(super) fn key(key: &Key) -> Result<(), String> {
    part("partition", &key.partition, PARTITION_BYTES_MAX)?;
    part("sort", &key.sort, SORT_BYTES_MAX)
}

/// Checks a range. The empty prefix matches all sort keys.
pub(super) fn range(range: &Range) -> Result<(), String> {
    part("partition", &range.partition, PARTITION_BYTES_MAX)?;
    if range.prefix.is_empty() {
        return Ok(());
    }
    part("sort", &range.prefix, SORT_BYTES_MAX)
}

fn part(part: &str, text: &str, most: usize) -> Result<(), String> {
    let bytes = text.len();
    if (1..=most).contains(&bytes) {
        return Ok(());
    }
    Err(format!("a {part} key of {bytes} bytes: 1 to {most} are possible"))
}
