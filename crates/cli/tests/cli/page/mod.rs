//! `page`, as a browser without JavaScript sees it.

mod answers;
mod limits;
mod redrive;
mod refused;
mod setup;
mod waves;

use std::io::{BufRead, BufReader};

use notifier::ledger::BroadcastRecord;
use notifier::model::{Cause, Delivery, Member, Outcome};
use serde_json::Value;

use crate::support::{notifier, until};
use setup::{Filled, Page, delivery, record};

/// Escapes and characters that change the direction of text, and markup.
const HOSTILE: &str =
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u{202e}\u{2066}\u{1b}[2J\u{9b}";

fn mixed() -> Vec<Delivery> {
    let outcomes = [
        Outcome::Delivered,
        Outcome::Delivered,
        Outcome::Rejected,
        Outcome::Failed,
        Outcome::Skipped,
        Outcome::Gone,
    ];
    let all = (0..).zip(outcomes).map(|(number, outcome)| delivery("web", number, Some(outcome)));
    all.chain((10..250).map(|number| delivery("search", number, Some(Outcome::Delivered)))).collect()
}

/// The rows of the table of containers.
fn rows(page: &str) -> usize {
    page.split_once("table class=\"rows\"").unwrap().1.matches("<tr>").count() - 1
}

#[test]
fn the_list_shows_each_broadcast_with_its_outcomes() {
    let filled = Filled::new();
    filled.broadcast("b-1", &mixed());
    filled.broadcast("b-2", &[delivery("web", 1, None)]);
    let page = filled.page("");
    until("both are counted", || !page.body("/").contains("not counted yet"));
    let list = page.body("/");
    for text in [
        "com.example.cache.clear",
        "AROAEXAMPLE:alice",
        "cluster arn:aws:ecs:eu-west-1:111122223333:cluster/prod",
        "242 delivered, 1 gone, 1 skipped, 1 rejected, 1 failed",
        "1 pending",
        "href=\"broadcast?id=b-1\"",
        "<td class=\"nowrap\">runs</td>",
        "<rect class=\"failed\"",
    ] {
        assert!(list.contains(text), "{text}: {list}");
    }
    assert!(list.contains("data-every-s=\"5\""), "a broadcast runs: {list}");
}

#[test]
fn the_list_has_pages() {
    let filled = Filled::new();
    for number in 0..25 {
        let asked_at = 1_700_000_000_000 + number * 1_000;
        filled.recorded(BroadcastRecord { asked_at, ..record(&format!("b-{number}")) }, &[]);
    }
    let page = filled.page("");
    let (first, second) = (page.body("/"), page.body("/?page=2"));
    assert_eq!((first.matches("<tr>").count(), second.matches("<tr>").count()), (21, 6));
    assert!(first.contains(">b-24<") && second.contains(">b-0<"), "{second}");
    assert!(first.contains("href=\"./?page=2\"") && second.contains("href=\"./?page=1\""));
}

#[test]
fn a_broadcast_is_summed_up_and_says_what_to_do() {
    let filled = Filled::new();
    filled.broadcast("b-1", &mixed());
    let page = filled.page("");
    let body = page.body("/broadcast?id=b-1");
    for text in [
        "Ended: 243 of 246 containers notified (242 delivered, 1 gone, 1 skipped, 1 rejected, 1 failed).",
        "1 rejected (404)</a>: path not found: correct the label NOTIFY_ME_API_URI",
        "1 failed (timed-out)</a>: answer 202 at once",
        "<caption>Outcomes of each service, those with problems first</caption>",
        "111122223333 eu-west-1",
        "<th scope=\"row\" class=\"nowrap\">1 to 2 ms</th>",
        "1 to 100 of 246 containers",
        "answered 404 Not Found",
        "<th scope=\"col\">Outcome</th>",
        "aria-live=\"polite\"",
    ] {
        assert!(body.contains(text), "{text}: {body}");
    }
    assert!(body.find(">web</a>").unwrap() < body.find(">search</a>").unwrap(), "problems come first");
    assert!(!body.contains("data-stream"), "it has ended");
    assert!(!body.contains("cancel?"), "no action without the flag");
}

#[test]
fn containers_are_filtered_and_come_in_pages() {
    let filled = Filled::new();
    filled.broadcast("b-1", &mixed());
    let page = filled.page("");
    let shown = |query: &str| rows(&page.body(&format!("/broadcast?id=b-1{query}")));
    assert_eq!((shown(""), shown("&page=2"), shown("&page=3"), shown("&page=99")), (100, 100, 46, 46));
    assert_eq!((shown("&outcome=untold"), shown("&outcome=gone"), shown("&cause=timed-out")), (3, 1, 1));
    assert_eq!(
        (shown("&service=web"), shown("&service=web&outcome=delivered"), shown("&service=none")),
        (6, 2, 0)
    );
    assert_eq!(
        (shown("&text=Not+Found"), shown("&text=10.0.1.7%3A30011"), shown("&text=%3Cb%3E")),
        (1, 1, 0)
    );
    let second = page.body("/broadcast?id=b-1&service=search&page=2");
    assert!(second.contains("href=\"broadcast?id=b-1&amp;service=search#containers\">First</a>"), "{second}");
    assert!(
        second.contains("href=\"broadcast?id=b-1&amp;service=search&amp;page=3#containers\">Next</a>"),
        "{second}"
    );
    for wrong in ["outcome=x", "cause=x"] {
        assert_eq!(page.get(&format!("/broadcast?id=b-1&{wrong}")).status, 400);
    }
    assert_eq!(page.get("/broadcast?id=b-9").status, 404);
    assert_eq!(page.get("/broadcast").status, 400);
    assert_eq!(page.get("/nothing").status, 404);
}

#[test]
fn downloads_equal_the_report_of_the_command_line() {
    let filled = Filled::new();
    let many: Vec<_> = (0..1_234).map(|number| delivery("web", number, Some(Outcome::Delivered))).collect();
    filled.broadcast("b-1", &many);
    let page = filled.page("");
    for format in ["csv", "json"] {
        let report = filled.run(&format!("report b-1 --format {format}")).run();
        assert_eq!(page.body(&format!("/broadcast.{format}?id=b-1")), report.stdout, "{format}");
    }
    let one = page.body("/broadcast.csv?id=b-1&text=0000000004d1");
    assert_eq!(one.lines().count(), 2, "{one}");
    let none = page.body("/broadcast.json?id=b-1&outcome=failed");
    let summary: Value = serde_json::from_str(none.trim()).unwrap();
    assert_eq!(summary["summary"]["total"], 1_234, "the totals are those of all");
}

#[test]
fn the_timeline_of_a_task_has_what_is_recorded_and_says_what_is_not() {
    let filled = Filled::new();
    filled.broadcast(
        "b-1",
        &[delivery("web", 1, None), delivery("web", 2, None), delivery("web", 3, Some(Outcome::Skipped))],
    );
    let again = Delivery {
        attempts: Some(3),
        status: Some(503),
        cause: Some(Cause::Answered),
        reason: Some("answered 503 Service Unavailable: warming up".to_owned()),
        ..delivery("web", 1, None)
    };
    filled.settle("b-1", again);
    filled.settle("b-1", Delivery { attempts: Some(4), ..delivery("web", 1, Some(Outcome::Delivered)) });
    let page = filled.page("");
    let broadcast = page.body("/broadcast?id=b-1");
    let links = broadcast
        .split("href=\"task?")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
    let pages: Vec<_> = links.map(|link| page.body(&format!("/task?{link}"))).collect();
    // Those that were not notified come first.
    let [waiting, skipped, timeline] = &pages[..] else { panic!("{}", pages.len()) };
    let at = |text: &str| timeline.find(text).unwrap_or_else(|| panic!("{text}: {timeline}"));
    assert!(
        at("requested by AROAEXAMPLE:alice")
            < at("Recorded as <strong>pending</strong> after 3 attempts, last answer 503")
    );
    assert!(
        at("warming up") < at("Recorded as <strong>delivered</strong> after 4 attempts, last answer 200")
    );
    assert!(
        timeline.contains("Times and answers of earlier attempts are only in the notifier"),
        "{timeline}"
    );
    assert!(waiting.contains("No attempt is recorded yet."), "{waiting}");
    assert!(skipped.contains("the container was not called."), "{skipped}");
    assert_eq!(page.get("/task?id=b-1&task=arn:x&container=app").status, 404);
}

#[test]
fn hostile_names_and_answers_are_shown_as_text() {
    let filled = Filled::new();
    let long = format!("{HOSTILE}{}", "x".repeat(1 << 18));
    let member = Member {
        account: HOSTILE.to_owned(),
        region: HOSTILE.to_owned(),
        cluster: HOSTILE.to_owned(),
        service: HOSTILE.to_owned(),
        task: format!("arn:aws:ecs:eu-west-1:1:task/{HOSTILE}"),
        container: HOSTILE.to_owned(),
        task_definition: HOSTILE.to_owned(),
    };
    let (reason, answer) = (Some(long.clone()), Some(HOSTILE.to_owned()));
    let hostile =
        Delivery { member: member.into(), reason, answer, ..delivery("web", 1, Some(Outcome::Failed)) };
    let asked_by = Some(HOSTILE.to_owned());
    let record =
        BroadcastRecord { cluster: HOSTILE.to_owned(), failure: Some(long), asked_by, ..record("b<\"'&>1") };
    filled.recorded(record, std::slice::from_ref(&hostile));
    let broadcast = setup::id("b<\"'&>1");
    let cancelled = filled.ledger.cancel(&broadcast, HOSTILE.to_owned());
    assert!(filled.runtime.block_on(cancelled).unwrap());
    let page = filled.page("");
    let id = "id=b%3C%22%27%26%3E1";
    let encoded = form_urlencoded::Serializer::new(String::new())
        .append_pair("task", &hostile.member.task)
        .append_pair("container", &hostile.member.container)
        .finish();
    until("it is counted", || !page.body("/").contains("not counted yet"));
    let file = filled.run("report --format html").arg("b<\"'&>1").run();
    let mut pages = vec![("file".to_owned(), file.stdout)];
    for path in [
        "/".to_owned(),
        format!("/broadcast?{id}"),
        format!("/broadcast?{id}&text=%3Cscript%3E"),
        format!("/task?{id}&{encoded}"),
    ] {
        pages.push((path.clone(), page.body(&path)));
    }
    for (path, body) in pages {
        let own = usize::from(path != "file");
        assert_eq!(body.matches("<script").count(), own, "{path}: {body}");
        assert!(!body.contains("<img") && body.contains("&lt;script&gt;alert(1)"), "{path}: {body}");
        let turns = |c: char| {
            c.is_control() && c != '\n'
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!body.contains(turns), "{path}");
        assert!(body.len() < 200_000, "{path}: {} bytes", body.len());
    }
    assert_eq!(page.get(&format!("/broadcast?{id}&outcome=%3Cscript%3E")).body.matches("<script").count(), 1);
}

#[test]
fn a_running_broadcast_is_streamed_to_its_end() {
    let filled = Filled::new();
    filled.broadcast("b-1", &[delivery("web", 1, None), delivery("web", 2, None)]);
    let page = filled.page("");
    assert!(page.body("/broadcast?id=b-1").contains("data-stream=\"stream?id=b-1\""));
    let mut events = BufReader::new(page.open("/stream?id=b-1"));
    let mut next = || {
        let mut line = String::new();
        while !line.starts_with("data: ") {
            line.clear();
            assert_ne!(events.read_line(&mut line).unwrap(), 0, "the stream ended");
        }
        serde_json::from_str::<Value>(line.trim_start_matches("data: ").trim()).unwrap()
    };
    let first = next();
    assert_eq!((&first["counts"]["pending"], &first["is_over"]), (&2.into(), &false.into()), "{first}");
    filled.settle("b-1", delivery("web", 1, Some(Outcome::Delivered)));
    let second = next();
    assert_eq!(second["counts"]["delivered"], 1, "{second}");
    filled.settle("b-1", delivery("web", 2, Some(Outcome::Failed)));
    let last = next();
    assert_eq!((&last["counts"]["failed"], &last["is_over"]), (&1.into(), &true.into()), "{last}");
    let mut rest = String::new();
    while events.read_line(&mut rest).unwrap() > 0 {}
    assert!(!rest.contains("data:"), "the stream has ended: {rest}");
    assert_eq!(page.get("/stream?id=b-9").status, 404);
}

#[test]
fn the_demo_shows_its_broadcast_on_a_page() {
    let mut demo = notifier("demo --page=127.0.0.1:0 --services 0 --progress none").start();
    let lines = demo.stderr_until("in a browser: ");
    let address = lines.last().unwrap().split_once("http://").unwrap().1;
    let (address, token) = address.split_once("/#token=").unwrap();
    let page = Page { address: address.to_owned(), token: token.to_owned(), process: demo };
    until("the broadcast has ended", || {
        let list = page.body("/");
        list.contains("com.example.cache.clear") && list.contains(" delivered") && !list.contains(">runs<")
    });
    let stopped = page.process.stop();
    assert_eq!(stopped.code, 0, "{stopped}");
    let refused = notifier("demo --env-file x").run();
    assert!(refused.code == 2 && refused.stderr.contains("--keep or --page"), "{refused}");
}

#[test]
fn a_report_is_also_one_file_without_scripts() {
    let filled = Filled::new();
    let many: Vec<_> = (0..1_500).map(|number| delivery("web", number, Some(Outcome::Delivered))).collect();
    filled.broadcast(
        "b-1",
        &many.into_iter().chain([delivery("web", 9_999, Some(Outcome::Failed))]).collect::<Vec<_>>(),
    );
    let report = filled.run("report b-1 --format html").run();
    assert_eq!(report.code, 1, "{report}");
    let file = &report.stdout;
    assert!(file.starts_with("<!doctype html>") && file.trim_end().ends_with("</html>"), "{file}");
    assert!(
        file.contains("<style>") && !file.contains("<script") && !file.contains("href=\"broadcast"),
        "{file}"
    );
    assert!(
        file.contains("1,000 containers, those that were not notified first; 501 more are left out"),
        "{file}"
    );
    assert_eq!(rows(file), 1_000);
    let only = filled.run("report b-1 --format html --only failed").run().stdout;
    assert_eq!(rows(&only), 1);
    let other = filled.run("history --format html").run();
    assert!(other.code == 2 && other.stderr.contains("only `report` has the format html"), "{other}");
}
