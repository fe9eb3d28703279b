//! Waves, late tasks, and how tasks were found.

use notifier::ledger::BroadcastRecord;
use notifier::model::{Delivery, DiscoveryMethod, Found, Outcome};
use serde_json::Value;
use wire::Pace;

use super::rows;
use super::setup::{Answer, Filled, Page, delivery, id, record};
use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::until;

/// A task of a wave.
fn of_wave(wave: u16, number: u32, outcome: Option<Outcome>) -> Delivery {
    Delivery { wave: Some(wave), ..delivery("web", number, outcome) }
}

/// A broadcast of three waves with one, two and three tasks, of which the first has ended.
pub(super) fn paused(filled: &Filled, pause: &str) {
    let mut pace = Pace::new();
    (pace.waves, pace.pause) = (Some("1,50%".to_owned()), Some(pause.to_owned()));
    let waves = [1, 2, 2, 3, 3, 3];
    let expected: Vec<_> = (0..).zip(waves).map(|(number, wave)| of_wave(wave, number, None)).collect();
    filled.recorded(BroadcastRecord { pace: Some(pace), ..record("b-1") }, &expected);
    // As through the queues, whose messages do not name the wave.
    filled.settle("b-1", Delivery { wave: None, ..of_wave(1, 0, Some(Outcome::Delivered)) });
}

#[test]
fn a_broadcast_in_waves_shows_each_wave_and_the_pause() {
    let filled = Filled::new();
    paused(&filled, "2h");
    let page = filled.page("");
    let body = page.body("/broadcast?id=b-1");
    for text in [
        "Waiting after wave 1 of 3: 1 of 6 containers notified (1 delivered, 5 pending).",
        "<p>Pace: pause 2h; waves 1,50%</p>",
        "<p>Pause after wave 1: wave 2 begins at <time datetime=\"20",
        "<caption>Shares of the fleet that are called together, in their order</caption>",
        "href=\"broadcast?id=b-1&amp;wave=2#containers\">Wave 2</a></th><td class=\"number\">2</td>",
        "<td class=\"nowrap\">ended <time datetime=\"20",
        "<td class=\"nowrap\">waits</td>",
        "<label>Wave <select name=\"wave\">",
        "5 pending</a>: called in a later wave: nothing to do, or `continue` where the pause is manual",
        "<th scope=\"col\">Wave</th>",
    ] {
        assert!(body.contains(text), "{text}: {body}");
    }
    assert_eq!(body.matches("<td class=\"nowrap\">waits</td>").count(), 2, "{body}");
    let shown = |query: &str| rows(&page.body(&format!("/broadcast?id=b-1{query}")));
    assert_eq!((shown("&wave=1"), shown("&wave=3"), shown("&wave=9")), (1, 3, 0));
    assert_eq!(page.get("/broadcast?id=b-1&wave=x").status, 400);
    until("it is counted", || page.body("/").contains("in wave 1 of 3"));

    let report = filled.run("report b-1 --format json").run();
    assert_eq!(page.body("/broadcast.json?id=b-1"), report.stdout);
    let summary: Value = serde_json::from_str(report.stdout.lines().last().unwrap()).unwrap();
    let waves = &summary["summary"]["waves"];
    assert!(waves[0]["ended_at"].as_str().unwrap().ends_with('Z'), "{summary}");
    assert!(waves[1].get("ended_at").is_none(), "{summary}");
    // A part of a report knows the wave of the whole.
    let pending = filled.run("report b-1 --only pending --format json").run();
    let lines = pending.stdout.lines().filter(|line| line.contains("called in a later wave"));
    assert_eq!(lines.count(), 5, "{pending}");
    let history = filled.run("history --format json").run();
    let line: Value = serde_json::from_str(history.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&line["wave"], &line["waves"]), (&1.into(), &3.into()), "{history}");
    let file = filled.run("report b-1 --format html").run().stdout;
    assert!(file.contains(">Wave 2</th>") && !file.contains("href=\"broadcast"), "{file}");

    filled.settle("b-1", of_wave(2, 1, Some(Outcome::Delivered)));
    let running = "Running, wave 2 of 3: 2 of 6 containers notified";
    until("the second wave has begun", || page.body("/broadcast?id=b-1").contains(running));
}

#[test]
fn a_pause_of_many_hours_is_not_the_end() {
    let filled = Filled::new();
    let mut in_waves = Pace::new();
    (in_waves.waves, in_waves.pause) = (Some("1".to_owned()), Some("manual".to_owned()));
    let asked_at = 1_700_000_000_000;
    let old = BroadcastRecord { pace: Some(in_waves), asked_at, ..record("b-1") };
    filled.recorded(old, &[of_wave(1, 1, None), of_wave(2, 2, None)]);
    filled.recorded(BroadcastRecord { asked_at, ..record("b-2") }, &[delivery("web", 1, None)]);
    let page = filled.page("");
    assert!(page.body("/broadcast?id=b-1").contains("Running, wave 1 of 2: "));
    assert!(page.body("/broadcast?id=b-2").contains("No further outcome is expected: "));
}

