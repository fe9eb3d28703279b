//! `routes check` and `routes test`: rules and events in, decisions out.

use std::path::Path;

use crate::support::{Run, notifier};

const RULES: &str = r#"
[[route]]
name = "prices"
match = { source = ["aws.s3"], detail = { object = { key = [{ prefix = "prices/" }] } } }
to = { cluster = "prod", services = ["web", "api"] }
event = { type = "com.example.prices.changed", data = { key = "/detail/object/key" } }
stop = true

[[route]]
name = "everywhere"
match = { source = [{ prefix = "aws." }] }
to = { cluster = "*", tags = { team = "shop" } }
coalesce = { key = ["/source"], window = "30s" }
"#;

const UPLOAD: &str = r#"{"version":"0","id":"17793124","detail-type":"Object Created","source":"aws.s3","account":"111122223333",
"time":"2026-11-24T09:30:00Z","region":"eu-west-1","resources":["arn:aws:s3:::shop"],
"detail":{"bucket":{"name":"shop"},"object":{"key":"prices/today.json"},"reason":"PutObject"}}"#;

fn routes(rules: &str, event: &str, arguments: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("routes.toml", rules);
    write("event.json", event);
    in_folder(folder.path(), arguments)
}

/// Runs in the folder, so that no path of this machine is in the output.
fn in_folder(folder: &Path, arguments: &str) -> Run {
    let mut command = notifier(&format!("routes {arguments}")).command();
    command.current_dir(folder);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn check_lists_the_rules() {
    insta::assert_snapshot!(routes(RULES, "", "check routes.toml"), @r#"
    exit 0
    --- stdout
    prices      line 2  com.example.prices.changed  prod: web, api    stop
    everywhere  line 9  type of the record          * with team=shop  newest per key in 30.0 s
    --- stderr
    no mistakes in 2 rules
    "#);
    insta::assert_snapshot!(routes(RULES, "", "check routes.toml --format json"), @r#"
    exit 0
    --- stdout
    {"rule":"prices","line":2,"clusters":"prod","tags":"","services":"web api","standalone":false,"type":"com.example.prices.changed","stop":true,"coalesce_ms":null}
    {"rule":"everywhere","line":9,"clusters":"*","tags":"team=shop","services":"","standalone":false,"type":null,"stop":false,"coalesce_ms":30000}
    {"summary":{"rules":2}}
    --- stderr
    "#);
    let setting = notifier("routes check").env("NOTIFIER_ROUTES", "env:RULES").env("RULES", RULES).run();
    assert_eq!(setting.code, 0, "{setting}");
}

#[test]
fn check_reports_every_mistake_with_file_line_and_rule() {
    let rules = RULES.replace("[{ prefix = \"aws.\" }]", "\"aws.s3\"").replace("30s", "1h");
    insta::assert_snapshot!(routes(&rules, "", "check routes.toml"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the rules have 2 errors
      routes.toml:11: rule `everywhere`: `match` at `source`: must be an object or an array, not text
      routes.toml:13: rule `everywhere`: `1h` of `coalesce.window` is not a time from `1s` to `15m`
    "#);
    insta::assert_snapshot!(routes(RULES, "", "check missing.toml"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the rules cannot be read
      because: file:missing.toml: the file cannot be read
      because: No such file or directory (os error 2)
    "#);
    insta::assert_snapshot!(notifier("routes check").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: a setting is wrong: NOTIFIER_ROUTES is not set, and neither is --routes
    hint: `ecs-task-notifier serve --help` lists every setting, its range and its default
    "#);
}

#[test]
fn test_says_what_each_rule_does() {
    insta::assert_snapshot!(routes(RULES, UPLOAD, "test --routes routes.toml event.json"), @r#"
    exit 0
    --- stdout
    prices      matches  com.example.prices.changed about prices/today.json to prod: web, api, data {"key":"prices/today.json"}
    everywhere  stopped  rule `prices` stops
    --- stderr
    1 broadcast for 1 record
    "#);
    let other = UPLOAD.replace("prices/today.json", "logs/today.json");
    insta::assert_snapshot!(routes(RULES, &other, "test --routes routes.toml event.json"), @r#"
    exit 0
    --- stdout
    prices      differs  detail.object.key is "logs/today.json", expected [{"prefix":"prices/"}]
    everywhere  matches  com.amazonaws.s3.ObjectCreated:Put about logs/today.json to * with team=shop, data {"version":"0","id":"17793124","detail-type":"Object Created","source":"aws.s3","account":"111122223333",\n"time":"2026-11-24T09:30:00Z","region":"eu-west-1","resources":["arn:aws:s3:::shop"],\n"detail"…
    --- stderr
    1 broadcast for 1 record
    "#);
    insta::assert_snapshot!(routes(RULES, &other, "test --routes routes.toml event.json --format json"), @r#"
    exit 0
    --- stdout
    {"record":1,"source":"s3","id":"17793124","rule":"prices","verdict":"differs","clusters":null,"services":null,"broadcast":null,"type":null,"subject":null,"data":null,"coalesce_ms":null,"field":"detail.object.key","expected":"[{\"prefix\":\"prices/\"}]","found":"\"logs/today.json\"","reason":null}
    {"record":1,"source":"s3","id":"17793124","rule":"everywhere","verdict":"matches","clusters":"*","services":"","broadcast":"evt_2HtWhTSQtG5VNbvO7-kBh22RN9s","type":"com.amazonaws.s3.ObjectCreated:Put","subject":"logs/today.json","data":"{\"version\":\"0\",\"id\":\"17793124\",\"detail-type\":\"Object Created\",\"source\":\"aws.s3\",\"account\":\"111122223333\",\\n\"time\":\"2026-11-24T09:30:00Z\",\"region\":\"eu-west-1\",\"resources\":[\"arn:aws:s3:::shop\"],\\n\"detail\"…","coalesce_ms":30000,"field":null,"expected":null,"found":null,"reason":null}
    {"summary":{"broadcasts":1,"records":1,"wrong":0}}
    --- stderr
    "#);
}

#[test]
fn test_shows_every_record_and_what_cannot_be_read() {
    let event = format!("[{UPLOAD},{{\"eventSource\":\"aws:dynamodb\"}}]");
    insta::assert_snapshot!(routes(RULES, &event, "test --routes routes.toml event.json"), @r#"
    exit 1
    --- stdout
    record 1: s3 17793124
      prices      matches     com.example.prices.changed about prices/today.json to prod: web, api, data {"key":"prices/today.json"}
      everywhere  stopped     rule `prices` stops
    record 2:
                  unreadable  DynamoDB record: `eventID` is missing
    --- stderr
    1 broadcast for 2 records
    "#);
}

#[test]
fn test_ends_with_1_when_no_rule_matches_and_with_2_for_what_is_no_event() {
    let none = UPLOAD.replace("aws.s3", "shop.orders");
    insta::assert_snapshot!(routes(RULES, &none, "test --routes routes.toml event.json"), @r#"
    exit 1
    --- stdout
    prices      differs  source is "shop.orders", expected ["aws.s3"]
    everywhere  differs  source is "shop.orders", expected [{"prefix":"aws."}]
    --- stderr
    0 broadcasts for 1 record
    "#);
    insta::assert_snapshot!(routes(RULES, "{\"a\":1}", "test --routes routes.toml event.json"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the event cannot be read
      because: the body is an object with `a`; expected a direct message (`cluster`), an SNS notification, an EventBridge event, S3 or DynamoDB records, or a CloudEvent
    "#);
    let direct = routes(RULES, "{\"cluster\":\"prod\"}", "test --routes routes.toml event.json");
    assert_eq!(direct.code, 1, "{direct}");
    let failing = RULES.replace("/detail/object/key\"", "/detail/object/tag\"");
    let failing = routes(&failing, UPLOAD, "test --routes routes.toml event.json");
    assert_eq!(failing.code, 1, "{failing}");
    assert!(failing.stdout.contains("the record has nothing at `/detail/object/tag`"), "{failing}");
}

#[test]
fn an_event_is_read_from_stdin() {
    let run = notifier("routes test --routes env:RULES -").env("RULES", RULES).stdin(UPLOAD).run();
    assert_eq!(run.code, 0, "{run}");
}
