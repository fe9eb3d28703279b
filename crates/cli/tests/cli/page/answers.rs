//! Recorded answers to a question.

use notifier::ledger::BroadcastRecord;
use notifier::model::{Delivery, Outcome};
use serde_json::{Value, json};
use wire::Draft;
use wire::event::{Extension, QUESTION};

use super::setup::{Filled, delivery, id, record};
use super::{HOSTILE, rows};

/// The record of a question.
fn question(name: &str) -> BroadcastRecord {
    let record = record(name);
    let mut draft = Draft::from(record.event.clone());
    draft.extensions.insert(QUESTION.to_owned(), Extension::Boolean(true));
    let event = draft.complete(&id(name), notifier::base::Clock::system().now()).unwrap();
    BroadcastRecord { event, ..record }
}

/// A question with these recorded answers, one container each.
fn answered(filled: &Filled, answers: &[Option<&str>]) {
    let expected: Vec<_> = (0..).zip(answers).map(|(number, _)| delivery("web", number, None)).collect();
    filled.recorded(question("b-1"), &expected);
    for (number, answer) in (0..).zip(answers) {
        let answer = answer.map(str::to_owned);
        filled.settle("b-1", Delivery { answer, ..delivery("web", number, Some(Outcome::Delivered)) });
    }
}

#[test]
fn kept_answers_are_grouped_and_shown_as_text() {
    let filled = Filled::new();
    let hostile = serde_json::to_string(HOSTILE).unwrap();
    answered(&filled, &[Some("\"v42\""), Some("\"v42\""), Some(&hostile), None]);
    let page = filled.page("");
    let body = page.body("/broadcast?id=b-1");
    for text in [
        "<caption>2 distinct answers of 3 containers, the most frequent first; 1 more answer is not recorded</caption>",
        "<th scope=\"row\" class=\"id answer\">&quot;v42&quot;</th><td class=\"number\">2</td><td>web 2</td>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "\\u202e\\u2066\\u001b[2J\\u009b",
        "<th scope=\"col\">Reason or answer</th>",
        "<td class=\"reason\"><span class=\"id\">&quot;v42&quot;</span></td>",
    ] {
        assert!(body.contains(text), "{text}: {body}");
    }
    assert!(!body.contains("<img") && !body.contains('\u{202e}'), "{body}");
    assert_eq!(rows(&page.body("/broadcast?id=b-1&text=v42")), 2, "answers are found by their text");

    let report = filled.run("report b-1").run();
    let words = report.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("3 of 4 answers recorded, 2 distinct 2 \"v42\" web 2 1 "), "{report}");
    assert!(!report.stdout.contains(['\u{202e}', '\u{1b}', '\u{9b}']), "{report}");
    let report = filled.run("report b-1 --format json").run();
    assert!(!report.stdout.contains(['\u{202e}', '\u{1b}', '\u{9b}']), "{report}");
    assert_eq!(page.body("/broadcast.json?id=b-1"), report.stdout);
    let mut lines: Vec<Value> =
        report.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap()["summary"].clone();
    assert_eq!(summary["answers"][0], json!({ "value": "v42", "count": 2, "by": { "web": 2 } }));
    assert_eq!(
        ["distinct", "answered", "kept"].map(|name| summary[name].as_u64()),
        [Some(2), Some(4), Some(3)],
        "{summary}"
    );
    let answers: Vec<_> = lines.iter().map(|line| line.get("answer")).collect();
    assert_eq!(answers, [Some(&json!("v42")), Some(&json!("v42")), Some(&json!(HOSTILE)), None]);
    let csv = filled.run("report b-1 --format csv").run();
    assert!(csv.code == 0 && !csv.stdout.contains("v42"), "{csv}");
    let history = filled.run("history").run();
    assert!(history.stdout.contains("4 of 4 notified, 2 distinct answers"), "{history}");
    let history = filled.run("history --format json").run();
    assert!(history.stdout.contains("\"distinct\":2"), "{history}");
}

#[test]
fn a_question_without_recorded_answers_says_so_and_a_broadcast_has_no_answers() {
    let filled = Filled::new();
    answered(&filled, &[None]);
    filled.broadcast("b-2", &[delivery("web", 1, Some(Outcome::Delivered))]);
    let page = filled.page("");
    assert!(page.body("/broadcast?id=b-1").contains("<p>No answer is recorded. Long answers never are.</p>"));
    assert!(!page.body("/broadcast?id=b-2").contains("Answers"));
}

#[test]
fn many_distinct_answers_are_cut() {
    let filled = Filled::new();
    let answers: Vec<String> = (0..120).map(|number| number.to_string()).collect();
    answered(&filled, &answers.iter().map(|answer| Some(answer.as_str())).collect::<Vec<_>>());
    let body = filled.page("").body("/broadcast?id=b-1");
    assert_eq!(body.matches("class=\"id answer\"").count(), 50);
    assert!(body.contains("<p>Other answers of 70 containers are in the table of containers.</p>"), "{body}");
}
