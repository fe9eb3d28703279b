//! Samples of AWS's documents, read by us and by the crate `aws_lambda_events`: the same buckets, keys, tables and ids.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use aws_lambda_events::event::{dynamodb, eventbridge, s3, sns};
use notifier::base::text::chain;
use notifier::sources::{Content, Record, Routes, SourceKind, read};
use serde::de::DeserializeOwned;
use serde_json::Value;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name, ".json"))
    };
}

fn records(body: &str) -> Vec<Record> {
    match read(body) {
        Ok(Content::Records(records)) => {
            records.into_iter().map(|one| one.unwrap_or_else(|bad| panic!("{}", chain(&bad.error)))).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn theirs<T: DeserializeOwned>(body: &str) -> T {
    serde_json::from_str(body).unwrap()
}

fn text<'a>(record: &'a Record, pointer: &str) -> Option<&'a str> {
    record.event().pointer(pointer).and_then(Value::as_str)
}

#[test]
fn s3_records_name_the_same_objects() {
    let without_decoded = fixture!("example-s3-event");
    for body in [without_decoded, fixture!("example-s3-event-with-decoded"), fixture!("aws-s3-versions")] {
        let (ours, theirs) = (records(body), theirs::<s3::S3Event>(body).records);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(text(ours, "/detail/bucket/name"), theirs.s3.bucket.name.as_deref());
            assert_eq!(text(ours, "/resources/0"), theirs.s3.bucket.arn.as_deref());
            assert_eq!(text(ours, "/detail/object/version-id"), theirs.s3.object.version_id.as_deref());
            assert_eq!(text(ours, "/region"), theirs.aws_region.as_deref());
            let name = format!("com.amazonaws.s3.{}", theirs.event_name.as_deref().unwrap());
            assert_eq!(ours.event_type(), name);
            assert_eq!(ours.at(), theirs.event_time.timestamp_nanos_opt().unwrap());
            let key = theirs.s3.object.key.as_deref().unwrap();
            assert_eq!(ours.raw_value().pointer("/s3/object/key").and_then(Value::as_str), Some(key));
            if let Some(decoded) = &theirs.s3.object.url_decoded_key {
                assert_eq!(text(ours, "/detail/object/key"), Some(decoded.as_str()));
            }
        }
    }
}

#[test]
fn what_each_version_of_s3_adds_is_in_the_event() {
    let records = records(fixture!("aws-s3-versions"));
    let found: Vec<_> = records.iter().map(|record| text(record, "/detail-type").unwrap()).collect();
    assert_eq!(
        found,
        [
            "Object Created",
            "Object Restore Completed",
            "Replication:OperationFailedReplication",
            "Object Storage Class Changed",
            "Object Access Tier Changed",
            "Object Deleted",
            "Object Deleted"
        ]
    );
    assert_eq!(text(&records[1], "/detail/restore-expiry-time"), Some("2026-12-01T00:00:00.000Z"));
    assert_eq!(text(&records[3], "/detail/destination-storage-class"), Some("GLACIER"));
    assert_eq!(text(&records[4], "/detail/destination-access-tier"), Some("DEEP_ARCHIVE_ACCESS"));
    assert_eq!(text(&records[5], "/detail/deletion-type"), Some("Delete Marker Created"));
    assert_eq!(text(&records[6], "/detail/object/key"), Some("my-folder/red flower.jpg"));
    assert!(records[6].raw().get().contains("laterMember"));
    assert!(matches!(read(fixture!("aws-s3-test-event")), Ok(Content::Test)));
}

#[test]
fn dynamodb_records_name_the_same_items() {
    for body in [fixture!("example-dynamodb-event"), fixture!("example-dynamodb-event-null-items")] {
        let (ours, theirs) = (records(body), theirs::<dynamodb::Event>(body).records);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.id(), theirs.event_id);
            assert_eq!(ours.event_type(), format!("com.amazonaws.dynamodb.{}", theirs.event_name));
            let stream = theirs.event_source_arn.as_deref().unwrap();
            assert_eq!(Some(ours.event_source()), stream.split("/stream/").next());
            let sequence = theirs.change.sequence_number.as_deref();
            assert_eq!(text(ours, "/detail/dynamodb/SequenceNumber"), sequence);
            if ours.time().is_some() {
                let time = theirs.change.approximate_creation_date_time.timestamp_nanos_opt();
                assert_eq!(Some(ours.at()), time);
            }
            let keys = ours.subject().map_or(0, |keys| keys.split(',').count());
            assert_eq!(keys, theirs.change.keys.len());
        }
    }
    let kinesis = fixture!("example-dynamodb-event-record-with-optional-fields");
    let (ours, theirs) = (records(kinesis).remove(0), theirs::<dynamodb::EventRecord>(kinesis));
    assert_eq!((ours.id(), ours.time()), (theirs.event_id.as_str(), None));
    assert_eq!(ours.event_source(), format!("aws:dynamodb.eu-west-1.{}", theirs.table_name.unwrap()));
    let pipes = records(fixture!("aws-pipes-dynamodb"));
    assert_eq!((pipes[0].subject(), text(&pipes[0], "/account")), (Some("Id=101"), Some("111122223333")));
}

