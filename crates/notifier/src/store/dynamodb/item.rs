//! Converts items to DynamoDB's attributes, and makes batches that it accepts. Pure.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::{Item, Key};

/// Items in one `BatchWriteItem`. Source: Amazon DynamoDB API reference.
pub(super) const WRITES_MAX: usize = 25;
/// Bytes of the items in one `BatchWriteItem`, including keys. Below DynamoDB's 16 MB, because a batch is repeated as a
/// whole if its answer is lost.
const WRITE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The attribute with the body of an item.
pub(super) const BODY: &str = "body";

/// An item's attributes as a type of the SDK.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// An item of another program: an attribute is missing, or not a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an item has no text attribute `{0}`")]
pub(super) struct Foreign(pub(super) &'static str);

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn keyed(key: Key) -> Attributes {
    HashMap::from([("pk".to_owned(), text(key.partition)), ("sk".to_owned(), text(key.sort))])
}

pub(super) fn attributes(item: Item) -> Attributes {
    let mut attributes = keyed(item.key);
    attributes.insert(BODY.to_owned(), text(item.body));
    attributes.insert("expires".to_owned(), AttributeValue::N(item.expires.to_string()));
    attributes
}

/// The key among these attributes.
pub(super) fn key(attributes: &Attributes) -> Result<Key, Foreign> {
    let text = |name| match attributes.get(name) {
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        _ => Err(Foreign(name)),
    };
    Ok(Key { partition: text("pk")?, sort: text("sk")? })
}

/// An item from its attributes. An item without a time to live is from another program, and never expires.
pub(super) fn item(mut attributes: Attributes) -> Result<Item, Foreign> {
    let expires = attributes.get("expires").and_then(|value| value.as_n().ok()?.parse().ok());
    let key = key(&attributes)?;
    match attributes.remove(BODY) {
        Some(AttributeValue::S(body)) => Ok(Item { key, body, expires: expires.unwrap_or(i64::MAX) }),
        _ => Err(Foreign(BODY)),
    }
}

/// Items by their keys.
pub(super) type Batch = BTreeMap<Key, Item>;

/// Batches that DynamoDB accepts, with each key once; the last of its items counts.
pub(super) fn batches(items: Vec<Item>) -> Vec<Batch> {
    // DynamoDB refuses a batch with a duplicate key.
    let last: Batch = items.into_iter().map(|item| (item.key.clone(), item)).collect();
    let mut batches: Vec<Batch> = Vec::new();
    let mut bytes = 0;
    for (key, item) in last {
        let size = item.body.len() + key.partition.len() + key.sort.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < WRITES_MAX && bytes + size <= WRITE_BYTES_MAX => {
                batch.insert(key, item);
                bytes += size;
            }
            _ => {
                batches.push(BTreeMap::from([(key, item)]));
                bytes = size;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(sort: &str, bytes: usize) -> Item {
        let key = Key { partition: "p".to_owned(), sort: sort.to_owned() };
        Item { key, body: "x".repeat(bytes), expires: 0 }
    }

    #[test]
    fn batches_keep_within_what_dynamodb_takes_and_name_no_key_twice() {
        let lengths = |items| batches(items).iter().map(BTreeMap::len).collect::<Vec<_>>();
        assert_eq!(lengths((0..60).map(|n| sized(&n.to_string(), 1)).collect()), [25, 25, 10]);
        assert_eq!(lengths((0..25).map(|n| sized(&n.to_string(), 300 * 1024)).collect()), [13, 12]);
        let twice = batches(vec![sized("a", 1), sized("b", 1), sized("a", 2)]);
        let twice: Vec<Item> = twice.into_iter().flat_map(BTreeMap::into_values).collect();
        assert_eq!(twice, [sized("a", 2), sized("b", 1)]);
        assert!(batches(Vec::new()).is_empty());
    }

    #[test]
    fn an_item_survives_and_one_without_a_time_to_live_is_kept() {
        let ours = sized("s", 3);
        assert_eq!(item(attributes(ours.clone())), Ok(ours.clone()));
        let mut endless = attributes(ours.clone());
        endless.remove("expires");
        assert_eq!(item(endless), Ok(Item { expires: i64::MAX, ..ours }));
    }

    #[test]
    fn what_we_would_not_write_is_another_programs() {
        for name in ["pk", "sk", BODY] {
            let mut missing = attributes(sized("s", 1));
            missing.remove(name);
            assert_eq!(item(missing), Err(Foreign(name)));
            let mut number = attributes(sized("s", 1));
            number.insert(name.to_owned(), AttributeValue::N("1".to_owned()));
            assert_eq!(item(number), Err(Foreign(name)));
        }
    }
}
