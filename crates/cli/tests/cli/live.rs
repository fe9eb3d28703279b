//! The live display on terminals of several sizes, and its absence elsewhere.

use crate::pipeline::{Pipeline, fleet, service};
use crate::support::{Sim, answering, redacted};
use crate::terminal::{Shown, Terminal, Watched};

const USUAL: Terminal = Terminal { columns: 80, rows: 24 };

/// The quick tasks have answered.
const HALFWAY: &str = "2 of 4 containers notified";

/// Text that only the live display writes.
const SPINNER_OR_BAR: [char; 12] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏', '█', '░'];

/// Two tasks that answer at once, and two slow ones.
const FLEET: &str = r#"
[[cluster]]
name = "prod"
[[cluster.service]]
name = "quick"
launch_type = "FARGATE"
tasks = 2
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }

[[cluster.service]]
name = "slow-to-answer"
launch_type = "FARGATE"
tasks = 2
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }
answers = [{ status = 200, delay_ms = 1000 }]
"#;

fn send(terminal: Terminal, arguments: &str, variables: &[(&str, &str)], shown: Shown) -> Watched {
    let sim = Sim::start(FLEET);
    let run =
        sim.notifier(&format!("send --cluster prod --id cache-7 {arguments}")).env("TERM", "xterm-256color");
    let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
    let watched = terminal.watch(run, shown);
    assert_eq!(watched.code, 0, "{watched:#?}");
    watched
}

fn is_live(text: &str) -> bool {
    text.contains(SPINNER_OR_BAR)
}

/// The lines of the live display on this screen.
fn block(screen: &str) -> Vec<&str> {
    screen.lines().filter(|line| is_live(line)).collect()
}

/// The screen on which only the quick tasks have answered.
fn halfway(watched: &Watched) -> &str {
    let found = watched.screens.iter().find(|screen| screen.contains(HALFWAY));
    found.unwrap_or_else(|| panic!("it was never half-way: {watched:#?}"))
}

/// The screen with a fixed spinner and a fixed time.
fn still(screen: &str) -> String {
    let spinners = &SPINNER_OR_BAR[..10];
    let still = |line: &str| match line.strip_prefix(spinners).and_then(|line| line.split_once("  ")) {
        Some((_, rest)) => format!("* 0:01  {rest}"),
        None => line.to_owned(),
    };
    screen.lines().map(still).collect::<Vec<_>>().join("\n")
}

/// No screen may have two blocks, or remains of one.
fn one_block_at_a_time(watched: &Watched) {
    for screen in &watched.screens {
        let totals = screen
            .lines()
            .filter(|line| line.contains("containers notified") || line.contains("looking for"));
        assert!(totals.count() <= 1, "{screen}");
    }
    assert!(!is_live(watched.last()), "{}", watched.last());
}