#[test]
fn sns_notifications_name_the_same_messages() {
    for body in [
        fixture!("example-sns-event"),
        fixture!("example-sns-event-obj"),
        fixture!("example-sns-event-pascal-case"),
        fixture!("example-cloudwatch-alarm-sns-payload-single-metric"),
        fixture!("example-cloudwatch-alarm-sns-payload-multiple-metrics"),
    ] {
        let (ours, theirs) = (records(body), theirs::<sns::SnsEvent>(body).records);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.source_kind(), SourceKind::Sns);
            assert_eq!(
                (ours.id(), ours.event_source()),
                (theirs.sns.message_id.as_str(), theirs.sns.topic_arn.as_str())
            );
            assert_eq!(ours.subject(), theirs.sns.subject.as_deref());
            assert_eq!(ours.at(), theirs.sns.timestamp.timestamp_nanos_opt().unwrap());
            let message = ours.event().pointer("/detail/message").unwrap();
            let expected = serde_json::from_str(&theirs.sns.message).ok().filter(Value::is_object);
            assert_eq!(*message, expected.unwrap_or_else(|| theirs.sns.message.clone().into()));
            let attributes = ours.event().pointer("/detail/attributes").and_then(Value::as_object).unwrap();
            assert_eq!(attributes.len(), theirs.sns.message_attributes.len());
            for (name, attribute) in &theirs.sns.message_attributes {
                assert_eq!(attributes[name], Value::String(attribute.value.clone()));
            }
        }
    }
    let queue = records(fixture!("aws-sns-sqs"));
    assert_eq!(queue[0].event_type(), "com.amazonaws.sns.Notification");
    let confirmation = read(fixture!("example-sns-subscription-confirmation")).unwrap_err().to_string();
    assert!(confirmation.contains("arn:aws:sns:us-east-1:123456789012:MyTopic"), "{confirmation}");
}

#[test]
fn eventbridge_events_have_the_same_attributes() {
    for body in [
        fixture!("example-eventbridge-event-obj"),
        fixture!("example-eventbridge-schedule"),
        fixture!("aws-s3-eventbridge"),
    ] {
        let (ours, theirs) = (records(body).remove(0), theirs::<eventbridge::EventBridgeEvent>(body));
        assert_eq!(Some(ours.id()), theirs.id.as_deref());
        assert_eq!(text(&ours, "/detail-type"), Some(theirs.detail_type.as_str()));
        assert_eq!(text(&ours, "/source"), Some(theirs.source.as_str()));
        assert_eq!(text(&ours, "/account"), theirs.account.as_deref());
        assert_eq!(ours.event()["detail"], theirs.detail);
        assert_eq!(ours.raw().get(), body.trim());
    }
}

/// The JSON blocks of a document.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = document.split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_of_the_guide_are_mapped_as_it_says() {
    let rules =
        "[[route]]\nname = 'example'\nmatch = { id = [{ exists = true }] }\nto = { cluster = 'prod' }\n";
    let routes = Routes::parse(rules, "example").unwrap();
    let examples = blocks(guide().0, "json");
    assert!(examples.len() >= 12, "{}", examples.len());
    for pair in examples.chunks(2) {
        let record = records(pair[0]).remove(0);
        let request = routes.route(&record).remove(0).request.unwrap();
        let mut event: Value = serde_json::to_value(request.event.unwrap()).unwrap();
        let whole: Value = serde_json::from_str(record.raw().get()).unwrap();
        assert_eq!(event["data"], whole);
        let members = event.as_object_mut().unwrap();
        members.remove("data");
        assert!(members.remove("id").unwrap().as_str().unwrap().starts_with("evt_"));
        assert_eq!(event, theirs::<Value>(pair[1]), "{}", pair[0]);
    }
}

/// The guide to sources: its mappings, and its recipes.
fn guide() -> (&'static str, &'static str) {
    include_str!("../../../../docs/sources.md").split_once("\n## Recipes\n").unwrap()
}

#[test]
fn the_rule_of_each_recipe_matches_the_event_that_arrives() {
    let (events, rules) = (blocks(guide().1, "json"), blocks(guide().1, "toml"));
    assert_eq!((events.len(), rules.len()), (4, 4));
    for (event, rule) in events.into_iter().zip(rules) {
        let routes = Routes::parse(rule, "docs/sources.md").unwrap();
        let [matched] = <[_; 1]>::try_from(routes.route(&records(event).remove(0))).unwrap();
        let request = matched.request.unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert!(request.event.unwrap().data.is_some(), "{rule}");
    }
}

#[test]
fn the_rules_of_the_guide_are_valid_and_match() {
    let guide = blocks(include_str!("../../../../docs/routes.md"), "toml");
    let routes = Routes::parse(guide[0], "docs/routes.md").unwrap();
    let upload = fixture!("aws-s3-eventbridge").replace("example-key", "prices/today.json");
    let rules = |body: &str| -> Vec<String> {
        routes.route(&records(body).remove(0)).into_iter().map(|routed| routed.rule).collect()
    };
    assert_eq!(rules(&upload), ["prices"]);
    let flag = fixture!("aws-pipes-dynamodb")
        .replace(r#""Message": {"#, r#""kind": {"S": "flag"}, "Message": {"#)
        .replace(r#""N": "101""#, r#""S": "101""#);
    assert_eq!(rules(&flag), ["flags"]);
    assert_eq!(rules(fixture!("aws-sns-sqs")), [""; 0]);
}
