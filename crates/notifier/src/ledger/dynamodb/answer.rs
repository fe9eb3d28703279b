//! Checks that an answer matches the request. Pure.
//!
//! Items that were not requested are not used, not written again, and not waited for.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{KeysAndAttributes, WriteRequest};

use super::item::{self, Attributes, Foreign};
use crate::ledger::store::{Item, Key, Page, Range};

/// Why an answer does not match the request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
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

    fn key(sort: &str) -> Key {
        Key { partition: "p".to_owned(), sort: sort.to_owned() }
    }

    fn keyed(sort: &str) -> Attributes {
        item::keyed(key(sort))
    }

    fn attributes(sort: &str) -> Attributes {
        item::attributes(Item { key: key(sort), body: "b".to_owned(), expires: 1 })
    }

    /// The sort keys of a page behind `after`, and its next one.
    fn page_of(
        backwards: bool,
        after: &str,
        sorts: &[&str],
        next: Option<&str>,
    ) -> Result<(usize, Option<String>), InvalidAnswer> {
        let range = Range { partition: "p".to_owned(), prefix: "s".to_owned(), backwards };
        let items = sorts.iter().map(|sort| attributes(sort)).collect();
        let page = page(&range, Some(after), 3, Some(items), next.map(keyed))?;
        Ok((page.items.len(), page.next))
    }

    fn unasked<T>(sort: &str) -> Result<T, InvalidAnswer> {
        Err(InvalidAnswer::unasked(key(sort)))
    }

    #[test]
    fn a_page_moves_on_within_its_range() {
        assert_eq!(page_of(false, "s1", &["s2", "s3"], Some("s3")), Ok((2, Some("s3".to_owned()))));
        assert_eq!(page_of(true, "s3", &["s2", "s1"], None), Ok((2, None)));
        assert_eq!(page_of(false, "s1", &["s1"], None), unasked("s1"));
        assert_eq!(page_of(false, "s1", &["s3", "s2"], None), unasked("s2"));
        assert_eq!(page_of(true, "s3", &["s4"], None), unasked("s4"));
        assert_eq!(page_of(false, "s1", &["t"], None), unasked("t"));
        assert_eq!(page_of(false, "s1", &["s2", "s3", "s4", "s5"], None), Err(InvalidAnswer::Long(4)));
    }

    #[test]
    fn a_next_page_that_begins_where_this_one_did_is_invalid() {
        let next = |backwards, next| page_of(backwards, "s5", &[], Some(next)).unwrap_err();
        assert_eq!(next(false, "s5"), InvalidAnswer::Next("s5".to_owned()));
        assert_eq!(next(false, "s4"), InvalidAnswer::Next("s4".to_owned()));
        assert_eq!(next(true, "s6"), InvalidAnswer::Next("s6".to_owned()));
        let range = Range { partition: "p".to_owned(), prefix: String::new(), backwards: false };
        let keyless = page(&range, None, 3, Some(Vec::new()), Some(Attributes::new()));
        assert_eq!(keyless, Err(InvalidAnswer::NoKey), "a list that just ended would lose what is behind");
        let elsewhere = item::keyed(Key { partition: "q".to_owned(), sort: "s".to_owned() });
        let page = page(&range, None, 3, Some(Vec::new()), Some(elsewhere));
        assert_eq!(page, Err(InvalidAnswer::Next("s".to_owned())));
    }

    #[test]
    fn a_table_is_known_by_its_name_and_by_its_arn() {
        let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/t";
        assert!(is_same("t", "t") && is_same(arn, arn) && is_same(arn, "t") && is_same("t", arn));
        assert!(!is_same("t", "u") && !is_same(arn, "table/t") && !is_same(arn, ""));
    }
}
