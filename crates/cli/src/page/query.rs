//! What a request asks for: a broadcast, a filter of its containers, a page of them. Pure.

use clap::ValueEnum as _;
use form_urlencoded::Serializer;
use notifier::model::{Cause, Delivery};
use wire::BroadcastId;

use super::overview::Overview;
use crate::args::Only;

/// Containers on one page.
pub(crate) const ROWS_MAX: usize = 100;
/// The most characters of a text to search for.
const TEXT_CHARS_MAX: usize = 200;

/// Fields of a query or a form, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of this name; empty without one.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The broadcast of the field `id`.
    pub(crate) fn broadcast(&self) -> Result<BroadcastId, String> {
        BroadcastId::try_from(self.get("id").to_owned()).map_err(|error| error.to_string())
    }

    /// The page of the field `page`, from 1.
    pub(crate) fn page(&self) -> usize {
        self.get("page").parse().unwrap_or(1).max(1)
    }
}

/// Which containers are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Only these outcomes; all if it is empty.
    pub(crate) outcomes: Vec<Only>,
    pub(crate) cause: Option<Cause>,
    /// Name of a service, as the page shows it; empty for all.
    pub(crate) service: String,
    /// Only tasks that started after discovery.
    pub(crate) late: bool,
    pub(crate) wave: Option<u16>,
    /// Part of a task, container, address, reason or recorded answer, in any case.
    pub(crate) text: String,
}

impl Filter {
    pub(crate) fn parse(fields: &Fields) -> Result<Self, String> {
        let outcomes = match fields.get("outcome") {
            "" => Vec::new(),
            word => vec![Only::from_str(word, false).map_err(|_| format!("`{word}` is not an outcome"))?],
        };
        let cause = match fields.get("cause") {
            "" => None,
            word => Some(Cause::of(word).ok_or_else(|| format!("`{word}` is not a cause"))?),
        };
        let late = match fields.get("late") {
            "" => false,
            "yes" => true,
            word => return Err(format!("`late` is `yes` or nothing, not `{word}`")),
        };
        let wave = match fields.get("wave") {
            "" => None,
            number => Some(number.parse().map_err(|_| format!("`{number}` is not the number of a wave"))?),
        };
        let text = fields.get("text").trim();
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("the text to search for has more than {TEXT_CHARS_MAX} characters"));
        }
        let (service, text) = (fields.get("service").to_owned(), text.to_lowercase());
        Ok(Self { outcomes, cause, service, late, wave, text })
    }

    /// The word of its only outcome; empty for all.
    pub(crate) fn outcome(&self) -> String {
        match self.outcomes.as_slice() {
            [one] => word(*one),
            _ => String::new(),
        }
    }

    /// The address of a page of `path` with this filter.
    pub(crate) fn link(&self, path: &str, id: &BroadcastId, page: usize) -> String {
        let mut query = Serializer::for_suffix(format!("{path}?"), path.len() + 1);
        query.append_pair("id", id.as_str());
        let outcome = self.outcome();
        let cause = self.cause.map_or("", Cause::as_str);
        let wave = self.wave.map_or_else(String::new, |wave| wave.to_string());
        let pairs = [
            ("outcome", outcome.as_str()),
            ("cause", cause),
            ("service", &self.service),
            ("late", if self.late { "yes" } else { "" }),
            ("wave", &wave),
            ("text", &self.text),
        ];
        query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        query.finish()
    }

    /// A test of one container, for a broadcast of these services.
    pub(crate) fn matcher<'a>(&'a self, overview: &'a Overview) -> impl Fn(&Delivery) -> bool + use<'a> {
        let service = overview.services.iter().find(|service| service.name == self.service);
        let is_any_service = self.service.is_empty();
        move |entry| {
            (self.outcomes.is_empty() || self.outcomes.iter().any(|only| only.wants(entry)))
                && (self.cause.is_none() || self.cause == entry.cause)
                && (is_any_service
                    || service.is_some_and(|service| service.key.is(entry.member.service_key())))
                && (!self.late || entry.late)
                && (self.wave.is_none() || self.wave == entry.wave)
                && self.has_text(entry)
        }
    }

    fn has_text(&self, entry: &Delivery) -> bool {
        let has = |text: &str| contains(text, &self.text);
        self.text.is_empty()
            || [&entry.member.task, &entry.member.container, &entry.member.service]
                .into_iter()
                .any(|text| has(text))
            || entry.reason.as_deref().is_some_and(has)
            || entry.answer.as_deref().is_some_and(has)
            || entry.address.is_some_and(|address| has(&address.to_string()))
    }
}

/// The word of an outcome in a query.
pub(crate) fn word(only: Only) -> String {
    only.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Whether the text has this lower-case part. ASCII, the usual case, is compared without a copy.
fn contains(text: &str, part: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(part);
    }
    let same = |window: &[u8]| window.eq_ignore_ascii_case(part.as_bytes());
    part.is_empty() || text.as_bytes().windows(part.len()).any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_back_as_the_same_filter() {
        let id = BroadcastId::try_from("a&b=c#d".to_owned()).unwrap();
        let query = "outcome=untold&cause=timed-out&service=prod%2Fweb+%26&late=yes&wave=2&text=10.0.&page=3";
        let filter = Filter::parse(&Fields::parse(query.as_bytes())).unwrap();
        let link = filter.link("broadcast", &id, 3);
        let fields = Fields::parse(link.strip_prefix("broadcast?").unwrap().as_bytes());
        assert_eq!(Filter::parse(&fields).unwrap(), filter);
        assert_eq!((fields.broadcast().unwrap(), fields.page()), (id, 3), "{link}");
    }

    #[test]
    fn words_that_are_no_filter_are_refused() {
        let refused = |query: &str| Filter::parse(&Fields::parse(query.as_bytes())).unwrap_err();
        assert_eq!(refused("outcome=lost"), "`lost` is not an outcome");
        assert_eq!(refused("cause=x"), "`x` is not a cause");
        assert_eq!(refused("late=no"), "`late` is `yes` or nothing, not `no`");
        assert_eq!(refused("wave=-1"), "`-1` is not the number of a wave");
        assert!(refused(&format!("text={}", "a".repeat(201))).contains("200 characters"));
        assert_eq!(Fields::parse(b"page=-1").page(), 1);
    }

    #[test]
    fn text_is_found_in_any_case() {
        for (text, part, found) in
            [("Answered 503", "answered", true), ("ÄRGER", "ärg", true), ("a", "ab", false), ("", "", true)]
        {
            assert_eq!(contains(text, part), found, "{text} {part}");
        }
    }
}