#[test]
fn a_stopped_broadcast_shows_the_wave_and_the_reason() {
    let refusing = service("web", 10, "answers = [{ status = 403 }]");
    let pipeline = Pipeline::new(&fleet(&[refusing, service("api", 1, "")]));
    assert_eq!(pipeline.notifier("send -c prod -s web --id b-1 --waves 1,50%").run().code, 1);
    assert_eq!(pipeline.notifier("send -c prod -s api --id b-2").run().code, 0);
    let page = Page::of(pipeline.notifier("--quiet page --listen 127.0.0.1:0").start());
    let body = page.body("/broadcast?id=b-1");
    for text in [
        "Stopped at wave 1: 0 of 10 containers notified (9 skipped, 1 rejected).",
        "<p>Stopped at wave 1: 1 error, and at most 0 allowed</p>",
        "UTC</time>, stopped here</td>",
    ] {
        assert!(body.contains(text), "{text}: {body}");
    }
    assert_eq!(body.matches("<td class=\"nowrap\">not called</td>").count(), 2, "{body}");
    until("it is counted", || page.body("/").contains("stopped at wave 1"));
    assert!(!page.body("/broadcast?id=b-2").contains("Waves"), "it has none");
    let file = pipeline.notifier("report b-1 --format html").run().stdout;
    assert!(file.contains("Stopped at wave 1: 1 error, and at most 0 allowed"), "{file}");
    // Only one of the two has the fields of waves.
    let history = pipeline.notifier("history --format csv").run();
    let columns: Vec<_> = history.stdout.lines().map(|line| line.matches(',').count()).collect();
    assert_eq!((history.code, columns.len()), (0, 3), "{history}");
    let lines = json(&pipeline.notifier("history --format json").run().stdout);
    assert_eq!((&lines[1]["stopped_at_wave"], &lines[1]["waves"]), (&1.into(), &3.into()));
    assert!(lines[0].get("waves").is_none(), "{lines:?}");
}

#[test]
fn late_tasks_are_marked_and_can_be_filtered() {
    let filled = Filled::new();
    let late =
        (1..4).map(|number| Delivery { late: true, ..delivery("web", number, Some(Outcome::Delivered)) });
    let all: Vec<_> = late.chain([delivery("web", 9, Some(Outcome::Delivered))]).collect();
    let found = Some(Found { method: DiscoveryMethod::Registry, age_ms: Some(3_000) });
    filled.recorded(BroadcastRecord { found, ..record("b-1") }, &all);
    filled.broadcast("b-2", &[delivery("web", 1, Some(Outcome::Delivered))]);
    let page = filled.page("");
    let body = page.body("/broadcast?id=b-1");
    for text in [
        "<dt>Tasks found</dt><dd>in the registry, 3.0 s old</dd>",
        "href=\"broadcast?id=b-1&amp;late=yes#containers\">3 late containers</a>",
        "<label>Tasks <select name=\"late\">",
    ] {
        assert!(body.contains(text), "{text}: {body}");
    }
    assert_eq!(body.matches("<span class=\"badge\">late</span>").count(), 3);
    let filtered = page.body("/broadcast?id=b-1&late=yes");
    assert_eq!(rows(&filtered), 3);
    assert!(filtered.contains("<option value=\"yes\" selected>late</option>"), "{filtered}");
    let other = page.body("/broadcast?id=b-2");
    assert!(!other.contains("Tasks found") && !other.contains("name=\"late\""), "{other}");
    let file = filled.run("report b-1 --format html").run().stdout;
    assert!(file.contains("<dd>3 late containers</dd>") && file.contains("badge\">late"), "{file}");
}

#[test]
fn each_way_of_several_clusters_is_shown() {
    let filled = Filled::new();
    let all = BroadcastRecord {
        cluster: "one".to_owned(),
        clusters: vec!["two".to_owned(), "three".to_owned()],
        ..record("b-1")
    };
    let names = ["one", "two", "three"].map(str::to_owned);
    let split = filled.ledger.split(all.clone(), &names);
    filled.runtime.block_on(split).unwrap();
    let registry = |age_ms| Found { method: DiscoveryMethod::Registry, age_ms: Some(age_ms) };
    let ways = [DiscoveryMethod::Services.into(), registry(2_000), registry(7_000)];
    for (cluster, found) in names.into_iter().zip(ways) {
        let (found, split) = (Some(found), true);
        let own = BroadcastRecord { cluster, clusters: Vec::new(), split, found, ..all.clone() };
        filled.runtime.block_on(filled.ledger.broadcast(own, &[], &[])).unwrap();
    }
    let body = filled.page("").body("/broadcast?id=b-1");
    let expected = "<dd>service by service (1 cluster); in the registry, 7.0 s old (2 clusters)</dd>";
    assert!(body.contains(expected), "{body}");
}

/// A form of the page itself.
fn post(page: &Page, body: &str) -> Answer {
    let own = format!("http://{}", page.address);
    page.raw("POST", "/continue?id=b-1", &[("authorization", &page.bearer()), ("origin", &own)], body)
}

