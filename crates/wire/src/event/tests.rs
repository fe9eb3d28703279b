use super::*;

fn complete(json: &str) -> Result<String, String> {
    let draft: Draft = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let id = BroadcastId::try_from("msg-1".to_owned()).unwrap();
    let event = draft.complete(&id, SystemTime::UNIX_EPOCH).map_err(|e| e.to_string())?;
    Ok(serde_json::to_string(&event).unwrap())
}

#[test]
fn missing_attributes_are_filled_in() {
    assert_eq!(
        complete("{}").unwrap(),
        r#"{"specversion":"1.0","id":"msg-1","source":"ecs-task-notifier","type":"com.ecs-task-notifier.notify","time":"1970-01-01T00:00:00Z"}"#
    );
}

#[test]
fn existing_attributes_are_kept_and_data_keeps_its_bytes() {
    let sent = r#"{"specversion":"1.0","id":"7","source":"/s3","type":"t","time":"2026-11-24T09:30:00+01:00","subject":"k","traceid":"x","urgent":true,"weight":3,"data":{"n": 1.10,"big":12345678901234567890123}}"#;
    assert_eq!(complete(sent).unwrap(), sent);
    assert_eq!(
        serde_json::from_str::<Event>(sent).map(|e| serde_json::to_string(&e).unwrap()).unwrap(),
        sent
    );
}

#[test]
fn an_event_that_is_sent_again_is_unchanged() {
    let sent = r#"{"id":"7","subject":"k","traceid":"x","data":{"n": 1.10}}"#;
    let id = BroadcastId::try_from("msg-1".to_owned()).unwrap();
    let other = BroadcastId::try_from("msg-2".to_owned()).unwrap();
    let draft: Draft = serde_json::from_str(sent).unwrap();
    let event = draft.complete(&id, SystemTime::UNIX_EPOCH).unwrap();
    let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
    assert_eq!(Draft::from(event.clone()).complete(&other, later).unwrap(), event);
}

#[test]
fn an_invalid_event_is_refused_with_the_name_of_the_attribute() {
    for (json, says) in [
        (r#"{"id":""}"#, "event attribute `id`: an id must not be empty"),
        (r#"{"id":7}"#, "event member `id` must be text"),
        (r#"{"source":""}"#, "event attribute `source` must not be empty"),
        (r#"{"source":"a b"}"#, "event attribute `source` contains a character"),
        (r#"{"type":"a\nb"}"#, "event attribute `type` contains a character"),
        (r#"{"time":"yesterday"}"#, "event attribute `time` must be a time in RFC 3339"),
        (r#"{"specversion":"0.3"}"#, "event member `specversion` must be `1.0`, not `0.3`"),
        (r#"{"data_base64":"AA=="}"#, "event member `data_base64` is not supported"),
        (r#"{"Upper":"x"}"#, "event attribute `Upper` must have a name of lower-case letters"),
        (r#"{"a\u001b[2J":"x"}"#, "event attribute `a\\u{1b}[2J` must have a name of lower-case letters"),
        (r#"{"ecstask":"x"}"#, "event attribute `ecstask` is reserved"),
        (r#"{"list":[1]}"#, "event member `list` must be text, a 32-bit integer or a boolean"),
        (r"[]", "invalid type: sequence"),
    ] {
        let error = complete(json).unwrap_err();
        assert!(error.starts_with(says), "{json}: {error}");
    }
}

#[test]
fn an_event_too_large_for_a_task_message_is_refused() {
    let data = "x".repeat(EVENT_BYTES_MAX);
    let error = complete(&format!(r#"{{"data":"{data}"}}"#)).unwrap_err();
    assert!(error.starts_with("the event has 98"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = complete(&text);
    }

    #[test]
    fn complete_events_read_back_unchanged(id in "[!-~]{1,40}", kind in "[ -~]{1,40}", n in proptest::num::f64::ANY) {
        let data = serde_json::to_string(&n).unwrap();
        let json = serde_json::json!({"id": id, "type": kind}).to_string();
        let json = json.replacen('{', &format!(r#"{{"data":{data},"#), 1);
        let once = complete(&json).unwrap();
        let again: Event = serde_json::from_str(&once).unwrap();
        proptest::prop_assert_eq!(serde_json::to_string(&again).unwrap(), once);
    }
}

#[test]
fn a_question_is_marked_and_expires() {
    let event = |extensions: &str| {
        let draft: Draft = serde_json::from_str(&format!("{{{extensions}}}")).unwrap();
        draft.complete(&"q-1".parse().unwrap(), SystemTime::UNIX_EPOCH).unwrap()
    };
    let question = event(r#""question":true,"expirytime":"1970-01-01T00:01:00Z""#);
    let minute = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(60);
    assert!(question.is_question());
    assert_eq!(question.expires_at(), Some(minute));
    let other = event(r#""question":"true","expirytime":"soon""#);
    assert!(!other.is_question() && other.expires_at().is_none());
}
