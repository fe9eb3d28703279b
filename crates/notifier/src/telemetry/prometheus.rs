//! The text format of Prometheus, version 0.0.4. Pure.
//!
//! Written by hand: `prometheus-client` writes only OpenMetrics, whose counters `promtool check metrics` and older servers do
//! not recognise.
//!
//! Source: Prometheus documentation, "Exposition formats".

use std::fmt::{self, Display, Write as _};

use super::histogram::Histogram;

/// The media type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Characters of a label's value that are kept: names of ECS have at most 255, ARNs a little more.
const VALUE_CHARS_MAX: usize = 512;

/// Labels with their values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text of some metrics.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

impl Text {
    /// Begins a metric: its samples follow. `help` is plain text on one line.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// One sample.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            text.chars().take(VALUE_CHARS_MAX).for_each(|c| self.escaped(c));
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    /// A whole histogram without labels.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.metric(name, Kind::Histogram, help);
        for (limit, count) in histogram.buckets() {
            let limit = if limit.is_finite() { limit.to_string() } else { "+Inf".to_owned() };
            self.line(format_args!("{name}_bucket{{le=\"{limit}\"}} {count}"));
        }
        self.line(format_args!("{name}_sum {}\n{name}_count {}", histogram.sum(), histogram.count()));
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        // A string accepts every text.
        let _ = writeln!(self.0, "{text}");
    }

    fn escaped(&mut self, c: char) {
        match c {
            '\\' => self.0.push_str("\\\\"),
            '"' => self.0.push_str("\\\""),
            '\n' => self.0.push_str("\\n"),
            // Parsers differ in what else ends a line, and a person reads this too.
            c if c.is_control() => self.0.push('\u{fffd}'),
            c => self.0.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_a_help_line_a_type_line_and_its_samples() {
        let mut text = Text::default();
        text.metric("a_total", Kind::Counter, "Things");
        text.sample("a_total", &[], 1);
        text.sample("a_total", &[("x", "a\"b\\c\nd\re"), ("y", "é")], 2.5);
        assert_eq!(
            text.into_string(),
            "# HELP a_total Things\n# TYPE a_total counter\na_total 1\na_total{x=\"a\\\"b\\\\c\\nd\u{fffd}e\",y=\"é\"} 2.5\n"
        );
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_at_infinity() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        for seconds in [1, 3] {
            histogram.add(std::time::Duration::from_secs(seconds));
        }
        let mut text = Text::default();
        text.histogram("a_seconds", "Waits", &histogram);
        assert_eq!(
            text.into_string(),
            "# HELP a_seconds Waits\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"0.5\"} 0\na_seconds_bucket{le=\"2\"} 1\n\
             a_seconds_bucket{le=\"+Inf\"} 2\na_seconds_sum 4\na_seconds_count 2\n"
        );
    }
}
