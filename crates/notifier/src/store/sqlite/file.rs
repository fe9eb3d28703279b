//! The statements on a ledger's file.

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tracing::warn;

use super::error::FileError;
use super::guard::Guard;
use super::open::BUSY_WAIT_MAX;
use super::{Condition, Write};
use crate::base::Clock;
use crate::store::{Item, Key, Page, Range};

/// Items of one page.
const PAGE_ITEMS_MAX: usize = 1_000;
/// A page ends with the item that brings it to this, in bytes of bodies and sort keys. DynamoDB's pages end at 1 MB too.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Expired items that are deleted in one go.
const FORGET_MAX: u32 = 1_000;
/// Seconds from one go to the next, when there were not too many for one.
const FORGET_EVERY_SECONDS: i64 = 60;

/// Replaces an existing item.
const PUT: &str = "
    INSERT INTO items (partition, sort, body, expires) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET body = excluded.body, expires = excluded.expires
";
/// Keeps an existing item.
const PUT_NEW: &str = "
    INSERT INTO items (partition, sort, body, expires) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO NOTHING
";
/// Replaces an existing item with a smaller body. Texts have the order of their bytes.
const PUT_GREATER: &str = "
    INSERT INTO items (partition, sort, body, expires) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET body = excluded.body, expires = excluded.expires WHERE items.body < excluded.body
";
const GET: &str = "SELECT body, expires FROM items WHERE partition = ?1 AND sort = ?2";
const LIST: &str = "
    SELECT sort, body, expires FROM items
    WHERE partition = ?1 AND sort >= ?2 AND sort < ?3 ORDER BY sort
";
const FORGET: &str = "
    DELETE FROM items WHERE (partition, sort) IN
        (SELECT partition, sort FROM items WHERE expires < ?1 LIMIT ?2)
";

/// A ledger's file, used by one thread.
pub(super) struct File {
    db: Connection,
    pub(super) guard: Guard,
    clock: Clock,
    /// When expired items are looked for again, in seconds since 1970.
    forget_at: i64,
}

impl File {
    pub(super) fn new(db: Connection, guard: Guard, clock: Clock) -> Self {
        Self { db, guard, clock, forget_at: i64::MIN }
    }

