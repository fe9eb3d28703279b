use std::sync::Arc;

use super::*;
use crate::model::{Cause, Member};

fn delivery(number: usize, outcome: Option<Outcome>) -> Delivery {
    let task = format!("arn:aws:ecs:eu-west-1:111122223333:task/prod/{number:04}");
    let service = if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned();
    let member = Arc::new(Member { service, container: "app".to_owned(), ..Member::of_task("prod", &task) });
    let latency = Some(Duration::from_millis(number as u64));
    Delivery { member, outcome, latency, attempts: Some(1), ..Delivery::default() }
}

fn answers(query: Query, bodies: &[&str]) -> Answers {
    let mut answers = Answers::new(query);
    for (number, body) in bodies.iter().enumerate() {
        let value = answers.query.value(body, false);
        answers.answered(&delivery(number, Some(Outcome::Delivered)), value);
    }
    answers
}

fn expecting(json: &str) -> Query {
    Query { expected: AnswerValue::from_json(json), ..Query::default() }
}

#[test]
fn a_quorum_counts_the_answers_that_agree() {
    let bodies = ["v42", "\"v42\"", "v42\n", "v41"];
    let (of_any, of_expected) = (answers(Query::default(), &bodies), answers(expecting("\"v41\""), &bodies));
    assert_eq!((of_any.agreed(), of_expected.agreed()), (3, 1));
    assert!(of_any.is_agreed(75.0) && !of_any.is_agreed(75.1));
    assert!(of_expected.is_agreed(25.0) && !of_expected.is_agreed(100.0));
    assert!(!answers(Query::default(), &[]).is_agreed(1.0), "no answers do not agree");
}

#[test]
fn who_did_not_answer_is_listed_with_the_reason() {
    let mut answers = answers(Query::default(), &["1"]);
    let silent = |outcome, reason: &str| Delivery {
        reason: Some(reason.to_owned()),
        cause: Some(Cause::TimedOut),
        ..delivery(7, outcome)
    };
    for (outcome, reason) in [
        (Some(Outcome::Rejected), "answered 403"),
        (Some(Outcome::Failed), "no answer"),
        (Some(Outcome::Gone), "stopped"),
        (Some(Outcome::Skipped), "label"),
        (None, "interrupted"),
    ] {
        answers.unanswered(silent(outcome, reason));
    }
    let reasons = |others: Vec<&Delivery>| {
        others.into_iter().filter_map(|other| other.reason.clone()).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(reasons(answers.said_no()), "answered 403");
    assert_eq!(reasons(answers.silent()), "no answer, stopped, label, interrupted");
    assert_eq!((answers.asked(), answers.counts().total()), (5, 6));
}

#[test]
fn the_summary_has_the_groups_with_their_counts_and_the_tasks_of_outliers() {
    let pick = Some("/version".parse().unwrap());
    let query = Query { pick, with_numbers: true, ..Query::default() };
    let answers = answers(query, &[r#"{"version":2}"#, r#"{"version":2.0}"#, "text", r#"{"version":null}"#]);
    let id = "q-1".to_owned().try_into().unwrap();
    let json = serde_json::to_string(&answers.summary(&id, true, Some(3))).unwrap();
    let task = "arn:aws:ecs:eu-west-1:111122223333:task/prod";
    assert_eq!(
        json,
        format!(
            r#"{{"broadcast":"q-1","total":4,"delivered":4,"rejected":0,"failed":0,"gone":0,"skipped":0,"pending":0,"latency_ms":{{"p50":1.0,"p99":3.0,"max":3.0}},"attempts":{{"p50":1,"p99":1,"max":1}},"answers":[{{"value":2,"count":2,"by":{{"even":1,"odd":1}}}},{{"value":null,"count":1,"by":{{"even":1}},"missing":true,"tasks":["{task}/0002"]}},{{"value":null,"count":1,"by":{{"odd":1}},"tasks":["{task}/0003"]}}],"distinct":3,"asked":4,"answered":4,"agreed":2,"numbers":{{"count":2,"min":2.0,"p50":2.0,"p99":2.0,"max":2.0,"buckets":[{{"from":2.0,"to":2.0,"count":2}}]}},"rounds":3}}"#
        )
    );
}

#[test]
fn a_line_has_the_answer_as_json_or_as_text() {
    let delivery = delivery(1, Some(Outcome::Delivered));
    let id = "q-1".to_owned().try_into().unwrap();
    let value = AnswerValue::of("{\"b\":\"\u{202e}\",\"a\":1.0}", false, None);
    let line = |as_text| {
        let line = AnswerLine::of(&delivery, &id, Some(Measured { value: &value, bytes: 20 }), as_text);
        let json = serde_json::to_string(&line).unwrap();
        json.split_once(r#","answer":"#).unwrap().1.to_owned()
    };
    assert_eq!(line(false), r#"{"a":1,"b":"\u202e"},"answer_bytes":20,"truncated":false,"zone":null}"#);
    assert_eq!(
        line(true),
        r#""{\"a\":1,\"b\":\"\\u202e\"}","answer_bytes":20,"truncated":false,"zone":null}"#
    );
    let silent = AnswerLine::of(&delivery, &id, None, false);
    let json = serde_json::to_string(&silent).unwrap();
    assert!(json.ends_with(r#""answer":null,"answer_bytes":null,"truncated":null,"zone":null}"#), "{json}");
}
