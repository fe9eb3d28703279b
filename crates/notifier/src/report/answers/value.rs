//! The part of an answer that is compared. Pure.

use super::Pointer;
use super::canonical::{canonical, string};

/// The part of an answer that is compared: canonical JSON, or nothing.
///
/// An answer that is not JSON counts as a JSON string without the white space around it, so that the text `v42` equals the
/// JSON `"v42"`. Every character in it that could steer a terminal is escaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerValue {
    json: Option<Box<str>>,
    is_cut: bool,
}

impl AnswerValue {
    /// The part of an answer that a pointer names, or the whole answer. An answer that was cut equals no whole one.
    pub fn of(body: &str, is_cut: bool, pick: Option<&Pointer>) -> Self {
        let text = body.trim();
        let json = match pick {
            _ if text.is_empty() => None,
            None => canonical(text).or_else(|| Some(string(text))),
            Some(_) if is_cut => None,
            Some(pointer) => pointer.of(text).and_then(canonical),
        };
        Self { json: json.map(String::into_boxed_str), is_cut }
    }

    /// The value of a JSON text; `None` if it is not JSON.
    pub fn from_json(json: &str) -> Option<Self> {
        Some(Self { json: Some(canonical(json)?.into_boxed_str()), is_cut: false })
    }

    /// The canonical JSON; `None` if the answer has no body, or not the part that was asked for.
    pub fn as_json(&self) -> Option<&str> {
        self.json.as_deref()
    }

    /// Whether the answer was longer than the limit.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The value as a number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        let json = self.as_json()?;
        let is_number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        json.parse().ok().filter(|number: &f64| is_number && number.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str, pick: &str) -> Option<String> {
        let pointer: Pointer = pick.parse().unwrap();
        let pick = (!pick.is_empty()).then_some(&pointer);
        AnswerValue::of(body, false, pick).as_json().map(str::to_owned)
    }

    #[test]
    fn an_answer_is_json_if_it_parses_and_else_text() {
        assert_eq!(of("{\"b\": 1.0, \"a\": 2}\n", "").as_deref(), Some(r#"{"a":2,"b":1}"#));
        assert_eq!(of("v42\n", "").as_deref(), Some("\"v42\""));
        assert_eq!(of("\"v42\"", ""), of("v42", ""));
        assert_eq!(of("\u{1b}[2J", "").as_deref(), Some(r#""\u001b[2J""#));
        assert_eq!(of(" \n", ""), None);
        assert_eq!(of(r#"{"build":{"version":"v42"}}"#, "/build/version").as_deref(), Some("\"v42\""));
        assert_eq!(of("v42", "/build/version"), None);
        assert_eq!(of(r#"{"build":null}"#, "/build").as_deref(), Some("null"));
    }

    #[test]
    fn an_answer_that_was_cut_equals_no_whole_one() {
        let [whole, cut] = [false, true].map(|is_cut| AnswerValue::of("v42", is_cut, None));
        assert_ne!(whole, cut);
        assert_eq!(Some(whole), AnswerValue::from_json("\"v42\""));
        assert_eq!(AnswerValue::of("{\"a\":1}", true, Some(&"/a".parse().unwrap())).as_json(), None);
    }

    #[test]
    fn only_numbers_are_numbers() {
        let number = |json| AnswerValue::from_json(json).unwrap().number();
        assert_eq!((number("-1.50"), number("3e2")), (Some(-1.5), Some(300.0)));
        for other in ["\"1\"", "true", "null", "[1]", "1e999"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
