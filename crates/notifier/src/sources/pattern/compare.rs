//! The values of operators: numbers, texts without regard to case, wildcards, addresses.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde_json::Number;

use super::work;

/// The number as a double, if the double has exactly its value.
///
/// Source: event-ruler, `ComparableNumber`: others have no order.
pub(super) fn exact_double(number: &Number) -> Option<f64> {
    let double = number.as_f64()?;
    match integer(number) {
        Some(whole) => (whole_of(double) == Some(whole)).then_some(double),
        None => Some(double),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// The double as an integer, if it is one of up to 100 bits.
fn whole_of(double: f64) -> Option<i128> {
    let is_whole = double.fract() == 0.0 && double.abs() < 1e30;
    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the range")]
    is_whole.then_some(double as i128)
}

pub(super) fn is_equal(a: &Number, b: &Number) -> bool {
    let whole = |number: &Number| integer(number).or_else(|| number.as_f64().and_then(whole_of));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.as_f64() == b.as_f64(),
        _ => false,
    }
}

/// A range of numbers: each limit with whether it belongs to the range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Range {
    bottom: Option<(f64, bool)>,
    top: Option<(f64, bool)>,
}

impl Range {
    /// The range of one operator and its number.
    pub(super) fn of(operator: &str, number: f64) -> Self {
        match operator {
            "<" => Self { bottom: None, top: Some((number, false)) },
            "<=" => Self { bottom: None, top: Some((number, true)) },
            ">" => Self { bottom: Some((number, false)), top: None },
            ">=" => Self { bottom: Some((number, true)), top: None },
            _ => Self { bottom: Some((number, true)), top: Some((number, true)) },
        }
    }

    /// This range with the upper limit of another one.
    pub(super) fn up_to(self, other: Self) -> Self {
        Self { top: other.top, ..self }
    }

    pub(super) fn contains(&self, number: &Number) -> bool {
        let Some(value) = exact_double(number) else { return false };
        let above = |(limit, belongs): (f64, bool)| if belongs { value >= limit } else { value > limit };
        let below = |(limit, belongs): (f64, bool)| if belongs { value <= limit } else { value < limit };
        self.bottom.is_none_or(above) && self.top.is_none_or(below)
    }
}

/// Text that is compared without regard to case: at each place, the lower or the upper case of the character.
///
/// The case of a character may have several characters: `ß` accepts `ß` and `SS`. So this is not the comparison of two
/// lower-case texts. Source: event-ruler, `EqualsIgnoreCaseParser`.
#[derive(Clone, Debug)]
pub(super) struct IgnoreCase(Vec<(String, String)>);

impl IgnoreCase {
    pub(super) fn new(text: &str) -> Self {
        let cases = |c: char| (c.to_lowercase().collect(), c.to_uppercase().collect());
        Self(text.chars().map(cases).collect())
    }

    /// The rest of `text` after this text; `None` if `text` does not begin with it.
    ///
    /// Of the two cases of a character, neither begins or ends with the other unless they are equal, so the first one that
    /// fits is the only one.
    pub(super) fn rest_after<'a>(&self, text: &'a str) -> Option<&'a str> {
        let next = |rest: &'a str, (lower, upper): &(String, String)| {
            rest.strip_prefix(lower.as_str()).or_else(|| rest.strip_prefix(upper.as_str()))
        };
        self.0.iter().try_fold(text, next)
    }

    pub(super) fn is_suffix_of(&self, text: &str) -> bool {
        let next = |rest: &'_ str, (lower, upper): &(String, String)| -> Option<usize> {
            rest.strip_suffix(lower.as_str()).or_else(|| rest.strip_suffix(upper.as_str())).map(str::len)
        };
        let mut rest = text;
        for cases in self.0.iter().rev() {
            let Some(left) = next(rest, cases).and_then(|length| rest.get(..length)) else { return false };
            rest = left;
        }
        true
    }
}

/// Text with `*` for any characters.
#[derive(Clone, Debug)]
pub(super) struct Wildcard {
    /// The texts between the `*`, without escapes; one more than there are `*`.
    texts: Vec<String>,
}

impl Wildcard {
    /// `\*` is an asterisk, `\\` a backslash; `**` is not allowed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut texts, mut present) = (Vec::new(), String::new());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.peek() == Some(&'*') => {
                    return Err("`wildcard` cannot contain `**`".to_owned());
                }
                '*' => texts.push(std::mem::take(&mut present)),
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '\\')) => present.push(escaped),
                    _ => {
                        return Err(
                            "a backslash of `wildcard` must stand before `*` or a backslash".to_owned()
                        );
                    }
                },
                other => present.push(other),
            }
        }
        texts.push(present);
        Ok(Self { texts })
    }

    /// Linear in the length of `text`: each text is searched after the one before, and the first place is as good as any.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (Some((first, others)), Some(last)) = (self.texts.split_first(), self.texts.last()) else {
            return false;
        };
        let Some((_, middle)) = others.split_last() else { return text == first };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        for part in middle {
            // Each search begins where the one before ended.
            let Some((_, after)) = rest.split_once(part.as_str()) else {
                work::add(rest.len());
                return false;
            };
            work::add(rest.len() - after.len());
            rest = after;
        }
        true
    }
}

/// Reads an IP address as EventBridge does: four decimal numbers, also with leading zeros, or an IPv6 address without a
/// zone and without a dotted part.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let is_v6 = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    // The longest text of either: with leading zeros, an IPv4 address may be longer, and is then no address here.
    if text.len() > 64 {
        return None;
    }
    if text.contains(':') && text.bytes().all(is_v6) {
        return text.parse().ok().map(IpAddr::V6);
    }
    let mut parts = text.split('.').map(|part| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<u8>().ok()).flatten()
    });
    let mut next = || parts.next().flatten();
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    parts.next().is_none().then_some(IpAddr::V4(address))
}

/// Reads a network; bits after its mask do not count.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let (start, mask) = text.split_once('/').ok_or("`cidr` takes an address, `/` and a number of bits")?;
    let digits = mask.strip_prefix(['+', '-']).unwrap_or(mask);
    let bits: i32 = match mask.parse() {
        Ok(bits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => bits,
        _ => return Err("the part of `cidr` after `/` must be a number".to_owned()),
    };
    let address = address(start).ok_or("`cidr` does not begin with an IP address")?;
    let most = if address.is_ipv4() { 31 } else { 127 };
    let bits = u8::try_from(bits).ok().filter(|bits| *bits <= most);
    let network = bits.and_then(|bits| IpNet::new(address, bits).ok());
    Ok(network.ok_or_else(|| format!("the bits of `cidr` must be from 0 to {most}"))?.trunc())
}
