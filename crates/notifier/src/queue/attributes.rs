//! Message attributes. Pure.

use std::collections::HashMap;

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::MessageAttributeValue;

use super::limits::ATTRIBUTES_MAX;

/// Attribute with the first message id of a dead letter.
pub(super) const MESSAGE_ID: &str = "message_id";
/// Attribute with the time at which a dead letter was first sent, in milliseconds since 1970.
pub(super) const SENT: &str = "sent";
/// Attribute with all senders of a dead letter so far, separated by commas.
pub(super) const SENDERS: &str = "senders";
/// The only type that is sent; SQS counts its name too.
const TYPE: &str = "String";

/// Text attributes of one message, the most important first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes(Vec<(&'static str, String)>);

impl Attributes {
    /// Adds an attribute, unless its value is empty, which SQS refuses, or there are ten.
    ///
    /// Characters that SQS refuses are replaced, and what is longer than `bytes_max` is cut.
    pub(super) fn add(&mut self, name: &'static str, value: &str, bytes_max: usize) {
        let value = legal(value, bytes_max);
        if !value.is_empty() && self.0.len() < ATTRIBUTES_MAX {
            self.0.push((name, value));
        }
    }

    /// The size of the attributes in a message: names, types and values.
    ///
    /// Source: Amazon SQS Developer Guide, "Amazon SQS message metadata".
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + TYPE.len() + value.len()).sum()
    }

    /// Drops the least important attributes until the rest has at most `room` bytes.
    pub(super) fn fit(&mut self, room: usize) {
        while self.bytes() > room {
            self.0.pop();
        }
    }

    /// The attributes as types of the SDK; `None` if there are none.
    pub(super) fn to_sdk(&self) -> Result<Option<HashMap<String, MessageAttributeValue>>, BuildError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let one = |(name, value): &(&str, String)| {
            let value = MessageAttributeValue::builder().data_type(TYPE).string_value(value).build()?;
            Ok(((*name).to_owned(), value))
        };
        self.0.iter().map(one).collect::<Result<_, _>>().map(Some)
    }
}

/// Cuts `text` to at most `bytes_max` bytes, with U+FFFD for each character that is not legal in XML 1.0.
///
/// Source: Amazon SQS API Reference, `SendMessage`: #x9, #xA, #xD, #x20 to #xD7FF, #xE000 to #xFFFD, #x10000 to #x10FFFF.
fn legal(text: &str, bytes_max: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = match c {
            '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => c,
            _ => '\u{fffd}',
        };
        if out.len() + c.len_utf8() > bytes_max {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_that_sqs_refuses_are_replaced() {
        assert_eq!(
            legal("a\u{0}b\u{1b}c\u{ffff}\u{fffe}\t\n\ré😀", 99),
            "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\t\n\ré😀"
        );
    }

    #[test]
    fn there_are_never_more_than_ten_attributes_and_never_an_empty_one() {
        let mut attributes = Attributes::default();
        attributes.add("empty", "", 9);
        for _ in 0..12 {
            attributes.add("name", "value", 9);
        }
        assert_eq!(attributes.to_sdk().unwrap().unwrap().len(), 1);
        assert_eq!(attributes.0.len(), 10);
    }

    #[test]
    fn the_least_important_attributes_go_first_when_room_is_short() {
        let mut attributes = Attributes::default();
        attributes.add("code", "x", 9);
        attributes.add("task", "y", 9);
        let all = attributes.bytes();
        assert_eq!(all, 2 * ("code".len() + "String".len() + 1));
        attributes.fit(all - 1);
        assert_eq!(attributes.0, [("code", "x".to_owned())]);
        attributes.fit(0);
        assert_eq!(attributes.to_sdk().unwrap(), None);
    }

    proptest! {
        #[test]
        fn a_value_is_cut_between_characters(text in any::<String>(), max in 0..40_usize) {
            let out = legal(&text, max);
            prop_assert!(out.len() <= max);
            prop_assert!(text.chars().count() >= out.chars().count());
        }
    }
}
