//! Reading requests: members by their types, and the ranges of numbers.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::errors;
use crate::error::AwsError;

/// Most queues or tasks on one page of a list.
pub(super) const PAGE_MAX: usize = 1000;

/// A request that names a queue and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfQueue {
    pub(super) queue_url: Option<String>,
}

/// Reads a request. Members that it does not know are ignored, as AWS does.
pub(super) fn read<T: DeserializeOwned>(body: Value) -> Result<T, AwsError> {
    serde_json::from_value(body)
        .map_err(|error| AwsError::client("SerializationException", error.to_string()))
}

/// A member that must be there.
pub(super) fn required<T>(member: Option<T>, name: &str) -> Result<T, AwsError> {
    member.ok_or_else(|| errors::missing(name))
}

/// The URL of a queue, which nearly every request must have.
pub(super) fn url(member: Option<&String>) -> Result<&str, AwsError> {
    required(member.filter(|url| !url.is_empty()), "QueueUrl").map(String::as_str)
}

/// A number within its range, or AWS's refusal with `reason`.
pub(super) fn within(
    number: i64,
    range: RangeInclusive<u64>,
    name: &str,
    reason: &str,
) -> Result<u64, AwsError> {
    let inside = u64::try_from(number).ok().filter(|number| range.contains(number));
    inside.ok_or_else(|| errors::invalid_value(number, name, reason))
}

/// One page of `names`, which are in order, from after the one that `token` names; with the token of the next page.
///
/// AWS answers a token only to those who asked for a size.
pub(super) fn page<'n>(
    names: impl Iterator<Item = &'n str>,
    token: Option<&str>,
    size: Option<i64>,
) -> Result<(Vec<&'n str>, Option<String>), AwsError> {
    let asked = size
        .map(|n| within(n, 1..=1000, "MaxResults", "Must be between 1 and 1000, if provided."))
        .transpose()?;
    let limit = asked.map_or(PAGE_MAX, |n| usize::try_from(n).unwrap_or(PAGE_MAX));
    let mut rest = names.skip_while(|name| token.is_some_and(|token| *name <= token));
    let page: Vec<&str> = rest.by_ref().take(limit).collect();
    let more = asked.is_some() && rest.next().is_some();
    let next = page.last().filter(|_| more).map(|&name| name.to_owned());
    Ok((page, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let names = ["a", "b", "c", "d", "e"];
        let of = |token: Option<&str>, size| page(names.into_iter(), token, size).expect("valid");
        assert_eq!(of(None, None), (names.to_vec(), None));
        assert_eq!(of(None, Some(2)), (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(of(Some("b"), Some(2)), (vec!["c", "d"], Some("d".to_owned())));
        assert_eq!(of(Some("d"), Some(2)), (vec!["e"], None));
        assert_eq!(of(Some("c"), Some(2)), (vec!["d", "e"], None));
        for wrong in [0, -1, 1001] {
            assert!(page(names.into_iter(), None, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
