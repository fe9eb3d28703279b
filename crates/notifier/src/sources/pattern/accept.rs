//! Whether a field's conditions accept a value.

use serde_json::Value;

use super::compare::{address, is_equal};
use super::condition::{AnyOf, Condition};
use super::work;

impl AnyOf {
    /// Whether a field accepts the value of this name in an event; `None` if there is none.
    ///
    /// Each element of an array counts by itself, also in nested arrays. An object is not a value.
    pub(super) fn accepts_field(&self, value: Option<&Value>) -> bool {
        let exists = value.is_some_and(|value| any_scalar(value, &mut |_| true));
        let is_asked =
            |condition: &Condition| matches!(condition, Condition::Exists(wanted) if *wanted == exists);
        self.others.iter().any(is_asked)
            || value.is_some_and(|value| any_scalar(value, &mut |scalar| self.accepts(scalar)))
    }

    fn accepts(&self, scalar: &Value) -> bool {
        if let Value::String(text) = scalar
            && self.texts.contains(text)
        {
            return true;
        }
        self.others.iter().any(|condition| condition.accepts(scalar))
    }
}

/// Whether one of the scalars of a value is accepted. The depth is limited by the reader of JSON.
fn any_scalar(value: &Value, accept: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| any_scalar(value, accept)),
        Value::Object(_) => false,
        scalar => accept(scalar),
    }
}

impl Condition {
    fn accepts(&self, scalar: &Value) -> bool {
        work::add(1);
        match (self, scalar) {
            (Self::AnythingBut(any_of), _) => !any_of.accepts(scalar),
            (Self::Null, Value::Null) => true,
            (Self::Bool(wanted), Value::Bool(value)) => wanted == value,
            (Self::Number(wanted), Value::Number(value)) => is_equal(wanted, value),
            (Self::Numeric(range), Value::Number(value)) => range.contains(value),
            (_, Value::String(text)) => self.accepts_text(text),
            _ => false,
        }
    }

    fn accepts_text(&self, text: &str) -> bool {
        match self {
            Self::Address(wanted) => address(text).is_some_and(|address| address == *wanted),
            Self::Cidr(network) => address(text).is_some_and(|address| network.contains(&address)),
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::PrefixIgnoreCase(prefix) => prefix.rest_after(text).is_some(),
            Self::SuffixIgnoreCase(suffix) => suffix.is_suffix_of(text),
            Self::EqualsIgnoreCase(wanted) => wanted.rest_after(text) == Some(""),
            Self::Wildcard(wildcard) => wildcard.matches(text),
            _ => false,
        }
    }
}
