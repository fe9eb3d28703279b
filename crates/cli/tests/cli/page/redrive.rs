//! Dead letters that the page sends back.

use serde_json::json;

use super::setup::{Answer, Filled, Page};
use crate::pipeline::{Pipeline, fleet, service};
use crate::support::until;

/// A form of the page itself.
fn post(page: &Page, path: &str, body: &str) -> Answer {
    let own = format!("http://{}", page.address);
    page.raw("POST", path, &[("authorization", &page.bearer()), ("origin", &own)], body)
}

#[test]
fn dead_letters_go_back_after_the_id_was_typed_and_the_result_is_shown() {
    let services =
        [service("accepts", 2, ""), service("recovers", 1, "answers = [{ status = 403 }, { status = 200 }]")];
    let pipeline = Pipeline::new(&fleet(&services));
    let daemon = pipeline.serve("");
    assert_eq!(pipeline.broadcast().code, 1);
    // It ends after its work: the dead letter is on its queue.
    daemon.stop();
    let start = |arguments: &str| {
        Page::of(pipeline.notifier(&format!("--quiet page --listen 127.0.0.1:0 {arguments}")).start())
    };
    let reading = start("");
    assert!(!reading.body("/broadcast?id=b-1").contains("redrive?"), "no action without the flag");
    assert_eq!(post(&reading, "/redrive?id=b-1", "confirm=b-1").status, 404);

    let acting = start("--allow-actions");
    assert!(acting.body("/broadcast?id=b-1").contains("href=\"redrive?id=b-1\""));
    let question = acting.get("/redrive?id=b-1");
    assert!(
        question.body.contains("Type the id to confirm")
            && question.head.contains("referrer-policy: same-origin"),
        "{question:?}"
    );
    for wrong in ["", "confirm=", "confirm=b-2"] {
        let answer = post(&acting, "/redrive?id=b-1", wrong);
        assert!(answer.status == 400 && answer.body.contains("nothing was sent back"), "{wrong}: {answer:?}");
    }
    let bearer = acting.bearer();
    for headers in [&[][..], &[("origin", "http://evil.example")], &[("sec-fetch-site", "same-site")]] {
        let headers = [headers, &[("authorization", bearer.as_str())]].concat();
        assert_eq!(acting.raw("POST", "/redrive?id=b-1", &headers, "confirm=b-1").status, 403, "{headers:?}");
    }
    assert!(!acting.body("/redrive?id=b-1").contains("Done."), "nothing has begun");

    let begun = post(&acting, "/redrive?id=b-1", "confirm=b-1");
    assert!(begun.status == 303 && begun.head.contains("location: redrive?id=b-1"), "{begun:?}");
    let running = acting.get("/redrive?id=b-1");
    if !running.body.contains("Done.") {
        assert!(running.head.contains("refresh: 2") && !running.body.contains("<form"), "{running:?}");
        assert_eq!(post(&acting, "/redrive?id=b-1", "confirm=b-1").status, 503, "one at a time");
    }
    until("it has ended", || acting.body("/redrive?id=b-1").contains("Done."));
    let done = acting.body("/redrive?id=b-1");
    assert!(done.contains("1 dead letter is back on the queues.") && !done.contains("could not"), "{done}");

    let _daemon = pipeline.serve("");
    let (report, code) = pipeline.report();
    assert_eq!((&report["recovers"]["outcome"], code), (&json!("delivered"), 0), "{report:?}");
    until("the page follows", || acting.body("/broadcast?id=b-1").contains("3 of 3 containers notified"));
    assert_eq!(post(&acting, "/redrive?id=b-1", "confirm=b-1").status, 303);
    until("there is nothing left", || {
        acting.body("/redrive?id=b-1").contains("0 dead letters are back on the queues.")
    });
}

#[test]
fn a_page_that_knows_no_queue_offers_no_redrive() {
    let filled = Filled::new();
    filled.broadcast("b-1", &[]);
    let page = filled.page("--allow-actions");
    assert!(!page.body("/broadcast?id=b-1").contains("redrive?"));
    assert_eq!(
        (page.get("/redrive?id=b-1").status, post(&page, "/redrive?id=b-1", "confirm=b-1").status),
        (404, 404)
    );
}

#[test]
fn a_queue_without_dead_letters_is_a_problem_that_is_shown_as_text() {
    let filled = Filled::new();
    filled.broadcast("b-1", &[]);
    // Nothing answers there.
    let run = filled.run("page --listen 127.0.0.1:0 --quiet --allow-actions");
    let run =
        run.at("http://127.0.0.1:9").env("NOTIFIER_TASKS_QUEUE_URL", "http://127.0.0.1:9/111122223333/a<b>");
    let refused = run.run();
    assert_eq!(refused.code, 2, "a name that SQS does not have is refused at the start: {refused}");
    let run = filled.run("page --listen 127.0.0.1:0 --quiet --allow-actions").at("http://127.0.0.1:9");
    let page = Page::of(run.env("NOTIFIER_TASKS_QUEUE_URL", "http://127.0.0.1:9/111122223333/tasks").start());
    assert_eq!(post(&page, "/redrive?id=b-1", "confirm=b-1").status, 303);
    until("it has ended", || page.body("/redrive?id=b-1").contains("Done."));
    let body = page.body("/redrive?id=b-1");
    assert!(
        body.contains("0 dead letters are back on the queues.")
            && body.contains("class=\"wrong\">stage notify: "),
        "{body}"
    );
}