#[test]
fn on_a_terminal_each_service_has_a_bar_that_grows_and_goes_when_the_report_is_there() {
    let _bound = redacted();
    let watched = send(USUAL, "", &[], Shown::Both);
    insta::assert_snapshot!(still(halfway(&watched)), @r"
    broadcast cache-7 to cluster prod (account 111122223333, region us-east-1)
    quick           ████████████████████████████████████████  2 of 2
    slow-to-answer  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0 of 2
    * 0:01  2 of 4 containers notified
      waiting for slow-to-answer 6d2b5dac/app, slow-to-answer b2e69d7f/app
    ");
    insta::assert_snapshot!(watched.last(), @r"
    broadcast cache-7 to cluster prod (account 111122223333, region us-east-1)
    quick           2 of 2 notified  p50 [time]  p99 [time]  max [time]
    slow-to-answer  2 of 2 notified  p50 [time]  p99 [time]  max [time]
    4 containers: 4 delivered
    ");
    one_block_at_a_time(&watched);
}

#[test]
fn a_narrow_terminal_gets_narrow_bars() {
    let _bound = redacted();
    let watched = send(Terminal { columns: 40, rows: 24 }, "", &[], Shown::Both);
    insta::assert_snapshot!(still(halfway(&watched)), @r"
    broadcast cache-7 to cluster prod
    (account 111122223333, region us-east-1)
    quick          █████████  2 of 2
    slow-to-answ…  ░░░░░░░░░  0 of 2
    * 0:01  2 of 4 containers notified
      waiting for slow-to-answer (2)
    ");
    insta::assert_snapshot!(watched.last(), @r"
    broadcast cache-7 to cluster prod
    (account 111122223333, region us-east-1)
    quick           2 of 2 notified
    slow-to-answer  2 of 2 notified
    4 containers: 4 delivered
    ");
    one_block_at_a_time(&watched);
}

#[test]
fn a_wide_terminal_gets_no_endless_bars() {
    let watched = send(Terminal { columns: 200, rows: 50 }, "", &[], Shown::Both);
    let bars = block(halfway(&watched));
    assert!(bars.iter().all(|line| line.chars().count() <= 80), "{bars:#?}");
    assert_eq!(bars.len(), 3);
    one_block_at_a_time(&watched);
}

#[test]
fn a_terminal_of_few_rows_gets_the_total_and_no_bars() {
    let watched = send(Terminal { columns: 80, rows: 4 }, "", &[], Shown::Stderr);
    assert_eq!(block(halfway(&watched)).len(), 1);
    one_block_at_a_time(&watched);
}

#[test]
fn a_terminal_too_narrow_to_draw_on_gets_no_bars() {
    let watched = send(Terminal { columns: 30, rows: 24 }, "", &[], Shown::Both);
    assert!(!is_live(&watched.written), "{watched:#?}");
}

#[test]
fn columns_that_are_asked_for_do_not_make_bars_wider_than_the_terminal() {
    let watched = send(Terminal { columns: 50, rows: 24 }, "", &[("COLUMNS", "200")], Shown::Stderr);
    assert!(is_live(&watched.written));
    one_block_at_a_time(&watched);
}

#[test]
fn colour_is_for_terminals_and_no_color_takes_it_away_but_not_the_bars() {
    let colour =
        |watched: &Watched| {
            // SGR ends with `m`; cursor movements end with another letter.
            watched.written.split("\u{1b}[").skip(1).any(|rest| {
                rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
            })
        };
    let watched = send(USUAL, "", &[], Shown::Both);
    assert!(colour(&watched), "{watched:#?}");
    for (arguments, variables) in [("", [("NO_COLOR", "1")].as_slice()), ("--color never", &[])] {
        let watched = send(USUAL, arguments, variables, Shown::Both);
        assert!(!colour(&watched), "{watched:#?}");
        assert_eq!(block(halfway(&watched)).len(), 3, "{watched:#?}");
        one_block_at_a_time(&watched);
    }
}

#[test]
fn results_that_are_piped_are_plain_while_the_terminal_shows_progress() {
    let _bound = redacted();
    let watched = send(USUAL, "", &[], Shown::Stderr);
    assert_eq!(block(halfway(&watched)).len(), 3);
    assert_eq!(watched.last(), "broadcast cache-7 to cluster prod (account 111122223333, region us-east-1)");
    insta::assert_snapshot!(watched.piped, @r"
    quick           2 of 2 notified  p50 [time]  p99 [time]  max [time]
    slow-to-answer  2 of 2 notified  p50 [time]  p99 [time]  max [time]
    4 containers: 4 delivered
    ");
    let watched = send(USUAL, "--format json", &[], Shown::Stderr);
    assert!(watched.piped.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{watched:#?}");
    assert!(is_live(&watched.written));
}

#[test]
fn there_is_no_live_display_without_a_terminal_or_if_it_is_disabled() {
    let watched = send(USUAL, "", &[], Shown::Stdout);
    assert_eq!(watched.piped, "broadcast cache-7 to cluster prod (account 111122223333, region us-east-1)\n");
    assert!(!is_live(&watched.written), "{watched:#?}");
    let dumb: &[_] = &[("TERM", "dumb")];
    for (arguments, variables) in
        [("--quiet", [].as_slice()), ("", dumb), ("--progress none", &[]), ("--progress json", &[])]
    {
        let watched = send(USUAL, arguments, variables, Shown::Both);
        assert!(!is_live(&watched.written), "{arguments} {watched:#?}");
    }
    let sim = Sim::start(FLEET);
    let run = sim.notifier("send --cluster prod (account 111122223333, region us-east-1)").run();
    assert!(!is_live(&run.stdout) && !is_live(&run.stderr), "{run}");
}

#[test]
fn the_demo_is_live_too_and_leaves_its_report() {
    for columns in [40, 100] {
        let terminal = Terminal { columns, rows: 100 };
        let run = crate::support::notifier("demo --services 2 --tasks 20").env("TERM", "xterm-256color");
        let watched = terminal.watch(run, Shown::Both);
        assert_eq!(watched.code, 0, "{watched:#?}");
        assert!(is_live(&watched.written), "{watched:#?}");
        one_block_at_a_time(&watched);
        let last = watched.last();
        assert!(last.contains("all 15 services ended as staged"), "{last}");
        assert!(last.lines().all(|line| line.chars().count() <= usize::from(columns)), "{last}");
    }
}

/// From the first screen with the block to the last, the block is at the end of each.
fn never_without_the_block(watched: &Watched) {
    let has_block = |screen: &String| {
        let last = screen.lines().rev().find(|line| !line.starts_with("  "));
        last.is_some_and(is_live)
    };
    let first = watched.screens.iter().position(has_block).expect("there was no block");
    let last = watched.screens.iter().rposition(has_block).unwrap();
    for screen in &watched.screens[first..=last] {
        assert!(has_block(screen), "{screen}");
    }
}

#[test]
fn lines_during_the_broadcast_are_above_the_block_which_is_on_every_screen() {
    let sim = Sim::start(&FLEET.replace("delay_ms = 1000", "delay_ms = 8000"));
    let run = sim.notifier("send --cluster prod --timeout-ms 60000").env("TERM", "xterm-256color");
    let watched = USUAL.watch(run, Shown::Stderr);
    assert_eq!(watched.code, 0, "{watched:#?}");
    let said = watched.screens.iter().find(|screen| screen.contains("still waiting for AWS")).unwrap();
    assert!(said.contains(HALFWAY) && said.find("still waiting for AWS") < said.find("quick"), "{said}");
    never_without_the_block(&watched);
    one_block_at_a_time(&watched);
}

#[test]
fn the_wait_that_a_task_requested_is_shown() {
    let sim = Sim::start(&answering(
        "answers = [{ status = 503, headers = { retry-after = '10' } }, { status = 200 }]",
    ));
    let run = sim.notifier("send --cluster prod").env("TERM", "xterm-256color");
    let watched = USUAL.watch(run, Shown::Stderr);
    assert_eq!(watched.code, 0, "{watched:#?}");
    let waits = "waiting for work 54e4a733/app, work ad7143fc/app; next retry in ";
    let waiting = watched.screens.iter().find(|screen| screen.contains(waits)).unwrap();
    assert!(waiting.contains("0 of 2 containers notified, 2 retrying"), "{waiting}");
    one_block_at_a_time(&watched);
}

#[test]
fn a_wait_for_the_request_budget_is_shown_and_ctrl_c_ends_it() {
    let sim = Sim::start(FLEET);
    // One request, and the next after minutes.
    let run = sim.notifier("send --cluster prod --aws-budget-percent 0.01").env("TERM", "xterm-256color");
    let watched = USUAL.interrupt(run, Shown::Stderr, "1 request to AWS waits for the request budget");
    assert_eq!((watched.code, watched.piped.as_str()), (1, ""), "{watched:#?}");
    assert!(watched.last().contains("error: interrupted: no task was called"), "{watched:#?}");
    assert!(!is_live(watched.last()), "{watched:#?}");
}

#[test]
fn a_wait_on_a_ledger_shows_the_same_bars() {
    let silent = "answers = [{ hang = true }]";
    let pipeline = Pipeline::new(&fleet(&[service("quick", 2, ""), service("silent", 2, silent)]));
    let _daemon = pipeline.serve("--timeout-ms 600000");
    let publish = pipeline.notifier("publish -c prod --id b-1 --wait=600").env("TERM", "xterm-256color");
    let watched = USUAL.interrupt(publish, Shown::Stderr, HALFWAY);
    insta::assert_snapshot!(still(halfway(&watched)), @r"
    broadcast b-1 to queue observer (account 111122223333, region us-east-1)
    quick   ████████████████████████████████████████  2 of 2
    silent  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0 of 2
    * 0:01  2 of 4 containers notified
      waiting for silent 741b8bb3/app, silent 9a57c4bf/app
    ");
    assert!(
        watched.screens.iter().any(|screen| screen.contains("the broadcast has not begun")),
        "{watched:#?}"
    );
    never_without_the_block(&watched);
    one_block_at_a_time(&watched);
    assert_eq!(watched.code, 1, "{watched:#?}");
    assert!(watched.piped.contains("4 containers: 2 delivered, 2 pending"), "{watched:#?}");
    let report = pipeline.notifier("report b-1 --wait=600").env("TERM", "xterm-256color");
    let watched = USUAL.interrupt(report, Shown::Both, HALFWAY);
    assert_eq!(watched.code, 1, "{watched:#?}");
    for says in [
        "error: interrupted: 2 of 4 containers have no outcome",
        "hint: the broadcast continues; `ecs-task-notifier report b-1 --wait`",
    ] {
        assert!(watched.last().contains(says), "{watched:#?}");
    }
}
