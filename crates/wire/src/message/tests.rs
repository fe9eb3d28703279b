use super::*;

#[test]
fn messages_of_the_proof_of_concept_are_read() {
    let observer = ObserverMessage::from_body(r#"{"cluster":"prod"}"#).unwrap();
    assert_eq!(observer, ObserverMessage::new("prod"));

    let service = ServiceMessage::from_body(
        r#"{"cluster":"prod","service":"web","notify_me_container_port":"8080","notify_me_api_uri":"/n"}"#,
    )
    .unwrap();
    assert_eq!((service.port.as_str(), service.path.as_str()), ("8080", "/n"));
    assert_eq!((service.share, service.broadcast, service.standalone), (Share::All, None, false));

    let task = TaskMessage::from_body(
        r#"{"notify_task_arn":"arn","notify_me_host_address":"10.0.0.1","notify_me_host_port":"32768","notify_me_api_uri":"/n"}"#,
    )
    .unwrap();
    assert_eq!((task.method, task.scheme), (Method::Post, Scheme::Http));
}

#[test]
fn our_messages_hold_the_fields_of_the_proof_of_concept_as_strings() {
    let service = ServiceMessage::new("prod", "web", Labels::new("8080", "/n"));
    assert_eq!(
        service.to_body().unwrap(),
        r#"{"cluster":"prod","service":"web","notify_me_container_port":"8080","notify_me_api_uri":"/n"}"#
    );
    assert_eq!(ObserverMessage::new("prod").to_body().unwrap(), r#"{"cluster":"prod"}"#);
    let task = TaskMessage::new("arn", SocketAddr::from(([10, 0, 0, 1], 32768)), "/n").to_body().unwrap();
    let poc = r#"{"notify_task_arn":"arn","notify_me_host_address":"10.0.0.1","notify_me_host_port":"32768","notify_me_api_uri":"/n","#;
    assert!(task.starts_with(poc), "{task}");
}

#[test]
fn unknown_fields_are_ignored_and_missing_ones_are_named() {
    assert!(ObserverMessage::from_body(r#"{"cluster":"prod","later":[1]}"#).is_ok());
    let wrong = ObserverMessage::from_body(r#"{"services":["a"]}"#).unwrap_err();
    let cause = std::error::Error::source(&wrong).unwrap().to_string();
    assert!(cause.contains("missing field `cluster`"), "{cause}");
}

#[test]
fn each_message_of_a_broadcast_has_its_own_part_id() {
    let of = |json: &str| ServiceMessage::from_body(json).unwrap().part();
    let web =
        r#"{"cluster":"prod","service":"web","notify_me_container_port":"80","notify_me_api_uri":"/n"}"#;
    let others = [
        web.replace("prod", "test"),
        web.replace("web", "api"),
        web.replace("80", "81"),
        web.replace("/n", "/m"),
        web.replace('}', r#","share":"only"}"#),
        web.replace('}', r#","share":{"except":[]}}"#),
        web.replace('}', r#","standalone":true}"#),
    ];
    assert_eq!(of(web), of(&web.replace('}', r#","later":1}"#)));
    let all: std::collections::BTreeSet<_> = others.iter().map(String::as_str).chain([web]).map(of).collect();
    assert_eq!(all.len(), others.len() + 1);
}

#[test]
fn a_share_reads_back_unchanged() {
    let labels = Labels::new("80", "/");
    for (share, json) in [
        (Share::All, r#""all""#),
        (Share::Only, r#""only""#),
        (Share::Except(vec![labels]), r#"{"except":[{"port":"80","path":"/"}]}"#),
    ] {
        assert_eq!(serde_json::to_string(&share).unwrap(), json);
        assert_eq!(serde_json::from_str::<Share>(json).unwrap(), share);
    }
}

fn page() -> PageMessage {
    let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
    let event = Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap();
    PageMessage::new("prod", vec!["arn:1".to_owned(), "arn:2".to_owned()], Broadcast::new(event))
}

#[test]
fn a_page_reads_back_and_is_unreadable_for_a_stage_that_knows_only_services() {
    let body = page().to_body().unwrap();
    assert_eq!(PartMessage::from_body(&body).unwrap(), PartMessage::Page(page()));
    let error = ServiceMessage::from_body(&body).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("missing field `service`"), "{cause}");
    let service = ServiceMessage::new("prod", "web", Labels::new("80", "/"));
    let read = PartMessage::from_body(&service.to_body().unwrap()).unwrap();
    assert_eq!(read, PartMessage::Service(service));
    for wrong in ["", "[]", r#"{"cluster":"prod"}"#, r#"{"cluster":"prod","tasks":"all"}"#] {
        assert!(PartMessage::from_body(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_page_has_the_id_of_its_tasks() {
    let id = PartMessage::Page(page()).part();
    let late = PageMessage { late: true, ..page() };
    assert_eq!(PartMessage::Page(late).part(), id, "the same tasks");
    let mut other = page();
    other.tasks.pop();
    assert_ne!(PartMessage::Page(other).part(), id);
    assert_ne!(PartMessage::Page(PageMessage { cluster: "test".to_owned(), ..page() }).part(), id);
}

#[test]
fn the_end_of_a_cover_reads_back() {
    let cover = PartMessage::Cover(CoverMessage::new("prod", 1_000, page().broadcast));
    assert_eq!(PartMessage::from_body(&cover.to_body().unwrap()).unwrap(), cover);
    assert_ne!(cover.part(), PartMessage::Page(page()).part());
}

#[test]
fn a_gate_is_no_service_and_has_the_part_of_its_service() {
    let part = ServiceMessage::new("prod", "web", Labels::new("8080", "/n"));
    let mut pace = Pace::new();
    pace.waves = Some("1,10%".to_owned());
    let gate = PartMessage::Gate(Box::new(GateMessage::new(2, part.clone(), pace)));
    let body = gate.to_body().unwrap();
    assert_eq!(PartMessage::from_body(&body).unwrap(), gate);
    assert!(ServiceMessage::from_body(&body).is_err(), "an older version calls no task");
    assert_eq!((gate.part(), gate.service(), gate.cluster()), (part.part(), "web", "prod"));
}

#[test]
fn a_pace_with_an_unknown_field_is_refused() {
    let body = |pace: &str| format!(r#"{{"cluster":"prod","pace":{pace}}}"#);
    assert!(ObserverMessage::from_body(&body(r#"{"waves":"1"}"#)).is_ok());
    assert!(ObserverMessage::from_body(&body(r#"{"waves":"1","max_error":"0"}"#)).is_err());
}
