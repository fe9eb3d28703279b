//! JSON as text and as a value, and JSON pointers into it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON text with its value. The text keeps numbers that no value holds exactly.
#[derive(Clone, Debug)]
pub(super) struct Document {
    text: Box<RawValue>,
    value: Value,
}

impl Document {
    /// Reads JSON text.
    pub(super) fn read(text: &RawValue) -> Result<Self, serde_json::Error> {
        Ok(Self { value: serde_json::from_str(text.get())?, text: text.to_owned() })
    }

    /// Writes a value as JSON.
    pub(super) fn write(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let text = serde_json::value::to_raw_value(value)?;
        Ok(Self { value: serde_json::from_str(text.get())?, text })
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn text(&self) -> &RawValue {
        &self.text
    }

    /// The JSON text at this pointer (RFC 6901); `None` if there is no such value.
    pub(super) fn at(&self, pointer: &str) -> Option<&RawValue> {
        // Most pointers that point nowhere are found out here, without reading the text again.
        self.value.pointer(pointer)?;
        let mut text: &RawValue = &self.text;
        for name in pointer.split('/').skip(1) {
            let name = if name.contains('~') {
                Cow::Owned(name.replace("~1", "/").replace("~0", "~"))
            } else {
                Cow::Borrowed(name)
            };
            text = member(text, &name)?;
        }
        Some(text)
    }
}

/// The member of an object, or the element of an array.
fn member<'a>(text: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    if let Ok(mut members) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(text.get()) {
        return members.remove(name);
    }
    let values: Vec<&RawValue> = serde_json::from_str(text.get()).ok()?;
    values.get(name.parse::<usize>().ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_returns_the_text_as_it_is_written() {
        let text = r#"{"a":{"b/c":[1, 2.50, 12345678901234567890123]},"~":"\u0041","":{"":0}}"#;
        let document = Document::read(serde_json::from_str(text).unwrap()).unwrap();
        let at = |pointer| document.at(pointer).map(RawValue::get);
        assert_eq!(at(""), Some(text));
        assert_eq!(at("/a/b~1c"), Some("[1, 2.50, 12345678901234567890123]"));
        assert_eq!(at("/a/b~1c/2"), Some("12345678901234567890123"));
        assert_eq!(at("/~0"), Some(r#""\u0041""#));
        assert_eq!(at("//"), Some("0"));
        for nowhere in ["a", "/b", "/a/b~1c/3", "/a/b~1c/-", "/a/b~1c/01", "/a/b~1c/x", "/a/b~1c/0/0"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_pointer_finds_what_serde_json_finds(
            pointer in "(/[ab~01]{0,2}){0,3}",
            text in r#"\{"a":(\[(1|\{"b":2\}),"x"\]|\{"a":(1|\[\]),"b~":null\}),"b":(0|\{"1":\[1,2\]\})\}"#,
        ) {
            let document = Document::read(serde_json::from_str(&text).unwrap()).unwrap();
            let found = document.at(&pointer).map(|found| serde_json::from_str::<Value>(found.get()).unwrap());
            proptest::prop_assert_eq!(found.as_ref(), document.value().pointer(&pointer));
        }
    }
}
