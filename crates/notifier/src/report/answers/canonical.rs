//! One form for each JSON value, so that equal values are equal texts. Pure.
//!
//! Keys are sorted, white space is dropped, and numbers are compared as decimals: `1`, `1.0` and `1e0` are equal, and two
//! numbers that differ in any digit are not. Of a key that occurs twice, the last one counts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::value::RawValue;

/// Deeper JSON is treated as text. The same limit as `serde_json`'s.
const DEPTH_MAX: usize = 127;
/// Zeros that are written out on either side of the digits of a number.
const ZEROS_MAX: i64 = 20;
/// The same for zeros after the point.
const ZEROS_MIN: i64 = -ZEROS_MAX;

/// The canonical form of a JSON text; `None` if it is not JSON, or too deep.
pub(super) fn canonical(json: &str) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(json).ok()?;
    let mut out = String::with_capacity(json.len());
    write(raw.get(), 0, &mut out)?;
    Some(out)
}

/// A text as a canonical JSON string.
pub(super) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    out
}

fn write(json: &str, depth: usize, out: &mut String) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match json.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(json).ok()?;
            out.push('{');
            for (place, (name, value)) in members.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write(value.get(), depth + 1, out)?;
            }
            out.push('}');
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            out.push('[');
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(element.get(), depth + 1, out)?;
            }
            out.push(']');
        }
        b'"' => write_string(&serde_json::from_str::<Cow<'_, str>>(json).ok()?, out),
        b't' | b'f' | b'n' => out.push_str(json),
        _ => match number(json) {
            Some(number) => out.push_str(&number),
            None => out.push_str(json),
        },
    }
    Some(())
}

/// Escapes what JSON requires, and every character that could steer a terminal.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_command(c) => {
                // None of them is past U+FFFF. Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Control characters, line separators, and characters that change the direction of text.
fn is_command(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The canonical form of a JSON number; `None` if its exponent is out of all proportion.
fn number(text: &str) -> Option<String> {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let length = |text: &str| i64::try_from(text.len()).ok();
    let zeros = length(&digits)? - length(digits.trim_end_matches('0'))?;
    // The value is `significant` × 10^`power`, and has `before` digits before its point.
    let power = exponent.parse::<i64>().ok()?.checked_sub(length(fraction)?)?.checked_add(zeros)?;
    let before = power.checked_add(length(significant)?)?;
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    Some(match (power, before) {
        (0..=ZEROS_MAX, _) => format!("{sign}{significant}{}", zeros(power)),
        (_, ZEROS_MIN..=0) => format!("{sign}0.{}{significant}", zeros(-before)),
        (..0, 1..) => {
            let (whole, fraction) = significant.split_at_checked(usize::try_from(before).ok()?)?;
            format!("{sign}{whole}.{fraction}")
        }
        _ => {
            let (first, rest) = significant.split_at_checked(1)?;
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{rest}e{}", before - 1)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn equal_values_have_one_form() {
        for (json, form) in [
            (" 1 ", "1"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("100", "100"),
            ("1E+2", "100"),
            ("0.10", "0.1"),
            ("-0", "0"),
            ("0e99", "0"),
            ("-12.50", "-12.5"),
            ("0.000001", "0.000001"),
            ("1e-30", "1e-30"),
            ("12300e30", "1.23e34"),
            ("0.3", "0.3"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("9007199254740993", "9007199254740993"),
            ("9007199254740993.0", "9007199254740993"),
            ("1e99999999999999999999", "1e99999999999999999999"),
            (r#"{"b":1.0,"a":[true,null,"x"]}"#, r#"{"a":[true,null,"x"],"b":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#""\u0041\/\n""#, r#""A/\n""#),
            (r#""\u001b[2J\u202e\u009b""#, r#""\u001b[2J\u202e\u009b""#),
        ] {
            assert_eq!(canonical(json).as_deref(), Some(form), "{json}");
        }
        for text in ["", "v42", "{", "[1,]", "\"\\ud800\"", "1 2", "NaN", "01", "'a'"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn deep_json_is_no_json() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(canonical(&nested(128)), Some(nested(128)));
        assert_eq!(canonical(&nested(129)), None);
        assert_eq!(canonical(&nested(100_000)), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e6..1e6).prop_map(Value::from),
            "[a\u{1b}\u{202e}é\"\\\\\n]{0,5}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[ab\u{7f}]{0,2}", inner), 0..5)
                    .prop_map(|members| json!(members.into_iter().collect::<BTreeMap<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_reads_back_commands_nothing_and_is_its_own_form(value in value()) {
            let form = canonical(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
            prop_assert!(!form.contains(is_command), "{form:?}");
            prop_assert_eq!(canonical(&form), Some(form.clone()));
            prop_assert!(serde_json::from_str::<Value>(&form).is_ok(), "{form:?}");
        }

        #[test]
        fn numbers_keep_their_value(number in any::<f64>().prop_filter("JSON has no other", |n| n.is_finite())) {
            let form = canonical(&format!("{number:e}")).unwrap();
            let read: f64 = form.parse().unwrap();
            // Zero has two signs, and they are equal.
            prop_assert_eq!((read + 0.0).to_bits(), (number + 0.0).to_bits());
            prop_assert_eq!(canonical(&format!("{number}")), Some(form));
        }

        #[test]
        fn whatever_a_task_answers_nothing_panics(text in "[-+0-9eE.\"\\\\{}\\[\\]:,u ]{0,40}") {
            if let Some(form) = canonical(&text) {
                prop_assert_eq!(canonical(&form), Some(form));
            }
        }
    }
}
