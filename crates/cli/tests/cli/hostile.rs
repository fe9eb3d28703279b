//! Untrusted text with control characters must not reach a terminal unescaped.

use crate::pipeline::{Pipeline, fleet, service};
use crate::support::{Run, until};

/// Erases the screen, sets the title, changes the direction of text, rings; each in JSON form.
const COMMANDS: &str = r"\u001b[2J\u001b]0;x\u0007\u202e\u009b";

/// Whether it has control characters other than colours.
pub(crate) fn commands(run: &Run) -> bool {
    let written = format!("{}{}", run.stdout, run.stderr);
    let mut parts = written.split("\u{1b}[");
    let first = parts.next().unwrap_or_default();
    let is_colour = |part: &&str| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest.starts_with('m')
    };
    let turns = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    first.contains(turns) || parts.any(|part| !is_colour(&part) || part.contains(turns))
}

#[test]
fn what_others_wrote_into_queues_and_the_ledger_does_not_command_the_terminal_of_a_reader() {
    let answers = format!("answers = [{{ status = 403, body = \"{COMMANDS}\" }}]");
    let pipeline = Pipeline::new(&fleet(&[service("work", 1, &answers)]));
    let event = r#"{ "id": "b-1", "type": "t" }"#;
    let (nowhere, nobody) = (format!("{COMMANDS}nowhere"), format!("{COMMANDS}nobody"));
    for body in [
        format!(r#"{{ "cluster": "{nowhere}", "event": {{ "id": "b-2", "type": "t" }} }}"#),
        format!(r#"{{ "cluster": "prod", "services": ["work", "{nobody}"], "event": {event} }}"#),
        format!("{COMMANDS}, which is no message"),
    ] {
        pipeline.send("observer", &body);
    }
    let daemon = pipeline.notifier("--color always serve --listen none --retry-wait-ms 1").start();
    until("all have ended", || {
        pipeline.notifier("redrive --dry-run --format json").run().stdout.lines().count() >= 4
    });
    let reason = "\u{1b}[2Jlate";
    assert_eq!(pipeline.notifier("cancel b-1 --reason").arg(reason).run().code, 0);
    let runs = [
        "report b-1",
        "report b-2",
        "report b-1 --format json",
        "history",
        "history --format json",
        "redrive --dry-run",
        "redrive --dry-run --format json",
        "drop --reason x",
        "report b-1 -vvv",
        "report b-1 --wait=1 --progress json",
    ];
    let mut all = String::new();
    for arguments in runs {
        let run = pipeline.notifier(&format!("--color always {arguments}")).run();
        assert!(!commands(&run), "{arguments}: {run:?}");
        all += &run.to_string();
    }
    let log = daemon.stop();
    assert!(!commands(&log), "{log:?}");
    for shown in ["nowhere", "nobody", "late", "403 Forbidden"] {
        assert!(all.contains(shown), "{shown} was not shown: {all}");
    }
    // Passed as a flag, and repeated in the error.
    for arguments in ["plan -c", "send -c", "publish -c x --queue"] {
        let run = pipeline.notifier(&format!("--color always {arguments}")).arg("\u{1b}[2J\u{202e}").run();
        assert!(run.code != 0 && !commands(&run), "{arguments}: {run:?}");
    }
}
