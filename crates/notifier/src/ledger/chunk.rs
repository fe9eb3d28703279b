//! Splits a record with a long list into several items: a head and rows. Pure.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The most bytes of rows in one item. A write costs by its size, so larger items have no benefit.
const ROWS_BYTES_MAX: usize = 128 * 1024;

/// The first item of a record. The others are a bare list of rows.
#[derive(Serialize, Deserialize)]
struct First<H, R> {
    head: H,
    /// Number of items of the record, including this one. Further items of an earlier, longer record are not read.
    #[serde(rename = "sheets")]
    chunks: usize,
    rows: Vec<R>,
}

/// The bodies of a record's items. The first must be written last: it completes the record.
pub(super) fn write<H: Serialize, R: Serialize>(
    head: &H,
    rows: &[R],
) -> Result<Vec<String>, serde_json::Error> {
    let mut chunks: Vec<Vec<Box<RawValue>>> = vec![Vec::new()];
    let mut bytes = 0;
    for row in rows {
        let row = to_raw_value(row)?;
        let size = row.get().len() + 1;
        if bytes + size > ROWS_BYTES_MAX {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(row);
        }
    }
    let count = chunks.len();
    let mut chunks = chunks.into_iter();
    let first = First { head, chunks: count, rows: chunks.next().unwrap_or_default() };
    std::iter::once(serde_json::to_string(&first))
        .chain(chunks.map(|rows| serde_json::to_string(&rows)))
        .collect()
}

/// The number of items of a record, from the body of its first.
pub(super) fn count(first: &str) -> Result<usize, serde_json::Error> {
    Ok(serde_json::from_str::<First<IgnoredAny, IgnoredAny>>(first)?.chunks)
}

/// Reads a record of [`write`] from the bodies in order; `None` if some are missing, because a write is in progress.
pub(super) fn read<H: DeserializeOwned, R: DeserializeOwned>(
    bodies: &[&str],
) -> Result<Option<(H, Vec<R>)>, serde_json::Error> {
    let Some((first, others)) = bodies.split_first() else { return Ok(None) };
    let First { head, chunks, mut rows } = serde_json::from_str::<First<H, R>>(first)?;
    let Some(others) = others.get(..chunks.saturating_sub(1)) else { return Ok(None) };
    for body in others {
        rows.extend(serde_json::from_str::<Vec<R>>(body)?);
    }
    Ok(Some((head, rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BODY_BYTES_MAX;

    fn round_trip(rows: &[String]) -> usize {
        let bodies = write(&"head".to_owned(), rows).unwrap();
        assert!(bodies.iter().all(|body| body.len() <= BODY_BYTES_MAX));
        let texts: Vec<_> = bodies.iter().map(String::as_str).collect();
        let (head, read): (String, Vec<String>) = read(&texts).unwrap().unwrap();
        assert_eq!((head.as_str(), read.as_slice()), ("head", rows));
        bodies.len()
    }

    #[test]
    fn a_record_reads_as_it_was_written_however_long() {
        assert_eq!(round_trip(&[]), 1);
        assert_eq!(round_trip(&["a".to_owned()]), 1);
        assert_eq!(round_trip(&vec!["x".repeat(1_000); 1_000]), 8);
        assert_eq!(round_trip(&["x".repeat(ROWS_BYTES_MAX), "y".to_owned()]), 3);
    }

    #[test]
    fn a_record_that_is_not_whole_is_none_and_leftovers_of_a_longer_one_are_not_read() {
        let long = write(&1, &vec!["x".repeat(1_000); 200]).unwrap();
        let long: Vec<_> = long.iter().map(String::as_str).collect();
        assert_eq!(long.len(), 2);
        assert!(read::<u8, String>(&long[..1]).unwrap().is_none());
        assert!(read::<u8, String>(&[]).unwrap().is_none());
        let short = write(&2, &["y"]).unwrap();
        let (head, rows) = read::<u8, String>(&[&short[0], long[1]]).unwrap().unwrap();
        assert_eq!((head, rows), (2, vec!["y".to_owned()]));
    }
}
