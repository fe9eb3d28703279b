use serde_json::{Value, json};

use super::*;

fn records(body: &str) -> Vec<Result<Record, BadRecord>> {
    match read(body) {
        Ok(Content::Records(records)) => records,
        other => panic!("{body}: {other:?}"),
    }
}

fn record(body: &Value) -> Record {
    let mut records = records(&body.to_string());
    assert_eq!(records.len(), 1, "{body}");
    records.remove(0).unwrap()
}

fn says(body: &str) -> String {
    crate::base::text::chain(&read(body).unwrap_err())
}

/// Id, source, type, subject, time.
fn attributes(record: &Record) -> [&str; 5] {
    [
        record.id(),
        record.event_source(),
        record.event_type(),
        record.subject().unwrap_or("-"),
        record.time().unwrap_or("-"),
    ]
}

fn s3(event: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
        "eventTime": "2026-11-24T09:30:00.123Z", "eventName": event,
        "userIdentity": {"principalId": "AWS:AROA:me"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "all", "bucket": {"name": "shop", "arn": "arn:aws:s3:::shop"},
               "object": {"key": key, "size": 1024, "eTag": "d41d8", "sequencer": "0055AED6DCD90281E5"}}
    })
}

fn dynamodb(id: &str) -> Value {
    json!({
        "eventID": id, "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
        "dynamodb": {"ApproximateCreationDateTime": 1_795_512_600, "Keys": {"id": {"N": "101"}, "day": {"S": "Mon"}},
                     "NewImage": {"id": {"N": "101"}}, "SequenceNumber": "111", "StreamViewType": "NEW_IMAGE"},
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:111122223333:table/prices/stream/2026-11-24T00:00:00.000"
    })
}

fn event() -> Value {
    json!({
        "version": "0", "id": "7bf73129", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "account": "999988887777", "time": "2026-11-24T09:30:00Z", "region": "us-east-1",
        "resources": ["arn:aws:ec2:us-east-1:999988887777:instance/i-abcd"], "detail": {"state": "pending"}
    })
}

fn sns(message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": "dc1e94d9", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:news",
        "Subject": "Hello", "Message": message, "Timestamp": "2026-11-24T09:30:00.000Z", "SignatureVersion": "1",
        "Signature": "x", "SigningCertURL": "https://x", "UnsubscribeURL": "https://y",
        "MessageAttributes": {"team": {"Type": "String", "Value": "shop"}}
    })
}

