//! Checks that an answer matches the request. Pure.
//!
//! Items that were not requested are not used, not written again, and not waited for.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{KeysAndAttributes, WriteRequest};

use super::item::{self, Attributes, Foreign};
use crate::store::{Item, Key, Page, Range};

/// Why an answer cannot be one to what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidAnswer {
    #[error("the answer is about table `{0}`, which was not requested")]
    Table(String),
    #[error("the answer has the key `{sort}` of `{partition}`, which was not requested, or has it twice")]
    Unasked { partition: String, sort: String },
    #[error("the answer is about an item without a key")]
    NoKey,
    #[error("the answer has no `{0}`, which DynamoDB always sends")]
    Missing(&'static str),
    #[error("the answer has {0} items, more than the requested page")]
    Long(usize),
    #[error("the next page begins at `{0}`, which is not after this one")]
    Next(String),
    #[error(transparent)]
    Foreign(#[from] Foreign),
}

impl InvalidAnswer {
    fn unasked(Key { partition, sort }: Key) -> Self {
        Self::Unasked { partition, sort }
    }

    /// Whether a retry would have the same answer: the table has an item that this program did not write.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }
}

/// The items of a batch that were not written.
pub(super) fn unwritten(
    table: &str,
    asked: &BTreeSet<Key>,
    left: Option<HashMap<String, Vec<WriteRequest>>>,
) -> Result<BTreeSet<Key>, InvalidAnswer> {
    let left = left.ok_or(InvalidAnswer::Missing("UnprocessedItems"))?;
    let left = ours(table, left)?.into_iter().flatten();
    let keys = left.map(|request| request.put_request.map(|put| put.item));
    undone(asked, keys)
}

/// The keys of a batch that were not read.
pub(super) fn unread(
    table: &str,
    asked: &BTreeSet<Key>,
    left: Option<HashMap<String, KeysAndAttributes>>,
) -> Result<BTreeSet<Key>, InvalidAnswer> {
    let left = left.ok_or(InvalidAnswer::Missing("UnprocessedKeys"))?;
    undone(asked, ours(table, left)?.into_iter().flat_map(|left| left.keys).map(Some))
}

/// The items of a batch that were read, each key at most once.
pub(super) fn read(
    table: &str,
    asked: &BTreeSet<Key>,
    found: Option<HashMap<String, Vec<Attributes>>>,
) -> Result<Vec<Attributes>, InvalidAnswer> {
    let found = found.ok_or(InvalidAnswer::Missing("Responses"))?;
    let found: Vec<Attributes> = ours(table, found)?.unwrap_or_default();
    let mut open: BTreeSet<&Key> = asked.iter().collect();
    for attributes in &found {
        let key = item::key(attributes)?;
        if !open.remove(&key) {
            return Err(InvalidAnswer::unasked(key));
        }
    }
    Ok(found)
}

/// One page of a range, with a limit of items.
pub(super) fn page(
    range: &Range,
    after: Option<&str>,
    most: usize,
    items: Option<Vec<Attributes>>,
    last: Option<Attributes>,
) -> Result<Page, InvalidAnswer> {
    let items = items.ok_or(InvalidAnswer::Missing("Items"))?;
    if items.len() > most {
        return Err(InvalidAnswer::Long(items.len()));
    }
    let moves = |from: Option<&str>, to: &str| {
        from.is_none_or(|from| if range.backwards { to < from } else { to > from })
    };
    let mut page = Page::default();
    for attributes in items {
        let item = item::item(attributes)?;
        let from = page.items.last().map(|item: &Item| item.key.sort.as_str()).or(after);
        let is_within = item.key.partition == range.partition && item.key.sort.starts_with(&range.prefix);
        if !is_within || !moves(from, &item.key.sort) {
            return Err(InvalidAnswer::unasked(item.key));
        }
        page.items.push(item);
    }
    if let Some(last) = last {
        let Key { partition, sort } = item::key(&last).map_err(|_| InvalidAnswer::NoKey)?;
        if partition != range.partition || !moves(after, &sort) {
            return Err(InvalidAnswer::Next(sort));
        }
        page.next = Some(sort);
    }
    Ok(page)
}

/// The part of an answer about this table. Requests name no other.
fn ours<T>(table: &str, tables: HashMap<String, T>) -> Result<Option<T>, InvalidAnswer> {
    let mut ours = None;
    for (name, value) in tables {
        if !is_same(table, &name) {
            return Err(InvalidAnswer::Table(name));
        }
        ours = Some(value);
    }
    Ok(ours)
}

/// Whether both name the same table: by name, or by an ARN that ends in the name.
fn is_same(one: &str, other: &str) -> bool {
    let name = |table: &str| table.rsplit_once(":table/").map_or(table, |(_, name)| name).to_owned();
    one == other || name(one) == name(other)
}

fn undone(
    asked: &BTreeSet<Key>,
    keys: impl Iterator<Item = Option<Attributes>>,
) -> Result<BTreeSet<Key>, InvalidAnswer> {
    let mut undone = BTreeSet::new();
    for key in keys {
        let key = key.and_then(|key| item::key(&key).ok()).ok_or(InvalidAnswer::NoKey)?;
        if !asked.contains(&key) {
            return Err(InvalidAnswer::unasked(key));
        }
        undone.insert(key);
    }
    Ok(undone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_name_and_by_its_arn() {
        let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/t";
        assert!(is_same("t", "t") && is_same(arn, arn) && is_same(arn, "t") && is_same("t", arn));
        assert!(!is_same("t", "u") && !is_same(arn, "table/t") && !is_same(arn, ""));
    }
}
