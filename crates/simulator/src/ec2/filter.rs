//! Filters: all of them must pass, each by one of its values.

use crate::error::AwsError;
use crate::world::Host;

use super::form::Form;

/// The most values in all filters of one request together.
const VALUES_MAX: usize = 200;

/// One filter of a request.
pub(super) struct Filter<'a> {
    kind: Kind,
    values: Vec<&'a str>,
}

#[derive(Clone, Copy)]
enum Kind {
    InstanceId,
    PrivateAddress,
    Ipv6Address,
    State,
    Zone,
}

impl<'a> Filter<'a> {
    /// The filters of a request.
    pub(super) fn all(form: &'a Form) -> Result<Vec<Self>, AwsError> {
        let mut filters = Vec::new();
        let mut count = 0;
        for number in form.numbers("Filter") {
            let name = form.get(&format!("Filter.{number}.Name")).unwrap_or_default();
            let values = form.list(&format!("Filter.{number}.Value"));
            count += values.len();
            if count > VALUES_MAX {
                let message =
                    format!("The maximum number of filter values specified on a single call is {VALUES_MAX}");
                return Err(AwsError::client("FilterLimitExceeded", message));
            }
            filters.push(Self { kind: Kind::named(name)?, values });
        }
        Ok(filters)
    }

    pub(super) fn passes(&self, host: &Host) -> bool {
        let actual = match self.kind {
            Kind::InstanceId => vec![host.instance.clone()],
            Kind::PrivateAddress => host.ips.v4.iter().map(ToString::to_string).collect(),
            Kind::Ipv6Address => host.ips.v6.iter().map(ToString::to_string).collect(),
            Kind::State => vec!["running".to_owned()],
            Kind::Zone => vec![host.zone.clone()],
        };
        self.values
            .iter()
            .any(|value| actual.iter().any(|actual| matches(value.as_bytes(), actual.as_bytes())))
    }
}

impl Kind {
    fn named(name: &str) -> Result<Self, AwsError> {
        Ok(match name {
            "instance-id" => Self::InstanceId,
            "private-ip-address"
            | "network-interface.addresses.private-ip-address"
            | "network-interface.private-ip-address" => Self::PrivateAddress,
            "ipv6-address" | "network-interface.ipv6-addresses.ipv6-address" => Self::Ipv6Address,
            "instance-state-name" => Self::State,
            "availability-zone" => Self::Zone,
            _ => {
                return Err(AwsError::client(
                    "InvalidParameterValue",
                    format!("The filter '{name}' is invalid"),
                ));
            }
        })
    }
}

/// Whether a value matches a pattern in which `*` stands for anything and `?` for one character.
fn matches(pattern: &[u8], value: &[u8]) -> bool {
    match (pattern.split_first(), value.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => matches(rest, value),
        (Some((b'*', rest)), Some((_, after))) => matches(rest, value) || matches(pattern, after),
        (Some((b'?', rest)), Some((_, after))) => matches(rest, after),
        (Some((wanted, rest)), Some((found, after))) => wanted == found && matches(rest, after),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_have_wildcards() {
        let check = |pattern: &str, value: &str, hit| {
            assert_eq!(matches(pattern.as_bytes(), value.as_bytes()), hit, "{pattern} {value}");
        };
        check("10.0.1.4", "10.0.1.4", true);
        check("10.0.1.4", "10.0.1.40", false);
        check("10.0.*", "10.0.1.4", true);
        check("10.0.1.?", "10.0.1.4", true);
        check("10.0.1.?", "10.0.1.40", false);
        check("*", "", true);
        check("", "a", false);
    }
}
