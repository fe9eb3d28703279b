//! Requests that the page refuses, and what it sends with every answer.

use std::net::TcpListener;

use notifier::model::Outcome;

use super::setup::{Filled, Page, delivery, id};

fn filled() -> Filled {
    let filled = Filled::new();
    filled.broadcast("b-1", &[delivery("web", 1, Some(Outcome::Delivered)), delivery("web", 2, None)]);
    filled
}

/// The cookie of a log-in.
fn cookie(page: &Page) -> String {
    let origin = format!("http://{}", page.address);
    let answer = page.raw("POST", "/login", &[("origin", &origin)], &format!("token={}", page.token));
    assert_eq!(answer.status, 303, "{answer:?}");
    let line = answer.head.lines().find(|line| line.starts_with("set-cookie: ")).unwrap().to_owned();
    assert!(line.ends_with("; httponly; samesite=strict; path=/"), "{line}");
    line.trim_start_matches("set-cookie: ").split(';').next().unwrap().to_owned()
}

#[test]
fn without_the_token_there_are_only_the_form_and_its_files() {
    let filled = filled();
    let page = filled.page("--allow-actions");
    assert_eq!(page.token.len(), 64);
    for path in [
        "/",
        "/broadcast?id=b-1",
        "/broadcast.csv?id=b-1",
        "/broadcast.json?id=b-1",
        "/stream?id=b-1",
        "/task?id=b-1",
        "/cancel?id=b-1",
        "/continue?id=b-1",
        "/x",
    ] {
        let answer = page.raw("GET", path, &[], "");
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
        assert!(answer.body.contains("name=\"token\"") && !answer.body.contains("b-1"), "{path}: {answer:?}");
    }
    for path in ["/page.css", "/page.js", "/healthz"] {
        assert_eq!(page.raw("GET", path, &[], "").status, 200, "{path}");
    }
    for wrong in ["Bearer x", "Bearer ", "Basic x", page.bearer().get(..60).unwrap()] {
        assert_eq!(page.raw("GET", "/", &[("authorization", wrong)], "").status, 401, "{wrong}");
    }
}

#[test]
fn the_token_becomes_a_cookie_that_scripts_cannot_read() {
    let filled = filled();
    let page = filled.page("");
    let cookie = cookie(&page);
    assert!(
        cookie.starts_with(&format!("ecs-task-notifier-{}=", page.address.rsplit(':').next().unwrap())),
        "{cookie}"
    );
    assert!(!cookie.contains(&page.token));
    assert_eq!(page.raw("GET", "/broadcast?id=b-1", &[("cookie", &cookie)], "").status, 200);
    let other = filled.page("");
    assert_eq!(other.raw("GET", "/", &[("cookie", &cookie)], "").status, 401, "it is of one process");
    let origin = format!("http://{}", page.address);
    for (body, status) in [("token=wrong", 401), ("", 401), (&*"x".repeat(5_000), 400)] {
        let answer = page.raw("POST", "/login", &[("origin", &origin)], body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!answer.head.contains("set-cookie"), "{answer:?}");
    }
}

#[test]
fn a_foreign_name_that_leads_here_is_no_host() {
    let filled = filled();
    let page = filled.page("--allowed-host page.example.com");
    let bearer = page.bearer();
    let status = |host: &str| page.raw("GET", "/", &[("host", host), ("authorization", &bearer)], "").status;
    assert_eq!((status("localhost"), status("page.example.com"), status("127.0.0.1:1")), (200, 200, 200));
    for host in ["evil.example", "page.example.com.evil.example", "", "10.0.0.1"] {
        assert_eq!(status(host), 421, "{host}");
    }
    assert_eq!(page.raw("GET", "/page.js", &[("host", "evil.example")], "").status, 421);
    assert_eq!(
        page.raw("GET", "/healthz", &[("host", "10.0.0.1")], "").status,
        200,
        "a load balancer checks the health"
    );
}

#[test]
fn requests_that_another_site_causes_are_refused() {
    let filled = filled();
    let page = filled.page("--allow-actions");
    let cookie = cookie(&page);
    let get = |headers: &[(&str, &str)]| {
        page.raw("GET", "/broadcast.json?id=b-1", &[headers, &[("cookie", &cookie)]].concat(), "")
    };
    for site in ["cross-site", "same-site"] {
        assert_eq!(get(&[("sec-fetch-site", site), ("sec-fetch-mode", "cors")]).status, 403, "{site}");
    }
    assert_eq!(get(&[("origin", "http://evil.example")]).status, 403);
    let own = format!("http://{}", page.address);
    assert_eq!(get(&[("sec-fetch-site", "same-origin"), ("origin", &own)]).status, 200);
    let post = |headers: &[(&str, &str)]| {
        page.raw("POST", "/cancel?id=b-1", &[headers, &[("cookie", &cookie)]].concat(), "confirm=b-1").status
    };
    for headers in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "http://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
    ] {
        assert_eq!(post(headers), 403, "{headers:?}");
    }
    let cancelled = filled.runtime.block_on(filled.ledger.cancelled(&id("b-1"))).unwrap();
    assert_eq!(cancelled, None);
}