    /// Does all writes in one transaction. For each, whether it wrote all its items.
    pub(super) fn write(&mut self, writes: &[Write]) -> Result<Vec<bool>, FileError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.guard.check_same()?;
        // `Immediate`: one that reads first and then finds another writer could not wait for it.
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = Vec::with_capacity(writes.len());
        {
            let mut put = transaction.prepare(PUT)?;
            let mut put_new = transaction.prepare(PUT_NEW)?;
            let mut put_greater = transaction.prepare(PUT_GREATER)?;
            for write in writes {
                let statement = match write.condition {
                    Condition::Always => &mut put,
                    Condition::New => &mut put_new,
                    Condition::Greater => &mut put_greater,
                };
                let mut count = 0;
                for Item { key, body, expires } in &write.items {
                    count += statement.execute(params![key.partition, key.sort, body, expires])?;
                }
                written.push(count == write.items.len());
            }
        }
        transaction.commit()?;
        Ok(written)
    }

    /// The items at these keys, in their order. A call follows this read, so the disk must have room for its outcome.
    pub(super) fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Item>>, FileError> {
        self.guard.check_same()?;
        self.guard.check_room()?;
        let mut statement = self.db.prepare(GET)?;
        let find = |key: Key| {
            let found = statement
                .query_row(params![key.partition, key.sort], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok(found.map(|(body, expires)| Item { key, body, expires }))
        };
        Ok(keys.into_iter().map(find).collect::<rusqlite::Result<_>>()?)
    }

    /// A page of a range.
    pub(super) fn list(&self, range: &Range, after: Option<&str>) -> Result<Page, FileError> {
        self.guard.check_same()?;
        let (first, end) = bounds(range, after);
        // Behind all texts in SQLite's order: a blob.
        let end = end.map_or(Value::Blob(Vec::new()), Value::Text);
        let mut statement =
            self.db.prepare(&format!("{LIST} {}", if range.backwards { "DESC" } else { "ASC" }))?;
        let mut rows = statement.query(params![range.partition, first, end])?;
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            if page.items.len() >= PAGE_ITEMS_MAX || bytes >= PAGE_BYTES_MAX {
                page.next = page.items.last().map(|item| item.key.sort.clone());
                break;
            }
            let key = Key { partition: range.partition.clone(), sort: row.get(0)? };
            let item = Item { key, body: row.get(1)?, expires: row.get(2)? };
            bytes += item.key.sort.len() + item.body.len();
            page.items.push(item);
        }
        Ok(page)
    }

    /// Deletes some of what has expired, if it is time. A failure is logged: the next go makes up for it.
    pub(super) fn forget_expired(&mut self) {
        let now = self.clock.unix_seconds();
        if now < self.forget_at {
            return;
        }
        let forgotten = self.forget(now).unwrap_or_else(|error| {
            warn!(
                error = &error as &dyn std::error::Error,
                "Could not delete expired items of the ledger; will retry"
            );
            0
        });
        let more = u32::try_from(forgotten) == Ok(FORGET_MAX);
        self.forget_at = if more { now } else { now.saturating_add(FORGET_EVERY_SECONDS) };
    }

    /// Does not wait for another process: the clean-up is not urgent, and other jobs may be waiting.
    fn forget(&self, now: i64) -> rusqlite::Result<usize> {
        self.db.busy_timeout(Duration::ZERO)?;
        let forgotten = self.db.execute(FORGET, params![now, FORGET_MAX]);
        self.db.busy_timeout(BUSY_WAIT_MAX)?;
        forgotten
    }
}

/// From which sort key a page of this range can begin, and before which all of it is; `None` when nothing is behind it.
/// Pure.
fn bounds(range: &Range, after: Option<&str>) -> (String, Option<String>) {
    let (first, end) = (range.prefix.clone(), behind(&range.prefix));
    let Some(after) = after else { return (first, end) };
    if range.backwards {
        let after = after.to_owned();
        return (first, Some(end.map_or(after.clone(), |end| end.min(after))));
    }
    // The very next text is the same with the smallest character behind it.
    (first.max(format!("{after}\0")), end)
}

/// The first text behind all that begin with `prefix`; `None` when there is none. UTF-8 has the order of its characters.
fn behind(prefix: &str) -> Option<String> {
    let mut behind = prefix.to_owned();
    while let Some(last) = behind.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            behind.push(next);
            return Some(behind);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn behind_a_prefix_its_last_character_is_the_next_one() {
        let of = |prefix| behind(prefix).unwrap_or("nothing".to_owned());
        assert_eq!(of("a%"), "a&");
        assert_eq!(of("a\u{d7ff}"), "a\u{e000}", "there are no surrogates");
        assert_eq!(of("a\u{10ffff}\u{10ffff}"), "b");
        assert_eq!(of("\u{10ffff}"), "nothing");
        assert_eq!(of(""), "nothing");
    }

    proptest! {
        #[test]
        fn the_bounds_hold_exactly_what_begins_so_and_comes_after(
            prefix in "[\0a\u{7f}ü\u{10ffff}]{0,2}",
            after in proptest::option::of("[\0a\u{7f}ü\u{10ffff}]{0,3}"),
            sort in "[\0a\u{7f}ü\u{10ffff}]{0,4}",
            backwards: bool,
        ) {
            let range = Range { partition: String::new(), prefix: prefix.clone(), backwards };
            let (first, end) = bounds(&range, after.as_deref());
            let within = sort >= first && end.is_none_or(|end| sort < end);
            let comes = after.is_none_or(|after| if backwards { sort < after } else { sort > after });
            prop_assert_eq!(within, sort.starts_with(&prefix) && comes);
        }
    }
}
