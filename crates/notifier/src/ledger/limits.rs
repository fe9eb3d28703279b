//! Limits of keys and bodies. They are the same in each store, so that a ledger can be moved. Pure.

use super::store::{BODY_BYTES_MAX, Item, Key, Range};

/// DynamoDB: bytes of a partition key. It must not be empty either.
///
/// Source: "Quotas in Amazon DynamoDB", partition keys and sort keys.
const PARTITION_BYTES_MAX: usize = 2_048;
/// DynamoDB: bytes of a sort key. It must not be empty either.
///
/// Source: "Quotas in Amazon DynamoDB", partition keys and sort keys.
const SORT_BYTES_MAX: usize = 1_024;

/// Why a store does not accept an item or a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    #[error("the body of item `{sort}` has {bytes} bytes, and a store keeps at most {BODY_BYTES_MAX}")]
    Body { sort: String, bytes: usize },
    #[error("a {part} key of {bytes} bytes: 1 to {most} are possible")]
    Key { part: &'static str, bytes: usize, most: usize },
}

/// Checks an item.
pub(super) fn item(item: &Item) -> Result<(), Misfit> {
    key(&item.key)?;
    let bytes = item.body.len();
    if bytes > BODY_BYTES_MAX {
        return Err(Misfit::Body { sort: item.key.sort.clone(), bytes });
    }
    Ok(())
}

/// Checks a key.
pub(super) fn key(key: &Key) -> Result<(), Misfit> {
    part("partition", &key.partition, PARTITION_BYTES_MAX)?;
    part("sort", &key.sort, SORT_BYTES_MAX)
}

/// Checks a range. The empty prefix matches all sort keys.
pub(super) fn range(range: &Range) -> Result<(), Misfit> {
    part("partition", &range.partition, PARTITION_BYTES_MAX)?;
    if range.prefix.is_empty() {
        return Ok(());
    }
    part("sort", &range.prefix, SORT_BYTES_MAX)
}

fn part(part: &'static str, text: &str, most: usize) -> Result<(), Misfit> {
    let bytes = text.len();
    if (1..=most).contains(&bytes) { Ok(()) } else { Err(Misfit::Key { part, bytes, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(partition: usize, sort: usize, body: usize) -> Result<(), Misfit> {
        let key = Key { partition: "p".repeat(partition), sort: "s".repeat(sort) };
        item(&Item { key, body: "b".repeat(body), expires: 0 })
    }

    #[test]
    fn the_largest_and_the_smallest_fit_and_nothing_beyond() {
        let of = |part, bytes, most| Err(Misfit::Key { part, bytes, most });
        assert_eq!(check(1, 1, 0), Ok(()));
        assert_eq!(check(2_048, 1_024, BODY_BYTES_MAX), Ok(()));
        assert_eq!(check(0, 1, 0), of("partition", 0, 2_048));
        assert_eq!(check(2_049, 1, 0), of("partition", 2_049, 2_048));
        assert_eq!(check(1, 0, 0), of("sort", 0, 1_024));
        assert_eq!(check(1, 1_025, 0), of("sort", 1_025, 1_024));
        assert_eq!(
            check(1, 1, BODY_BYTES_MAX + 1).unwrap_err().to_string(),
            "the body of item `s` has 389121 bytes, and a store keeps at most 389120"
        );
    }

    #[test]
    fn a_range_may_have_no_prefix() {
        let of = |prefix: usize| {
            range(&Range { partition: "p".to_owned(), prefix: "s".repeat(prefix), backwards: false })
        };
        assert_eq!([of(0), of(1_024)], [Ok(()), Ok(())]);
        assert!(of(1_025).is_err());
    }
}