#[test]
fn a_broadcast_is_cancelled_only_with_the_flag_and_its_id_typed() {
    let filled = filled();
    let cancelled = || filled.runtime.block_on(filled.ledger.cancelled(&id("b-1"))).unwrap();
    let post = |page: &Page, body: &str| {
        let own = format!("http://{}", page.address);
        page.raw("POST", "/cancel?id=b-1", &[("authorization", &page.bearer()), ("origin", &own)], body)
    };
    let reading = filled.page("");
    assert_eq!((post(&reading, "confirm=b-1").status, reading.get("/cancel?id=b-1").status), (404, 404));
    assert_eq!(cancelled(), None);

    let acting = filled.page("--allow-actions");
    assert!(acting.body("/broadcast?id=b-1").contains("href=\"cancel?id=b-1\""));
    let question = acting.get("/cancel?id=b-1");
    assert!(
        question.body.contains("Type the id to confirm")
            && question.head.contains("referrer-policy: same-origin")
    );
    for wrong in ["", "confirm=", "confirm=b-2&reason=x"] {
        let answer = post(&acting, wrong);
        assert!(answer.status == 400 && answer.body.contains("nothing was cancelled"), "{wrong}: {answer:?}");
    }
    assert_eq!(cancelled(), None);
    let done = post(&acting, "confirm=b-1&reason=wrong+cache");
    assert!(done.status == 303 && done.head.contains("location: broadcast?id=b-1"), "{done:?}");
    assert_eq!(cancelled().unwrap().reason, "wrong cache");
    let after = acting.body("/broadcast?id=b-1");
    assert!(
        after.contains("Cancelled: 1 of 2 containers notified") && after.contains("wrong cache"),
        "{after}"
    );
}

#[test]
fn every_answer_forbids_scripts_frames_and_caches() {
    let filled = filled();
    let page = filled.page("");
    let bearer = page.bearer();
    for (path, bearer) in [
        ("/", bearer.as_str()),
        ("/broadcast?id=b-1", &bearer),
        ("/broadcast.csv?id=b-1", &bearer),
        ("/", "x"),
        ("/x", &bearer),
        ("/page.js", ""),
    ] {
        let head = page.raw("GET", path, &[("authorization", bearer)], "").head;
        for line in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(line), "{path}: {line}: {head}");
        }
        assert!(!head.contains("access-control"), "{path}: {head}");
    }
    let body = page.body("/broadcast?id=b-1");
    let tags = body.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    for tag in tags {
        let inline = ["style", " on"].iter().any(|one| tag.contains(one) && !tag.starts_with("link"));
        assert!(!inline && !tag.contains("javascript:"), "{tag}");
    }
    assert_eq!(
        page.raw("POST", "/", &[("authorization", &bearer), ("sec-fetch-site", "same-origin")], "").status,
        405
    );
}

#[test]
fn a_page_without_a_token_listens_only_on_loopback() {
    let filled = filled();
    let open = filled.page("--no-token");
    assert_eq!((open.token.as_str(), open.raw("GET", "/broadcast?id=b-1", &[], "").status), ("", 200));
    assert_eq!(open.raw("GET", "/", &[("host", "evil.example")], "").status, 421);
    let refused = filled.run("page --no-token --listen 0.0.0.0:0").run();
    assert!(refused.code == 2 && refused.stderr.contains("so the page needs a token"), "{refused}");
    let both = filled.run("page --no-token --token-file x").run();
    assert_eq!(both.code, 2, "{both}");
}

#[test]
fn a_token_from_a_file_is_long_and_is_not_printed() {
    let filled = filled();
    let file = filled.directory.path().join("token");
    let token = "0123456789abcdef0123456789abcdef";
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let page = filled.page(&format!("--token-file {}", file.display()));
    assert_eq!(page.token, "");
    let bearer = format!("Bearer {token}");
    assert_eq!(page.raw("GET", "/", &[("authorization", &bearer)], "").status, 200);
    let page = Page::of(
        filled
            .run("page --listen 127.0.0.1:0 --quiet --token-secret env:PAGE_TOKEN")
            .env("PAGE_TOKEN", token)
            .start(),
    );
    assert_eq!(
        (page.token.as_str(), page.raw("GET", "/", &[("authorization", &bearer)], "").status),
        ("", 200)
    );
    let missing = filled.run("page --token-secret env:PAGE_TOKEN").run();
    assert!(
        missing.code == 2 && missing.stderr.contains("the secret with the token cannot be read"),
        "{missing}"
    );
    std::fs::write(&file, "short").unwrap();
    let short = filled.run(&format!("page --token-file {}", file.display())).run();
    assert!(short.code == 2 && short.stderr.contains("32 printable ASCII characters"), "{short}");
    assert!(!short.stderr.contains("short"), "{short}");
}

#[test]
fn an_address_in_use_and_a_missing_ledger_are_errors() {
    let filled = filled();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let run = filled.run(&format!("page --listen {}", taken.local_addr().unwrap())).run();
    assert!(run.code == 3 && run.stderr.contains("choose another address with --listen"), "{run}");
    let run = crate::support::notifier("page --ledger sqlite:/nonexistent/ledger.db").run();
    assert_eq!(run.code, 2, "{run}");
    let stopped = filled.page("").process.stop();
    assert_eq!(stopped.code, 0, "{stopped}");
}
