use serde_json::{Value, json};
use wire::event::Extension;

use super::*;
use crate::sources::{Content, read};

const RULES: &str = r#"
[[route]]
name = "prices"
match = { source = ["aws.s3"], detail-type = ["Object Created"], detail.object.key = [{ prefix = "prices/" }] }
to = { cluster = "prod", services = ["web"] }
event = { type = "com.example.prices.changed", subject = "/detail/object/key", data = "/detail/object" }

[[route]]
name = "raw"
match = '''
{
  "eventName": ["ObjectCreated:Put"]
}'''
to.clusters = ["a", "arn:aws:ecs:eu-west-1:111122223333:cluster/b", "a"]
to.standalone = true
event.data = { key = "/detail/object/key", tag = "/s3/object/eTag" }
coalesce = { key = ["/detail/bucket/name"], window = "30s" }
stop = true

[[route]]
name = "rest"
match = { source = [{ prefix = "" }] }
to = { cluster = "*", tags = { team = "shop" } }
"#;

fn routes(toml: &str) -> Routes {
    Routes::parse(toml, "routes.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn says(toml: &str) -> String {
    Routes::parse(toml, "routes.toml").unwrap_err().to_string()
}

fn record(body: &Value) -> Record {
    match read(&body.to_string()) {
        Ok(Content::Records(mut records)) => records.remove(0).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn upload(key: &str, etag: &str) -> Record {
    record(&json!({"Records": [{
        "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventTime": "2026-11-24T09:30:00Z", "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "I"},
        "s3": {"bucket": {"name": "shop"}, "object": {"key": key, "eTag": etag, "sequencer": "1"}}
    }]}))
}

#[test]
fn every_matching_rule_makes_a_request_until_one_stops() {
    let routed = routes(RULES).route(&upload("prices/a+b", "e"));
    let names: Vec<_> = routed.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(names, ["prices", "raw"]);

    let first = routed[0].request.as_ref().unwrap();
    assert_eq!((first.cluster.as_str(), &first.services[..]), ("prod", &["web".to_owned()][..]));
    let event = first.event.as_ref().unwrap();
    assert_eq!(event.kind.as_deref(), Some("com.example.prices.changed"));
    assert_eq!(event.source.as_deref(), Some("aws:s3.eu-west-1.shop"));
    assert_eq!(event.subject.as_deref(), Some("prices/a b"));
    assert_eq!(event.time.as_deref(), Some("2026-11-24T09:30:00Z"));
    assert_eq!(event.data.as_ref().unwrap().as_json(), r#"{"key":"prices/a b","etag":"e","sequencer":"1"}"#);
    assert_eq!(event.extensions.get("causationid"), Some(&Extension::Text("R.I".to_owned())));

    let second = routed[1].request.as_ref().unwrap();
    assert_eq!(second.cluster, "a");
    assert_eq!(second.clusters, ["arn:aws:ecs:eu-west-1:111122223333:cluster/b"]);
    assert!(second.standalone);
    let event = second.event.as_ref().unwrap();
    assert_eq!(event.data.as_ref().unwrap().as_json(), r#"{"key":"prices/a b","tag":"e"}"#);
    assert_eq!(event.kind.as_deref(), Some("com.amazonaws.s3.ObjectCreated:Put"));
}

#[test]
fn ids_are_the_same_for_a_repeat_and_differ_for_each_rule() {
    let routes = routes(RULES);
    let ids = |record: &Record| -> Vec<_> {
        let requests = routes.route(record);
        requests.into_iter().map(|one| one.request.unwrap().event.unwrap().id.unwrap()).collect()
    };
    let first = ids(&upload("prices/a", "e"));
    assert_eq!(first, ids(&upload("prices/a", "e")));
    assert_ne!(first[0], first[1]);
    assert!(ids(&upload("prices/b", "e")).iter().all(|id| !first.contains(id)));
}

#[test]
fn events_of_one_key_fold() {
    let routes = routes(RULES);
    let fold = |record: &Record| {
        routes.route(record).into_iter().find(|one| one.rule == "raw").unwrap().fold.unwrap()
    };
    let one = fold(&upload("a", "e"));
    assert_eq!((one.window, one.at), (Duration::from_secs(30), 1_795_512_600_000_000_000));
    assert_eq!(one.key, fold(&upload("b", "f")).key);
    assert_eq!(one.key.len(), 27);
}

#[test]
fn a_record_without_the_value_of_a_pointer_fails_for_that_rule_only() {
    let event = json!({
        "id": "1", "source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-24T09:30:00Z",
        "detail": {"bucket": {"name": "b"}, "object": {"key": "prices/x"}}
    });
    let toml = r#"
        [[route]]
        name = "one"
        match = { source = ["aws.s3"] }
        to = { cluster = "prod" }
        event = { data = { etag = "/detail/object/etag" } }
        [[route]]
        name = "two"
        match = { source = ["aws.s3"] }
        to = { cluster = "prod" }
    "#;
    let routed = routes(toml).route(&record(&event));
    let error = routed[0].request.as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule `one`: the record has nothing at `/detail/object/etag` (`event.data`)"
    );
    let whole = routed[1].request.as_ref().unwrap().event.as_ref().unwrap().data.as_ref().unwrap();
    assert_eq!(whole.as_json(), event.to_string());
}

#[test]
fn decisions_explain_every_rule() {
    let routes = routes(RULES);
    let decisions = routes.decide(&upload("logs/a", "e"));
    let Decision::Differs(mismatch) = &decisions[0] else { panic!("{decisions:?}") };
    assert_eq!(
        (mismatch.path.as_str(), mismatch.found.as_deref()),
        ("detail.object.key", Some(r#""logs/a""#))
    );
    assert!(matches!(&decisions[1], Decision::Matches(found) if found.rule == "raw"));
    assert!(matches!(&decisions[2], Decision::Stopped(by) if by == "raw"));
    let event = json!({"id": "1", "source": "x", "detail-type": "t", "detail": {}});
    assert!(matches!(routes.decide(&record(&event))[2], Decision::Matches(_)));
}

#[test]
fn numbers_keep_their_digits() {
    let body = r#"{"id":"1","source":"s","detail-type":"t","detail":{"n":12345678901234567890123.50}}"#;
    let Ok(Content::Records(mut records)) = read(body) else { panic!("records") };
    let toml = "[[route]]\nname='a'\nmatch={source=['s']}\nto={cluster='c'}\nevent.data='/detail/n'";
    let routed = routes(toml).route(&records.remove(0).unwrap());
    let event = routed[0].request.as_ref().unwrap().event.as_ref().unwrap();
    assert_eq!(event.data.as_ref().unwrap().as_json(), "12345678901234567890123.50");
}

#[test]
fn all_mistakes_are_reported_with_line_and_rule() {
    let toml = r#"
routes = 1
[[route]]
name = "a b"
match = { source = "aws.s3" }
to = { cluster = "prod", service = ["web"] }
[[route]]
match = '''
{
  "source": [{"prefiks": "x"}]
}'''
to = { clusters = ["x y"], tags = { a = "b" } }
event = { type = 5, data = "detail" }
coalesce = { key = ["/a~"], window = "1h" }
[[route]]
name = "same"
match = { a = [1979-05-27] }
to = {}
stop = "yes"
[[route]]
name = "same"
match = '''
{
  "source": [
'''
to = { cluster = "*", services = ["a"], standalone = true }
"#;
    insta::assert_snapshot!(says(toml), @"
    the rules have 18 errors
      routes.toml:2: unknown key `routes`; did you mean `route`?
      routes.toml:4: rule number 1: `name` may have letters, digits, `-`, `_` and `.` only
      routes.toml:5: rule number 1: `match` at `source`: must be an object or an array, not text
      routes.toml:6: rule number 1: unknown key `to.service`; did you mean `services`?
      routes.toml:7: rule number 2: `name` is missing
      routes.toml:9: rule number 2: `match` at `source`: `prefiks` is not an operator
      routes.toml:12: rule number 2: `x y` is not a cluster: use a name, an ARN, `*`, or `arn:aws:ecs:REGION:ACCOUNT:cluster/*`
      routes.toml:12: rule number 2: `to.tags` needs `*` as a cluster
      routes.toml:13: rule number 2: `event.type` must be text, not an integer
      routes.toml:13: rule number 2: `detail` of `event.data` is not a JSON pointer such as `/detail/object/key`
      routes.toml:14: rule number 2: `/a~` of `coalesce.key` is not a JSON pointer such as `/detail/object/key`
      routes.toml:14: rule number 2: `1h` of `coalesce.window` is not a time from `1s` to `15m`
      routes.toml:17: rule `same`: `match` has a date without quotation marks
      routes.toml:18: rule `same`: `to.cluster` is missing
      routes.toml:19: rule `same`: `stop` must be true or false, not a string
      routes.toml:20: rule `same`: the rule of line 15 has the same name
      routes.toml:25: rule `same`: `match`: the pattern is not JSON: EOF while parsing a list at line 3 column 0
      routes.toml:26: rule `same`: `to.standalone` has no effect together with `to.services`
    ");
}

#[test]
fn two_rules_of_one_name_and_no_rule_are_mistakes() {
    let rule = "[[route]]\nname = 'same'\nmatch = { a = ['x'] }\nto = { cluster = 'c' }\n";
    assert_eq!(
        says(&rule.repeat(2)),
        "the rules have an error: routes.toml:5: rule `same`: the rule of line 1 has the same name"
    );
    assert_eq!(
        says("# nothing"),
        "the rules have an error: routes.toml:1: there is no rule: a rule begins with `[[route]]`"
    );
    assert_eq!(
        says("route = []"),
        "the rules have an error: routes.toml:1: there is no rule: a rule begins with `[[route]]`"
    );
    assert!(says("[[route]\nname = 1").starts_with("the rules have "), "{}", says("[[route]\nname = 1"));
}

#[test]
fn size_and_number_of_rules_are_limited() {
    let rule =
        |n: usize| format!("[[route]]\nname = 'r{n}'\nmatch = {{ a = ['x'] }}\nto = {{ cluster = 'c' }}\n");
    let rules = |count: usize| (0..count).map(rule).collect::<String>();
    assert_eq!(routes(&rules(RULES_MAX)).rules().len(), RULES_MAX);
    assert!(says(&rules(RULES_MAX + 1)).contains("there are more than 200 rules"));
    assert!(
        says(&format!("#{}", " ".repeat(FILE_BYTES_MAX))).contains("the file is larger than 65536 bytes")
    );
}

#[test]
fn the_order_of_the_file_decides_what_or_means() {
    let toml = |pattern: &str| format!("[[route]]\nname='a'\nto={{cluster='c'}}\n[route.match]\n{pattern}");
    let or = "\"$or\" = [{ source = ['x'] }, { detail-type = ['t'] }]\n";
    let event = record(&json!({"id": "1", "source": "y", "detail-type": "u", "detail": {}}));
    assert_eq!(routes(&toml(&format!("{or}source = ['y']\n"))).route(&event).len(), 1);
    assert_eq!(routes(&toml(&format!("source = ['y']\n{or}"))).route(&event).len(), 0);
}

#[test]
fn a_rule_can_call_its_fleet_in_waves() {
    let rule = |pace: &str| {
        format!(
            "[[route]]\nname = 'a'\nmatch = {{ source = [{{ prefix = '' }}] }}\nto = {{ cluster = 'c' }}\npace = {pace}\n"
        )
    };
    let pace = |pace: &str| {
        let routed = routes(&rule(pace)).route(&upload("k", "e"));
        routed[0].request.as_ref().unwrap().pace.clone().unwrap()
    };
    let alarms = pace("{ stop_on_alarm = ['errors', 'latency'] }").stop_on_alarm.unwrap();
    assert_eq!(alarms, ["errors", "latency"]);
    assert_eq!(pace("{ by_zone = true, pause = '5m' }").by_zone, Some(true));
    let pace = pace("{ waves = '1,10%', pause = '5m' }");
    assert_eq!((pace.waves.as_deref(), pace.pause.as_deref()), (Some("1,10%"), Some("5m")));
    assert!(says(&rule("{ stop_on_alarm = [] }")).contains("`pace.stop_on_alarm` must have from 1 to 10"));
    assert!(says(&rule("{ stop_on_alarm = 'errors' }")).contains("`pace.stop_on_alarm` must be an array"));
    assert!(says(&rule("{ waves = '10%,5%' }")).contains("`pace`: `waves` are numbers"));
    assert!(says(&rule("{ max_parallel = 1 }")).contains("pace.max_parallel"));
}

#[test]
fn a_rule_can_notify_tasks_that_start_later() {
    let rule = |more: &str| {
        format!(
            "[[route]]\nname = 'a'\nmatch = {{ source = [{{ prefix = '' }}] }}\nto = {{ cluster = 'c' }}\n{more}\n"
        )
    };
    let request = |more: &str| {
        let routed = routes(&rule(more)).route(&upload("k", "e"));
        let request = routed[0].request.as_ref().unwrap();
        (request.cover, request.retain.clone())
    };
    assert_eq!(request("cover = '10m'"), (Some(600), None));
    assert_eq!(request("retain = { key = 'prices' }"), (None, Some(Retain::new("prices", 86_400))));
    let both = request("cover = '1h'\nretain = { key = 'prices', ttl = '7d' }");
    assert_eq!(both, (Some(3_600), Some(Retain::new("prices", 604_800))));
    for (wrong, problem) in [
        ("cover = '0s'", "`0s` of `cover` is not a time from `1s` to `1d`"),
        ("cover = '25h'", "`25h` of `cover` is not a time"),
        ("cover = 600", "`cover` must be text"),
        ("retain = { ttl = '1h' }", "`key` is missing"),
        ("retain = { key = 'a', ttl = '31d' }", "`31d` of `retain.ttl` is not a time from `1s` to `30d`"),
        ("retain = { key = \"a\\nb\" }", "`retain.key` contains a control character"),
        ("retain = { key = 'a', until = 'x' }", "unknown key `retain.until`"),
        ("cover = '1h'\npace = { waves = '1' }", "a pace cannot be combined with `cover` or `retain`"),
    ] {
        assert!(says(&rule(wrong)).contains(problem), "{wrong}: {}", says(&rule(wrong)));
    }
}