#[test]
fn a_pause_is_ended_only_with_the_flag_the_id_typed_and_the_wave_that_was_seen() {
    let filled = Filled::new();
    paused(&filled, "manual");
    let is_continued = || filled.runtime.block_on(filled.ledger.is_continued(&id("b-1"), 1)).unwrap();
    let reading = filled.page("");
    let report = filled.run("report b-1").run();
    assert!(report.stderr.contains("`ecs-task-notifier continue b-1` ends its pause"), "{report}");
    let waits = "wave 2 begins when somebody continues the broadcast";
    let body = reading.body("/broadcast?id=b-1");
    assert!(body.contains(waits) && !body.contains("continue?"), "no action without the flag: {body}");
    let right = "confirm=b-1&wave=1";
    assert_eq!((post(&reading, right).status, reading.get("/continue?id=b-1").status), (404, 404));

    let acting = filled.page("--allow-actions");
    let body = acting.body("/broadcast?id=b-1");
    assert!(body.contains("href=\"continue?id=b-1\">Continue after wave 1…</a>"), "{body}");
    let question = acting.get("/continue?id=b-1");
    assert!(
        question.body.contains("The pause after wave 1 ends")
            && question.head.contains("referrer-policy: same-origin"),
        "{question:?}"
    );
    for wrong in ["", "confirm=&wave=1", "confirm=b-2&wave=1", "confirm=b-1", "confirm=b-1&wave=2"] {
        let answer = post(&acting, wrong);
        assert!(answer.status == 400 && answer.body.contains("nothing was continued"), "{wrong}: {answer:?}");
    }
    let bearer = acting.bearer();
    for headers in [&[][..], &[("origin", "http://evil.example")], &[("sec-fetch-site", "same-site")]] {
        let headers = [headers, &[("authorization", bearer.as_str())]].concat();
        assert_eq!(acting.raw("POST", "/continue?id=b-1", &headers, right).status, 403, "{headers:?}");
    }
    assert!(!is_continued());
    let done = post(&acting, right);
    assert!(done.status == 303 && done.head.contains("location: broadcast?id=b-1"), "{done:?}");
    assert!(is_continued());
    let after = acting.body("/broadcast?id=b-1");
    assert!(after.contains("The pause after wave 1 was ended, so wave 2 begins soon."), "{after}");
    assert!(!after.contains("continue?"), "{after}");

    for number in 1..3 {
        filled.settle("b-1", of_wave(2, number, Some(Outcome::Delivered)));
    }
    until("the second wave is over", || acting.body("/broadcast?id=b-1").contains("Continue after wave 2…"));
    assert_eq!(post(&acting, right).status, 400, "a form that is older than the wave");
    for number in 3..6 {
        filled.settle("b-1", of_wave(3, number, Some(Outcome::Delivered)));
    }
    until("it has ended", || acting.get("/continue?id=b-1").status == 409);
    let ended = acting.get("/continue?id=b-1");
    assert!(ended.body.contains("The broadcast has ended, so there is no pause to end."), "{ended:?}");
    assert_eq!(post(&acting, right).status, 409);
}

#[test]
fn a_service_that_is_behind_the_others_can_be_continued() {
    let filled = Filled::new();
    let mut by_hand = Pace::new();
    (by_hand.waves, by_hand.pause) = (Some("1,50%".to_owned()), Some("manual".to_owned()));
    let ended = Some(Outcome::Delivered);
    let other = |wave, number, outcome| Delivery { wave: Some(wave), ..delivery("api", number, outcome) };
    let all = [
        of_wave(1, 1, ended),
        of_wave(2, 2, None),
        of_wave(3, 3, None),
        other(1, 4, ended),
        other(2, 5, ended),
        other(3, 6, None),
    ];
    filled.recorded(BroadcastRecord { pace: Some(by_hand), ..record("b-1") }, &all);
    let page = filled.page("--allow-actions");
    let body = page.body("/broadcast?id=b-1");
    assert!(
        body.contains("Running, wave 2 of 3: ") && body.contains(">Continue after wave 1…</a>"),
        "{body}"
    );
    assert!(body.contains("Pause after wave 1 for services that are behind."), "{body}");
    assert_eq!(post(&page, "confirm=b-1&wave=1").status, 303);
    let next = ">Continue after wave 2…</a>";
    until("the pause of the other service is next", || page.body("/broadcast?id=b-1").contains(next));
}

#[test]
fn send_goes_on_when_the_page_continues() {
    let pipeline = Pipeline::new(&fleet(&[service("web", 3, "")]));
    let mut send = pipeline.notifier("send -c prod --id b-1 --waves 1 --pause manual --quiet").start();
    until("the ledger is there", || pipeline.ledger().exists());
    let page = Page::of(pipeline.notifier("--quiet page --listen 127.0.0.1:0 --allow-actions").start());
    let has_link = || page.get("/broadcast?id=b-1").body.contains("Continue after wave 1…");
    until("the first wave has ended", has_link);
    assert_eq!(pipeline.received().len(), 1);
    assert_eq!(post(&page, "confirm=b-1&wave=1").status, 303);
    let code = send.child.wait().unwrap().code();
    assert_eq!((code, pipeline.received().len()), (Some(0), 3));
}
