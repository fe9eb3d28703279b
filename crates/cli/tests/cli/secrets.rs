//! Searches for secrets in all output of the commands and of the daemon.

use std::fs::{self, File};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::needles::{found, needles};

use crate::pipeline::{Pipeline, fleet, service};
use crate::support::{Notifier, Running, until};

const KEY: &[u8; 32] = b"MARK-key-5d0e17b3-MARK-key-c9a42";
const BEARER: &str = "MARK-bearer-1f6a93c4-MARK-bearer-07";
const AWS: &str = "MARK-aws-secret-38be02d1-MARK-aws-72";

fn knowing_secrets(run: Notifier) -> Notifier {
    run.env("KEY", &format!("whsec_{}", STANDARD.encode(KEY)))
        .env("HEADERS", &format!("Authorization: Bearer {BEARER}"))
        .env("NOTIFIER_SIGNING_SECRET", "env:KEY")
        .env("NOTIFIER_HEADERS_SECRET", "env:HEADERS")
        .env("AWS_SECRET_ACCESS_KEY", AWS)
}

/// One task that accepts, one that rejects, one that is not available at first, and one that echoes the request.
fn services() -> [String; 4] {
    let echo = format!("answers = [{{ status = 403, body = '{BEARER}' }}]");
    [
        service("accepts", 1, ""),
        service("refuses", 1, "answers = [{ status = 401 }]"),
        service("flaky", 1, "answers = [{ status = 503 }, { status = 200 }]"),
        service("echoes", 1, &echo),
    ]
}

#[test]
fn no_secret_is_in_a_report_nor_in_anything_else_that_the_commands_write() {
    let pipeline = Pipeline::new(&fleet(&services()));
    let written = tempfile::tempdir().unwrap();
    let log = written.path().join("log");
    // Nothing reads the output meanwhile, and a pipe would fill up.
    let mut serve =
        knowing_secrets(pipeline.notifier("-vvv serve --listen none --retry-wait-ms 1")).command();
    let daemon = Running::spawn({
        serve.stderr(File::create(&log).unwrap());
        serve
    });
    until("the daemon has made the ledger", || pipeline.ledger().exists());
    let mut text = String::new();
    let mut run = |arguments: &str, code: i32| {
        let run = knowing_secrets(pipeline.notifier(arguments)).run();
        assert_eq!(run.code, code, "{arguments}: {run}");
        text += &run.to_string();
    };
    run("-vvv publish -c prod --id b-1 --wait=90", 1);
    run("-vvv plan -c prod", 0);
    for format in ["text", "json", "csv"] {
        run(&format!("-vvv send -c prod --id b-{format} --retry-wait-ms 1 --format {format}"), 1);
        run(&format!("report b-1 --format {format}"), 1);
        run(&format!("redrive --dry-run --format {format}"), 0);
    }
    run("-vvv send -c prod --id b-2 --retry-wait-ms 1 --progress json", 1);
    run("history", 0);
    run("send -c prod --signing-secret env:NONE", 2);
    run("send -c prod --signing-secret env:HEADERS", 2);
    run("send -c prod --headers-secret env:KEY", 2);
    let log_says = |what: &str| fs::read_to_string(&log).unwrap().contains(what);
    until("the log holds the end of the broadcast", || log_says("echoes"));
    daemon.kill();
    text += &fs::read_to_string(&log).unwrap();

    let bearers = pipeline.received();
    let bearer = format!("Bearer {BEARER}");
    assert!(bearers.iter().all(|call| call.header("authorization") == Some(bearer.as_str())));
    for said in [
        "answered 403 Forbidden: [secret]",
        "DEBUG",
        "what to do:",
        "broadcast,account,region,cluster,service",
    ] {
        assert!(text.contains(said), "{said} is missing in what was searched");
    }
    let needles = needles(&[&KEY[..], BEARER.as_bytes(), AWS.as_bytes()]);
    eprintln!("searched {} bytes for {} forms", text.len(), needles.len());
    assert!(found(&needles, &format!("{text}{BEARER}")).len() > 1, "what is there is found");
    assert!(found(&needles, &text).is_empty(), "{:?} in {} bytes", found(&needles, &text), text.len());
}
