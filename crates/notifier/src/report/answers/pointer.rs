//! The part of a JSON text that a pointer names. Pure.
//!
//! Source: RFC 6901, JavaScript Object Notation (JSON) Pointer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::value::RawValue;

/// A JSON pointer, such as `/build/version`. The empty one names the whole value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// Why a text is not a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not begin with a slash.
    #[error("a JSON pointer begins with `/`, for example /build/version")]
    Slash,
    /// A tilde is followed by another character than 0 or 1.
    #[error("in a JSON pointer, `~` is written as `~0` and `/` inside a name as `~1`")]
    Escape,
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let names = text.strip_prefix('/').ok_or(PointerError::Slash)?.split('/');
        names.map(name).collect::<Result<_, _>>().map(Self)
    }
}

fn name(escaped: &str) -> Result<String, PointerError> {
    let mut parts = escaped.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (c, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            _ => return Err(PointerError::Escape),
        };
        name.push(c);
        name.push_str(rest);
    }
    Ok(name)
}

impl Pointer {
    /// The part of this JSON text; `None` if it is not JSON or has no such part.
    pub(super) fn of<'a>(&self, json: &'a str) -> Option<&'a str> {
        let mut value: &RawValue = serde_json::from_str(json).ok()?;
        for name in &self.0 {
            value = match value.get().as_bytes().first()? {
                b'{' => {
                    let mut members: BTreeMap<Cow<'a, str>, &'a RawValue> =
                        serde_json::from_str(value.get()).ok()?;
                    members.remove(name.as_str())?
                }
                b'[' => {
                    let elements: Vec<&'a RawValue> = serde_json::from_str(value.get()).ok()?;
                    elements.get(index(name)?).copied()?
                }
                _ => return None,
            };
        }
        Some(value.get())
    }
}

/// An index has no sign and no leading zero.
fn index(name: &str) -> Option<usize> {
    let is_index = name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    is_index.then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document and the pointers of RFC 6901, section 5.
    #[test]
    fn a_pointer_names_a_part_as_the_rfc_says() {
        let json = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
            "k\"l": 6, " ": 7, "m~n": 8}"#;
        for (pointer, part) in [
            ("/foo", Some("[\"bar\", \"baz\"]")),
            ("/foo/0", Some("\"bar\"")),
            ("/", Some("0")),
            ("/a~1b", Some("1")),
            ("/c%d", Some("2")),
            ("/e^f", Some("3")),
            ("/g|h", Some("4")),
            ("/i\\j", Some("5")),
            ("/k\"l", Some("6")),
            ("/ ", Some("7")),
            ("/m~0n", Some("8")),
            ("/foo/2", None),
            ("/foo/-", None),
            ("/foo/00", None),
            ("/foo/+1", None),
            ("/foo/0/x", None),
            ("/bar", None),
        ] {
            assert_eq!(pointer.parse::<Pointer>().unwrap().of(json), part, "{pointer}");
        }
        assert_eq!("".parse::<Pointer>().unwrap().of(" [1] "), Some("[1]"));
        assert_eq!("/a".parse::<Pointer>().unwrap().of("text"), None);
        assert_eq!("/~01".parse::<Pointer>().unwrap().of(r#"{"~1": 7}"#), Some("7"));
    }

    #[test]
    fn a_wrong_pointer_is_an_error() {
        assert_eq!("version".parse::<Pointer>(), Err(PointerError::Slash));
        assert_eq!("/a~2".parse::<Pointer>(), Err(PointerError::Escape));
        assert_eq!("/a~".parse::<Pointer>(), Err(PointerError::Escape));
    }
}
