//! Makes patterns and events that often match, sometimes just not, and are sometimes invalid.
//!
//! Avoided, because the two sides are known to differ: exact IP addresses, dots in names of events, repeated members, a name
//! that has both a value and members, and comparisons of numbers that no double holds. See `EXPLAINED`.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Names that have values in patterns; in events they may have anything.
const LEAVES: [&str; 4] = ["a", "b", "c", "$or"];
/// Names that have members in patterns.
const OBJECTS: [&str; 3] = ["o", "p", "q"];
const TEXTS: [&str; 16] =
    ["", "a", "A", "ab", "ba", "aab", "abab", "b*", "\\", "straße", "STRASSE", "ÄÖ", "äö", "İ", "true", "1"];
const ADDRESSES: [&str; 6] =
    ["10.0.0.1", "10.0.0.255", "11.0.0.1", "2001:db8::1", "2001:DB8:0:0::2", "300.1.1.1"];
const CIDRS: [&str; 6] = ["10.0.0.0/24", "10.0.0.77/8", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.0.0.0/+8"];
const CIDRS_WRONG: [&str; 4] = ["10.0.0.0/32", "10.0.0/8", "10.0.0.0/x", "::/128"];
const WILDCARDS: [&str; 10] = ["*", "a*", "*b", "a*b", "*a*", "b\\*", "\\\\", "*ab*ab", "", "str*e"];
const WILDCARDS_WRONG: [&str; 3] = ["a**", "\\a", "a\\"];
/// The deepest nesting of an event.
const DEPTH_MAX: usize = 4;

pub(crate) struct Generator {
    pub(crate) rng: Rng,
}

impl Generator {
    /// A pattern and an event as JSON text.
    pub(crate) fn pair(&mut self) -> (String, String) {
        let event = json!({ "detail": self.object(0) });
        let pattern = format!(r#"{{"detail":{}}}"#, self.fields(0, false));
        (pattern, event.to_string())
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(..all.len())]
    }

    fn one_in(&mut self, number: u32) -> bool {
        self.rng.u32(..number) == 0
    }

    fn number(&mut self) -> Value {
        let numbers =
            [json!(0), json!(1), json!(1.0), json!(-1), json!(1.5), json!(100), json!(1e2), json!(1e300)];
        numbers[self.rng.usize(..numbers.len())].clone()
    }

    fn scalar(&mut self) -> Value {
        match self.rng.u8(..10) {
            0 => Value::Null,
            1 => Value::Bool(self.rng.bool()),
            2 | 3 => self.number(),
            4 => Value::String(self.pick(&ADDRESSES).to_owned()),
            _ => Value::String(self.pick(&TEXTS).to_owned()),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.rng.u8(..10) {
            0..=1 if depth < DEPTH_MAX => {
                let count = self.rng.usize(..4);
                (0..count).map(|_| self.value(depth + 1)).collect()
            }
            2..=3 if depth < DEPTH_MAX => self.object(depth + 1),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut members = Map::new();
        for name in LEAVES {
            if self.rng.u8(..4) > 0 {
                members.insert(name.to_owned(), self.value(depth));
            }
        }
        for name in OBJECTS {
            let value = match self.rng.u8(..6) {
                0 => continue,
                1 => self.scalar(),
                2 | 3 if depth < DEPTH_MAX => {
                    let count = self.rng.usize(..4);
                    (0..count).map(|_| self.value_of_object(depth + 1)).collect()
                }
                _ if depth < DEPTH_MAX => self.object(depth + 1),
                _ => continue,
            };
            members.insert(name.to_owned(), value);
        }
        Value::Object(members)
    }

    fn value_of_object(&mut self, depth: usize) -> Value {
        if self.one_in(4) { self.value(depth) } else { self.object(depth) }
    }

    /// The fields of a pattern as JSON text, because their order counts.
    fn fields(&mut self, depth: usize, inside_or: bool) -> String {
        if self.one_in(150) {
            return self.pick(&["{}", "[]", "5", "null"]).to_owned();
        }
        let mut fields = Vec::new();
        let mut used = Vec::new();
        for _ in 0..self.rng.usize(1..=3) {
            let (name, value) = match self.rng.u8(..12) {
                0..=1 if depth < 3 => ("$or".to_owned(), self.or(depth)),
                2..=4 if depth < 3 => {
                    let name = self.pick(&OBJECTS);
                    (name.to_owned(), self.fields(depth + 1, inside_or))
                }
                5 => (format!("{}.{}", self.pick(&OBJECTS), self.pick(&LEAVES[..3])), self.conditions()),
                6 if inside_or && self.one_in(8) => {
                    (self.pick(&["prefix", "=", "regex"]).to_owned(), self.conditions())
                }
                7 if self.one_in(10) => {
                    ("a".to_owned(), self.pick(&["\"a\"", "5", "null", "{}", "[]"]).to_owned())
                }
                _ => (self.pick(&LEAVES[..3]).to_owned(), self.conditions()),
            };
            if !used.contains(&name) {
                fields.push(format!("{}:{value}", json!(name)));
                used.push(name);
            }
        }
        format!("{{{}}}", fields.join(","))
    }

    fn or(&mut self, depth: usize) -> String {
        if self.one_in(12) {
            // An ordinary field.
            return self.conditions();
        }
        let count = if self.one_in(12) { 1 } else { self.rng.usize(2..=3) };
        let branches: Vec<_> = (0..count).map(|_| self.fields(depth + 1, true)).collect();
        format!("[{}]", branches.join(","))
    }

    fn conditions(&mut self) -> String {
        let count = self.rng.usize(1..=3);
        let conditions: Vec<_> = (0..count).map(|_| self.condition().to_string()).collect();
        format!("[{}]", conditions.join(","))
    }

    fn text(&mut self) -> Value {
        Value::String(self.pick(&TEXTS).to_owned())
    }

    /// Text, or now and then something that is not.
    fn operand(&mut self) -> Value {
        if self.one_in(150) { self.scalar_without_address() } else { self.text() }
    }

    fn scalar_without_address(&mut self) -> Value {
        match self.rng.u8(..4) {
            0 => self.number(),
            1 => Value::Null,
            2 => Value::Bool(self.rng.bool()),
            _ => self.text(),
        }
    }

    fn texts(&mut self) -> Value {
        let least = usize::from(!self.one_in(120));
        let count = self.rng.usize(least..=3 * least);
        (0..count).map(|_| self.operand()).collect()
    }

    fn condition(&mut self) -> Value {
        match self.rng.u8(..16) {
            0..=3 => self.scalar_without_address(),
            4 => json!({ "prefix": self.operand() }),
            5 => json!({ "suffix": self.operand() }),
            6 => json!({ "equals-ignore-case": self.operand() }),
            7 => {
                let affix = self.pick(&["prefix", "suffix"]);
                let inner = if self.one_in(60) { "wildcard" } else { "equals-ignore-case" };
                json!({ affix: { inner: self.operand() } })
            }
            8 => json!({ "wildcard": self.wildcard() }),
            9 => {
                json!({ "exists": if self.one_in(30) { self.number() } else { Value::Bool(self.rng.bool()) } })
            }
            10 => json!({ "cidr": self.cidr() }),
            11 => json!({ "numeric": self.numeric() }),
            12..=14 => json!({ "anything-but": self.anything_but() }),
            _ if self.one_in(20) => json!({ "begins-with": "a" }),
            _ if self.one_in(20) => json!([["a"]]),
            _ => json!({ "exactly": self.operand() }),
        }
    }

    fn cidr(&mut self) -> &'static str {
        if self.one_in(30) { self.pick(&CIDRS_WRONG) } else { self.pick(&CIDRS) }
    }

    fn wildcard(&mut self) -> &'static str {
        if self.one_in(30) { self.pick(&WILDCARDS_WRONG) } else { self.pick(&WILDCARDS) }
    }

    fn numeric(&mut self) -> Value {
        let operators = ["=", "<", "<=", ">", ">="];
        let mut terms = vec![json!(self.pick(&operators)), self.number()];
        if self.one_in(2) {
            terms = vec![
                json!(self.pick(&[">", ">="])),
                json!(-1),
                json!(self.pick(&["<", "<="])),
                self.number(),
            ];
        }
        match self.rng.u8(..20) {
            0 => terms.push(json!("<")),
            1 => terms.reverse(),
            2 => drop(terms.pop()),
            _ => {}
        }
        Value::Array(terms)
    }

    fn anything_but(&mut self) -> Value {
        match self.rng.u8(..7) {
            0 => self.operand(),
            1 => self.number(),
            2 => self.texts(),
            3 => (0..self.rng.usize(1..3)).map(|_| self.number()).collect(),
            4 => json!({ "wildcard": self.wildcard() }),
            _ => {
                let operator = self.pick(&["prefix", "suffix", "equals-ignore-case", "wildcard"]);
                let operand = match operator {
                    "wildcard" => json!([self.wildcard(), self.wildcard()]),
                    _ if self.rng.bool() => self.texts(),
                    _ => self.operand(),
                };
                json!({ operator: operand })
            }
        }
    }
}