#[test]
fn a_direct_message_is_read_as_before() {
    let Ok(Content::Direct(message)) = read(r#"{"cluster":"prod","later":1}"#) else { panic!("direct") };
    assert_eq!(*message, wire::ObserverMessage::new("prod"));
    assert!(
        says(r#"{"cluster":7}"#)
            .starts_with("the direct message cannot be read: the message body is not valid")
    );
}

#[test]
fn an_s3_record_is_mapped_and_its_key_is_decoded() {
    let found = record(&json!({"Records": [s3("ObjectCreated:Put", "red+car/%C3%A4%2Bb.jpg")]}));
    assert_eq!(
        attributes(&found),
        [
            "C3D13FE58DE4C810.FMyUVURIY8",
            "aws:s3.eu-west-1.shop",
            "com.amazonaws.s3.ObjectCreated:Put",
            "red car/ä+b.jpg",
            "2026-11-24T09:30:00.123Z"
        ]
    );
    assert_eq!(
        *found.event(),
        json!({
            "version": "0", "id": "C3D13FE58DE4C810.FMyUVURIY8", "detail-type": "Object Created", "source": "aws.s3",
            "time": "2026-11-24T09:30:00.123Z", "region": "eu-west-1", "resources": ["arn:aws:s3:::shop"],
            "detail": {
                "version": "0", "bucket": {"name": "shop"}, "reason": "PutObject", "request-id": "C3D13FE58DE4C810",
                "requester": "AWS:AROA:me", "source-ip-address": "127.0.0.1",
                "object": {"key": "red car/ä+b.jpg", "size": 1024, "etag": "d41d8", "sequencer": "0055AED6DCD90281E5"}
            }
        })
    );
    assert_eq!(found.at(), 1_795_512_600_123_000_000);
    assert_eq!(found.at_pointer("/s3/object/key").unwrap().get(), r#""red+car/%C3%A4%2Bb.jpg""#);
    assert_eq!(found.at_pointer("/detail/object/key").unwrap().get(), r#""red car/ä+b.jpg""#);
}

#[test]
fn every_event_name_of_s3_has_a_detail_type() {
    for (name, detail_type, reason, deletion) in [
        (
            "ObjectRemoved:DeleteMarkerCreated",
            "Object Deleted",
            Some("DeleteObject"),
            Some("Delete Marker Created"),
        ),
        (
            "LifecycleExpiration:Delete",
            "Object Deleted",
            Some("Lifecycle Expiration"),
            Some("Permanently Deleted"),
        ),
        ("LifecycleTransition", "Object Storage Class Changed", None, None),
        ("ObjectRestore:Completed", "Object Restore Completed", None, None),
        ("s3:ObjectTagging:Put", "Object Tags Added", None, None),
        ("Replication:OperationNotTracked", "Replication:OperationNotTracked", None, None),
        ("ReducedRedundancyLostObject", "ReducedRedundancyLostObject", None, None),
        ("ObjectAnnotation:Put", "ObjectAnnotation:Put", None, None),
    ] {
        let found = record(&json!({"Records": [s3(name, "k")]}));
        let event = found.event();
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        assert_eq!(text("/detail-type"), Some(detail_type));
        assert_eq!((text("/detail/reason"), text("/detail/deletion-type")), (reason, deletion), "{name}");
        assert_eq!(found.event_type(), format!("com.amazonaws.s3.{}", name.trim_start_matches("s3:")));
    }
}

#[test]
fn s3_by_eventbridge_has_the_attributes_of_the_notification() {
    let event = json!({
        "version": "0", "id": "17793124", "detail-type": "Object Created", "source": "aws.s3", "account": "111122223333",
        "time": "2026-11-24T09:30:00Z", "region": "eu-west-1", "resources": ["arn:aws:s3:::shop"],
        "detail": {"version": "0", "bucket": {"name": "shop"}, "reason": "PutObject", "object": {"key": "a+b", "size": 5}}
    });
    let found = record(&event);
    assert_eq!(
        attributes(&found),
        [
            "17793124",
            "aws:s3.eu-west-1.shop",
            "com.amazonaws.s3.ObjectCreated:Put",
            "a+b",
            "2026-11-24T09:30:00Z"
        ]
    );
    assert_eq!((found.source_kind(), found.event()), (SourceKind::S3, &event));
    let by_trail =
        json!({"id": "1", "source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": {}});
    assert_eq!(record(&by_trail).source_kind(), SourceKind::EventBridge);
}

#[test]
fn the_test_message_of_s3_is_recognised() {
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014", "Bucket": "b", "RequestId": "r", "HostId": "h"});
    assert!(matches!(read(&test.to_string()), Ok(Content::Test)));
    assert!(matches!(read(&sns(&test.to_string()).to_string()), Ok(Content::Test)));
}

#[test]
fn dynamodb_records_are_read_in_every_shape() {
    let one = dynamodb("a");
    for body in [one.clone(), json!([one]), json!({"Records": [one]}), sns(&one.to_string())] {
        let found = record(&body);
        assert_eq!(
            attributes(&found),
            [
                "a",
                "arn:aws:dynamodb:eu-west-1:111122223333:table/prices",
                "com.amazonaws.dynamodb.MODIFY",
                "day=Mon,id=101",
                "2026-11-24T09:30:00Z"
            ]
        );
        assert_eq!(found.event()["detail"], one);
        assert_eq!(found.event()["account"], "111122223333");
    }
    assert_eq!(records(&json!([dynamodb("a"), dynamodb("b")]).to_string()).len(), 2);
}

#[test]
fn an_eventbridge_event_is_its_own_normal_form() {
    let found = record(&event());
    assert_eq!(
        attributes(&found),
        [
            "7bf73129",
            "aws.ec2",
            "EC2 Instance State-change Notification",
            "arn:aws:ec2:us-east-1:999988887777:instance/i-abcd",
            "2026-11-24T09:30:00Z"
        ]
    );
    assert_eq!(*found.event(), event());
}

#[test]
fn sns_carries_every_other_source_and_its_own_messages() {
    for inner in [event(), json!({"Records": [s3("ObjectCreated:Put", "k")]}), dynamodb("a")] {
        let direct = record(&inner);
        let wrapped = record(&sns(&inner.to_string()));
        let twice = record(&sns(&sns(&inner.to_string()).to_string()));
        assert_eq!(attributes(&direct), attributes(&wrapped));
        assert_eq!((direct.raw().get(), direct.raw().get()), (wrapped.raw().get(), twice.raw().get()));
        assert_eq!(direct.identity, twice.identity);
    }
    for (message, normal) in
        [("Hello\nworld", json!("Hello\nworld")), ("{\"a\":1}", json!({"a": 1})), ("7", json!("7"))]
    {
        let found = record(&sns(message));
        assert_eq!(
            attributes(&found),
            [
                "dc1e94d9",
                "arn:aws:sns:eu-west-1:111122223333:news",
                "com.amazonaws.sns.Notification",
                "Hello",
                "2026-11-24T09:30:00.000Z"
            ]
        );
        let detail = json!({"message": normal, "subject": "Hello", "attributes": {"team": "shop"}});
        assert_eq!(found.event()["detail"], detail);
        assert_eq!(found.event()["detail-type"], "SNS Notification");
    }
    let confirmation = json!({"Type": "SubscriptionConfirmation", "TopicArn": "arn:aws:sns:x", "Token": "t"});
    assert!(
        says(&confirmation.to_string()).starts_with("SNS asks to confirm the subscription to arn:aws:sns:x")
    );
}

#[test]
fn a_direct_message_by_sns_has_a_stable_id() {
    let body = sns(r#"{"cluster":"prod","event":{"type":"t"}}"#).to_string();
    let read = || match read(&body) {
        Ok(Content::Direct(message)) => message.event.unwrap(),
        other => panic!("{other:?}"),
    };
    let event = read();
    assert_eq!((event.kind.as_deref(), event.time.as_deref()), (Some("t"), Some("2026-11-24T09:30:00.000Z")));
    assert!(event.id.as_deref().is_some_and(|id| id.starts_with("evt_")), "{event:?}");
    assert_eq!(event, read());
    let body = sns(r#"{"cluster":"prod","event":{"id":"mine"}}"#).to_string();
    let Ok(Content::Direct(message)) = super::read(&body) else { panic!("direct") };
    assert_eq!(message.event.unwrap().id.as_deref(), Some("mine"));
}

#[test]
fn a_cloudevent_keeps_its_attributes() {
    let found = record(&json!({
        "specversion": "1.0", "id": "e 1", "source": "/my shop", "type": "com.example.sale", "subject": "s",
        "time": "2026-11-24T09:30:00+01:00", "traceparent": "00-a", "ecstask": "forged", "bad_name": "x", "number": 7,
        "causationid": "older", "datacontenttype": "application/json", "data": {"n": 1}
    }));
    assert_eq!(
        attributes(&found),
        ["e 1", "/my%20shop", "com.example.sale", "s", "2026-11-24T09:30:00+01:00"]
    );
    let names: Vec<_> = found.attributes.extensions.keys().collect();
    assert_eq!(names, ["number", "traceparent"]);
    assert_eq!(found.event()["detail"], json!({"n": 1}));
    assert_eq!(found.event()["detail-type"], "com.example.sale");
    assert_eq!(found.at_pointer("/data/n").unwrap().get(), "1");
    let old = json!({"specversion": "0.3", "id": "1", "source": "s", "type": "t"});
    assert_eq!(says(&old.to_string()), "CloudEvent: `specversion` must be `1.0`, not `0.3`");
}

#[test]
fn a_bad_record_is_alone_and_reads_as_the_same_record_again() {
    let mut bad = s3("ObjectCreated:Put", "k");
    bad["s3"]["bucket"].as_object_mut().unwrap().remove("name");
    let body =
        json!({"Records": [s3("ObjectCreated:Put", "a"), bad, {"eventSource": "aws:ses"}, 7, dynamodb("d")]});
    let all = records(&body.to_string());
    let errors: Vec<_> =
        all.iter().filter_map(|one| one.as_ref().err()).map(|bad| bad.error.to_string()).collect();
    assert_eq!(all.len(), 5);
    assert_eq!(errors[0], "S3 record: `s3.bucket.name` is missing");
    assert!(errors[1].starts_with("the body is a record of `aws:ses`; expected"), "{}", errors[1]);
    assert!(errors[2].starts_with("the body is a record that is a number; expected"), "{}", errors[2]);
    for bad in all.into_iter().filter_map(Result::err) {
        let again = records(&bad.body);
        assert_eq!(again.len(), 1);
        let again = again.into_iter().next().unwrap().unwrap_err();
        assert_eq!((again.body, again.error.to_string()), (bad.body, bad.error.to_string()));
    }
    let list = records(&json!([dynamodb("a"), {"x": 1}, {"cluster": "prod"}]).to_string());
    let bodies: Vec<_> =
        list.iter().filter_map(|one| one.as_ref().err()).map(|bad| bad.body.as_str()).collect();
    assert_eq!(bodies, [r#"{"x":1}"#, r#"{"cluster":"prod"}"#]);
}

#[test]
fn what_is_no_source_says_what_was_expected() {
    const EXPECTED: &str = "; expected a direct message (`cluster`), an SNS notification, an EventBridge event, S3 or DynamoDB records, or a CloudEvent";
    for (body, found) in [
        (r#"{"a":1,"b\u001b":2}"#, r"the body is an object with `a`, `b\u{1b}`"),
        ("{}", "the body is an empty object"),
        ("[]", "the body is an array without records"),
        ("7", "the body is a number"),
        (r#""text""#, "the body is text"),
        (r#"{"Records":[]}"#, "the body is an array without records"),
    ] {
        assert_eq!(says(body), format!("{found}{EXPECTED}"), "{body}");
    }
    assert!(says("hello").starts_with("the body is not JSON; expected"));
    for (body, found) in [
        (json!({"source": "s", "detail-type": "t", "detail": {}}), "EventBridge event: `id` is missing"),
        (
            json!({"id": "1", "source": "s", "detail-type": "t", "detail": []}),
            "EventBridge event: `detail` must be an object",
        ),
        (json!({"eventSource": "aws:dynamodb", "eventID": ""}), "DynamoDB record: `eventID` is empty"),
        (
            json!({"Type": "Notification", "TopicArn": "t", "MessageId": 7}),
            "SNS notification: `MessageId` must be text",
        ),
    ] {
        assert_eq!(says(&body.to_string()), found);
    }
}

#[test]
fn wrapping_and_the_number_of_records_are_limited() {
    let mut body = event().to_string();
    for _ in 0..5 {
        body = sns(&body).to_string();
    }
    assert!(says(&body).starts_with("the body is wrapped more than 4 times"));
    let many = format!("[{}1]", "1,".repeat(RECORDS_MAX));
    assert!(says(&many).starts_with("the body is an array of more than 10000 records"));
    let large = " ".repeat(wire::MESSAGE_BYTES_MAX + 1);
    assert!(matches!(read(&large), Err(SourceError::TooLarge { .. })));
}

#[test]
fn two_objects_of_one_request_are_two_events() {
    let found = |key| record(&json!({"Records": [s3("ObjectRemoved:Delete", key)]})).identity;
    assert_eq!(found("a"), found("a"));
    assert_ne!(found("a"), found("b"));
}

#[test]
fn the_longest_key_of_s3_is_read() {
    let key = "ä".repeat(512);
    let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    assert_eq!(
        record(&json!({"Records": [s3("ObjectCreated:Put", &encoded)]})).subject(),
        Some(key.as_str())
    );
}

proptest::proptest! {
    #[test]
    fn every_key_is_decoded(key in "\\PC{1,40}") {
        let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
        let found = record(&json!({"Records": [s3("ObjectCreated:Put", &encoded)]}));
        proptest::prop_assert_eq!(&found.event()["detail"]["object"]["key"], &json!(key));
    }

    /// `kinds`: good records, and records that lack something.
    #[test]
    fn a_bad_record_never_takes_its_neighbours(kinds in proptest::collection::vec(0_u8..6, 1..12)) {
        let one = |(number, kind): (usize, &u8)| match kind {
            0 => s3("ObjectCreated:Put", &format!("k{number}")),
            1 => dynamodb(&format!("d{number}")),
            2 => json!({"EventSource": "aws:sns", "Sns": sns("text")}),
            3 => json!({"eventSource": "aws:s3", "s3": {}, "number": number}),
            4 => json!({"eventSource": "aws:dynamodb", "eventID": number}),
            _ => json!(number),
        };
        let sent: Vec<Value> = kinds.iter().enumerate().map(one).collect();
        let read = records(&json!({ "Records": sent }).to_string());
        proptest::prop_assert_eq!(read.len(), kinds.len());
        for ((read, kind), sent) in read.iter().zip(&kinds).zip(&sent) {
            proptest::prop_assert_eq!(read.is_ok(), *kind < 3);
            if let Err(bad) = read {
                let expected = json!({ "Records": [sent] });
                proptest::prop_assert_eq!(serde_json::from_str::<Value>(&bad.body).unwrap(), expected);
            }
        }
    }
}
