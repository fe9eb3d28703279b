//! Reading a query-protocol request: a form body whose lists are numbered, `Filter.1.Value.2=…`.

use std::collections::BTreeMap;

use serde_json::Value;

/// The parameters of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    parameters: BTreeMap<String, String>,
}

impl Form {
    /// Reads a body of type `application/x-www-form-urlencoded`.
    pub(crate) fn read(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self { parameters: pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The values of `NAME.1`, `NAME.2`… in the order of their numbers, which may have gaps.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let numbered = self.iter().filter_map(|(found, value)| {
            let number = found.strip_prefix(name)?.strip_prefix('.')?;
            Some((number.parse::<u32>().ok()?, value))
        });
        let ordered: BTreeMap<u32, &str> = numbered.collect();
        ordered.into_values().collect()
    }

    /// The numbers `N` of parameters that start with `NAME.N.`.
    pub(super) fn numbers(&self, name: &str) -> Vec<u32> {
        let numbers = self.iter().filter_map(|(found, _)| {
            let (number, _) = found.strip_prefix(name)?.strip_prefix('.')?.split_once('.')?;
            number.parse().ok()
        });
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Whether it has neither a filter nor a page size: EC2 limits such calls more.
    pub(crate) fn asks_for_everything(&self) -> bool {
        let narrows = |name: &str| matches!(name, "MaxResults" | "NextToken") || name.starts_with("Filter.");
        !self.parameters.keys().any(|name| narrows(name))
    }

    /// The parameters for the call log, without action and version.
    pub(crate) fn to_json(&self) -> Value {
        let members = self.iter().filter(|(name, _)| !matches!(*name, "Action" | "Version"));
        members.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_the_order_of_their_numbers() {
        let form =
            Form::read(b"Id.10=c&Id.2=b&Id.1=a&Id.x=no&Identity.1=no&Filter.2.Name=n&Filter.2.Value.1=v%20w");
        assert_eq!(form.list("Id"), ["a", "b", "c"]);
        assert_eq!(form.numbers("Filter"), [2]);
        assert_eq!(form.list("Filter.2.Value"), ["v w"]);
        assert!(form.list("Nothing").is_empty());
    }
}
