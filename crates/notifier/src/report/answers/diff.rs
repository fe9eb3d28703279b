//! The difference between two answers, line by line. Pure.

/// Lines around a change that are shown with it.
const CONTEXT: usize = 2;
/// Comparisons of two lines. Larger texts are shown as removed and added as a whole.
const COMPARISONS_MAX: usize = 1_000_000;

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    /// In both.
    Same(String),
    /// Only in the first.
    Removed(String),
    /// Only in the second.
    Added(String),
    /// A number of lines that are in both and far from any change.
    Skipped(usize),
}

/// The difference between two values in canonical JSON.
pub fn diff(from: &str, to: &str) -> Vec<DiffLine> {
    let (from, to) = (lines(from), lines(to));
    shortened(compare(&from, &to))
}

/// Canonical JSON with one member or element a line.
fn lines(json: &str) -> Vec<String> {
    let (mut out, mut depth, mut in_string, mut is_escaped) = (String::new(), 0_usize, false, false);
    let mut before = ' ';
    for c in json.chars() {
        let new_line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        };
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            out.push(c);
        } else {
            if matches!(c, '}' | ']') {
                depth = depth.saturating_sub(1);
            }
            let is_empty = matches!((before, c), ('{', '}') | ('[', ']'));
            if before == ','
                || matches!(before, '{' | '[') && !is_empty
                || matches!(c, '}' | ']') && !is_empty
            {
                new_line(&mut out, depth);
            }
            out.push(c);
            match c {
                '{' | '[' => depth += 1,
                '"' => in_string = true,
                ':' => out.push(' '),
                _ => {}
            }
        }
        before = if in_string { ' ' } else { c };
    }
    out.lines().map(str::to_owned).collect()
}

/// A longest common subsequence, by dynamic programming over what is left after the common start and end.
fn compare(from: &[String], to: &[String]) -> Vec<DiffLine> {
    let start = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let (from_rest, to_rest) = (from.get(start..).unwrap_or_default(), to.get(start..).unwrap_or_default());
    let end = from_rest.iter().rev().zip(to_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (from_middle, from_end) = from_rest.split_at(from_rest.len() - end);
    let (to_middle, _) = to_rest.split_at(to_rest.len() - end);
    let mut out: Vec<_> = from.iter().take(start).cloned().map(DiffLine::Same).collect();
    if from_middle.len().saturating_mul(to_middle.len()) > COMPARISONS_MAX {
        out.extend(from_middle.iter().cloned().map(DiffLine::Removed));
        out.extend(to_middle.iter().cloned().map(DiffLine::Added));
    } else {
        out.extend(middle(from_middle, to_middle));
    }
    out.extend(from_end.iter().cloned().map(DiffLine::Same));
    out
}

fn middle(from: &[String], to: &[String]) -> Vec<DiffLine> {
    let width = to.len() + 1;
    // The longest common subsequence of what follows line `i` of the first and line `j` of the second.
    let mut longest = vec![0_u32; width * (from.len() + 1)];
    let at = |table: &[u32], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or_default();
    for (i, a) in from.iter().enumerate().rev() {
        for (j, b) in to.iter().enumerate().rev() {
            let length = if a == b {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(cell) = longest.get_mut(i * width + j) {
                *cell = length;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (from.get(i), to.get(j)) {
            (Some(a), Some(b)) if a == b => {
                out.push(DiffLine::Same(a.clone()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                out.push(DiffLine::Removed(a.clone()));
                i += 1;
            }
            (_, Some(b)) => {
                out.push(DiffLine::Added(b.clone()));
                j += 1;
            }
            _ => return out,
        }
    }
}

/// The same without lines that are far from any change.
fn shortened(lines: Vec<DiffLine>) -> Vec<DiffLine> {
    let changes: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter_map(|(place, line)| (!matches!(line, DiffLine::Same(_))).then_some(place))
        .collect();
    let is_near = |place: usize| {
        let next = changes.partition_point(|change| *change < place);
        let near = |at: Option<&usize>| at.is_some_and(|change| change.abs_diff(place) <= CONTEXT);
        near(changes.get(next)) || next.checked_sub(1).is_some_and(|last| near(changes.get(last)))
    };
    let mut out = Vec::new();
    for (place, line) in lines.into_iter().enumerate() {
        match out.last_mut() {
            _ if is_near(place) => out.push(line),
            Some(DiffLine::Skipped(count)) => *count += 1,
            _ => out.push(DiffLine::Skipped(1)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(from: &str, to: &str) -> String {
        let lines = diff(from, to).into_iter().map(|line| match line {
            DiffLine::Same(text) => format!("  {text}\n"),
            DiffLine::Removed(text) => format!("- {text}\n"),
            DiffLine::Added(text) => format!("+ {text}\n"),
            DiffLine::Skipped(count) => format!("… {count}\n"),
        });
        lines.collect()
    }

    #[test]
    fn a_difference_shows_the_changed_lines_and_their_neighbours() {
        insta::assert_snapshot!(shown(
            r#"{"a":1,"b":{"c":[],"d":"x,{y"},"e":[1,2,3],"f":{}}"#,
            r#"{"a":1,"b":{"c":[],"d":"x,{z"},"e":[1,2,3],"f":{}}"#,
        ), @r#"
        … 2
            "b": {
              "c": [],
        -     "d": "x,{y"
        +     "d": "x,{z"
            },
            "e": [
        … 6
        "#);
        assert_eq!(shown("\"v41\"", "\"v42\""), "- \"v41\"\n+ \"v42\"\n");
        assert_eq!(shown("[1,2]", "[1,2]"), "… 4\n");
        assert_eq!(shown("[1,2]", "[2,3]"), "  [\n-   1,\n-   2\n+   2,\n+   3\n  ]\n");
    }

    #[test]
    fn large_texts_are_compared_as_a_whole() {
        let list = |step: usize| {
            format!("[{}]", (0..1_500).map(|n| (n * step).to_string()).collect::<Vec<_>>().join(","))
        };
        let lines = diff(&list(2), &list(3));
        assert!(lines.iter().filter(|line| matches!(line, DiffLine::Removed(_))).count() >= 1_499);
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_the_comparison(
            from in prop::collection::vec("[a-c]", 0..12), to in prop::collection::vec("[a-c]", 0..12),
        ) {
            let lines = compare(&from, &to);
            let side = |other: fn(&DiffLine) -> bool| -> Vec<String> {
                let lines = lines.iter().filter(|line| !other(line));
                lines.map(|line| match line {
                    DiffLine::Same(text) | DiffLine::Removed(text) | DiffLine::Added(text) => text.clone(),
                    DiffLine::Skipped(_) => unreachable!("nothing is skipped here"),
                }).collect()
            };
            prop_assert_eq!(side(|line| matches!(line, DiffLine::Added(_))), from);
            prop_assert_eq!(side(|line| matches!(line, DiffLine::Removed(_))), to);
        }
    }
}
