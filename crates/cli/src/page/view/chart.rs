//! Charts as SVG. Every figure of a chart is also text beside it, so screen readers skip the drawing. Pure.

use notifier::report::Counts;

use super::html::{Html, put};
use super::{OUTCOMES, class};
use crate::page::overview::Bucket;

/// Width of a drawing in its own units.
const WIDTH: u64 = 1_000;

/// A bar of the outcomes.
pub(super) fn outcomes(html: &mut Html, counts: Counts) {
    html.raw("<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">");
    let total = counts.total();
    let mut before = 0;
    for outcome in OUTCOMES {
        let (from, to) = (share(before, total), share(before + counts.of(outcome), total));
        before += counts.of(outcome);
        if to > from {
            put!(html, "<rect class=\"" [class(outcome)] "\" x=\"" [from] "\" y=\"0\" width=\"" [to - from] "\" height=\"10\"></rect>");
        }
    }
    html.raw("</svg>");
}

/// A bar of this share.
pub(super) fn share_of(html: &mut Html, bucket: &Bucket, most: usize) {
    html.raw("<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">");
    let width = share(bucket.number, most);
    put!(html, "<rect class=\"latency\" x=\"0\" y=\"0\" width=\"" [width] "\" height=\"10\"></rect></svg>");
}

/// The place of a number on a bar; a number above zero is visible.
fn share(number: usize, total: usize) -> u64 {
    let (number, total) = (number as u64, total as u64);
    let place = (number * WIDTH).checked_div(total).unwrap_or_default();
    if number > 0 { place.max(1) } else { place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_a_part_for_each_outcome_that_occurred() {
        let mut html = Html::default();
        outcomes(&mut html, Counts { delivered: 3, failed: 1, ..Counts::default() });
        let svg = html.into_string();
        assert!(svg.contains("<rect class=\"delivered\" x=\"0\" y=\"0\" width=\"750\""), "{svg}");
        assert!(svg.contains("<rect class=\"failed\" x=\"750\" y=\"0\" width=\"250\""), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
        let mut empty = Html::default();
        outcomes(&mut empty, Counts::default());
        assert!(!empty.into_string().contains("<rect"));
    }
}
