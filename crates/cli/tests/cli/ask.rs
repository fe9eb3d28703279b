//! `ask`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;

use serde_json::Value;

use crate::support::{Run, Sim, answering, notifier, until};

const ASK: &str = "ask --cluster prod --type com.example.status";

/// Six tasks of `checkout`: three with one version, one with another, one that refuses, one that resets every connection;
/// two of `search`, which are busy at first; one that is called by GET.
const FLEET: &str = r#"
[[cluster]]
name = "prod"

[[cluster.service]]
name = "checkout"
launch_type = "FARGATE"
tasks = 6
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }
answers = [{ body = '{"version":"v42","queue":7,"flags":["a","b"]}' }]
[[cluster.service.task]]
number = 2
answers = [{ body = '{"queue": 9.0, "flags": ["a"], "version": "v41"}' }]
[[cluster.service.task]]
number = 3
answers = [{ status = 403, body = "not a question" }]
[[cluster.service.task]]
number = 4
answers = [{ reset = true }]
[[cluster.service.task]]
number = 5
answers = [{ body = '{"flags":["a","b"],"queue":7.0,"version":"v42"}' }]

[[cluster.service]]
name = "search"
launch_type = "FARGATE"
tasks = 2
[[cluster.service.container]]
name = "app"
ports = [9000]
labels = { NOTIFY_ME_CONTAINER_PORT = "9000", NOTIFY_ME_API_URI = "/notify" }
answers = [{ status = 503 }, { body = '{"version":"v42","queue":1,"flags":[]}' }]

[[cluster.service]]
name = "legacy"
launch_type = "FARGATE"
[[cluster.service.container]]
name = "app"
ports = [9000]
labels = { NOTIFY_ME_CONTAINER_PORT = "9000", NOTIFY_ME_API_URI = "/notify", NOTIFY_ME_METHOD = "GET" }
"#;

/// The lines and the summary of a run with `--format json`.
fn records(run: &Run) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{run}"));
    (lines, summary["summary"].clone())
}

#[test]
fn equal_answers_are_groups_and_who_did_not_answer_is_listed_with_the_reason() {
    let sim = Sim::start(FLEET);
    let run = sim.notifier(&format!("{ASK} --pick /version --timeout 60s")).run();
    assert_eq!(run.code, 1, "{run}");
    let text: Vec<_> =
        run.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let starts = [
        "2 distinct answers",
        "5 \"v42\" checkout 3, search 2",
        "1 \"v41\" checkout 1",
        "9 containers asked",
        "answered 6 checkout 4, search 2",
        "said no 1",
        "rejected 127.",
        "silent 2",
        "failed 127.",
        "skipped 127.",
    ];
    assert_eq!(text.len(), starts.len(), "{run}");
    for (line, start) in text.iter().zip(starts) {
        assert!(line.starts_with(start), "{line} instead of {start}: {run}");
    }
    for (line, end) in [
        (6, "checkout answered 403 Forbidden: not a question"),
        (8, ", 3 attempts"),
        (9, "legacy its label NOTIFY_ME_METHOD=GET asks for calls without a body, so it cannot be asked"),
    ] {
        assert!(text[line].ends_with(end), "{run}");
    }
    assert!(run.stderr.contains("error: 3 of 9 containers did not answer"), "{run}");
}

#[test]
fn json_has_the_columns_of_send_the_answers_and_a_summary_of_the_groups() {
    let sim = Sim::start(FLEET);
    let run =
        sim.notifier(&format!("{ASK} --id q-1 --format json --by revision --show outliers --quiet")).run();
    let (lines, summary) = records(&run);
    assert_eq!((run.code, lines.len()), (1, 9), "{run}");
    let send = sim.notifier("send --cluster prod --format json --quiet").run();
    let (of_send, _) = records(&send);
    let names = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let more: Vec<_> = names(&lines[0]).difference(&names(&of_send[0])).cloned().collect();
    assert_eq!(more, ["answer", "answer_bytes", "truncated"], "{run}");
    assert!(names(&of_send[0]).is_subset(&names(&lines[0])), "{run}");
    let of = |outcome: &str| lines.iter().filter(|line| line["outcome"] == outcome).collect::<Vec<_>>();
    for line in of("delivered") {
        assert!(line["answer"]["version"].is_string() && line["truncated"] == false, "{line}");
        assert!(line["answer_bytes"].as_u64() >= Some(30), "{line}");
    }
    let silent = of("skipped")[0];
    assert_eq!((&silent["cause"], &silent["answer"]), (&"method".into(), &Value::Null));
    let groups = summary["answers"].as_array().unwrap();
    let counts: Vec<_> = groups.iter().map(|group| group["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 2, 1], "{summary}");
    assert_eq!(groups[0]["by"], serde_json::json!({ "checkout:1": 3 }));
    assert_eq!(groups[0]["value"], serde_json::json!({ "flags": ["a", "b"], "queue": 7, "version": "v42" }));
    assert!(groups[0]["tasks"].is_null() && groups[2]["tasks"].as_array().unwrap().len() == 1, "{summary}");
    for (name, value) in [("distinct", 3), ("asked", 8), ("answered", 6), ("agreed", 3), ("total", 9)] {
        assert_eq!(summary[name], value, "{name} of {summary}");
    }
    let zones = sim.notifier(&format!("{ASK} --format json --by zone --quiet --pick /version")).run();
    let (_, summary) = records(&zones);
    let by = |group: &Value| group["by"].as_object().unwrap().clone();
    let by: Vec<_> = summary["answers"].as_array().unwrap().iter().map(by).collect();
    assert!(by.iter().flatten().all(|(zone, _)| zone.starts_with("us-east-1")), "{summary}");
    let counted: u64 = by.iter().flatten().map(|(_, count)| count.as_u64().unwrap()).sum();
    assert_eq!(summary["answered"], counted, "{summary}");
    let csv = sim.notifier(&format!("{ASK} --format csv --quiet --pick /queue")).run();
    let header = csv.stdout.lines().next().unwrap();
    assert!(header.ends_with(",cause,advice,answer,answer_bytes,truncated,zone"), "{csv}");
    assert_eq!(csv.stdout.lines().count(), 10, "{csv}");
    assert_eq!(csv.stdout.lines().filter(|line| line.contains(",7,45,false,")).count(), 2, "{csv}");
}

#[test]
fn other_forms_show_outliers_numbers_differences_and_each_answer() {
    let sim = Sim::start(FLEET);
    let shown = |arguments: &str| sim.notifier(&format!("{ASK} --quiet {arguments}")).run().stdout;
    let outliers = shown("--pick /version --show outliers");
    assert!(outliers.contains("outliers\n") && outliers.matches("/app").count() >= 2, "{outliers}");
    let numbers = shown("--pick /queue --show numbers");
    assert!(numbers.starts_with("6 numbers: min 1  p50 7  p99 9  max 9\n"), "{numbers}");
    assert_eq!(numbers.lines().filter(|line| line.contains(" … ")).count(), 10, "{numbers}");
    let texts = shown("--pick /version --show numbers");
    assert!(texts.starts_with("no answer is a number\n"), "{texts}");
    let differences = shown("--show diff");
    for part in [
        "  -   \"queue\": 7,",
        "  +   \"queue\": 9,",
        "  -   \"version\": \"v42\"",
        "  +   \"version\": \"v41\"",
    ] {
        assert!(differences.contains(part), "{part}: {differences}");
    }
    let each = shown("--pick /queue --show each");
    assert_eq!(each.lines().filter(|line| line.ends_with("/app  7")).count(), 3, "{each}");
}

#[test]
fn answers_that_do_not_agree_are_exit_code_1_if_they_have_to() {
    let answers = "answers = [{ body = 'v42' }]\n[[cluster.service.task]]\nnumber = 2\nanswers = [{ body = '\"v41\"' }]";
    let sim = Sim::start(&answering(answers).replace("tasks = 2", "tasks = 4"));
    for (arguments, code, error) in [
        ("", 0, ""),
        ("--quorum 75%", 0, ""),
        ("--quorum 76%", 1, "error: 3 of 4 answers agree, but 76 % have to"),
        ("--expect \"v42\"", 1, "error: 3 of 4 answers agree, but 100 % have to"),
        ("--expect \"v42\" --quorum 75%", 0, ""),
        ("--expect \"v41\" --quorum 75%", 1, "error: 1 of 4 answers agree, but 75 % have to"),
        ("--expect v42", 2, "it is not JSON; a JSON string needs quotes"),
        ("--pick version", 2, "a JSON pointer begins with `/`"),
        ("--keep", 2, "error: --keep records the answers, but no ledger is set"),
        ("--service serach", 2, "error: cluster prod has no service serach"),
    ] {
        let run = sim.notifier(&format!("{ASK} {arguments}")).run();
        assert!(run.code == code && run.stderr.contains(error), "{arguments}: {run}");
    }
    let untyped = notifier("ask --cluster prod").run();
    assert!(untyped.code == 2 && untyped.stderr.contains("a question needs a type of its own"), "{untyped}");
    let empty = Sim::start("[[cluster]]\nname = 'prod'");
    assert_eq!(empty.notifier(ASK).run().code, 1);
    assert_eq!(empty.notifier(&format!("{ASK} --allow-empty")).run().code, 0);
}

#[test]
fn a_fleet_is_asked_again_until_it_agrees() {
    let answers = "answers = [{ body = 'v42' }]\n[[cluster.service.task]]\nnumber = 2\n\
                   answers = [{ body = 'v41' }, { body = 'v42' }]";
    let sim = Sim::start(&answering(answers));
    let run = sim.notifier(&format!("{ASK} --id q --expect \"v42\" --wait 10m --format json")).run();
    let (lines, summary) = records(&run);
    assert_eq!((run.code, lines.len(), &summary["rounds"]), (0, 4, &2.into()), "{run}");
    assert!(
        run.stderr.contains("round 1: 2 of 2 containers answered, 1 agree; asking again in 2 s"),
        "{run}"
    );
    let rounds: Vec<_> = lines.iter().map(|line| line["broadcast"].as_str().unwrap()).collect();
    assert_eq!(rounds, ["q", "q", "q-2", "q-2"]);
    assert_eq!((&summary["broadcast"], &summary["agreed"]), (&"q-2".into(), &2.into()));
    let never = sim.notifier(&format!("{ASK} --expect 7 --wait 3s")).run();
    assert!(never.code == 1 && never.stderr.contains("0 of 2 answers agree"), "{never}");
}

/// Erases the screen, sets the title, changes the direction of text, rings; in TOML and JSON form.
const COMMANDS: &str = r"\u001b[2J\u001b]0;x\u0007\u202e\u009b";

#[test]
fn hostile_answers_are_text_cut_and_never_logged() {
    let deep = "[".repeat(5_000);
    let answers = format!(
        r#"answers = [{{ body = "{COMMANDS}top-secret" }}]
        [[cluster.service.task]]
        number = 2
        answers = [{{ body = '{{"a": "{COMMANDS}", "a": 1, "b": 0.30000000000000004}}' }}]
        [[cluster.service.task]]
        number = 3
        answers = [{{ body = '{deep}' }}]
        [[cluster.service.task]]
        number = 4
        answers = [{{ body_bytes = 1_000_000 }}]
        [[cluster.service.task]]
        number = 5
        answers = [{{ body_bytes = 100, claimed_bytes = 1_073_741_824 }}]"#
    );
    let sim = Sim::start(&answering(&answers).replace("tasks = 2", "tasks = 5"));
    for show in ["groups", "outliers", "diff", "each", "numbers"] {
        let run = sim.notifier(&format!("{ASK} --color always --verbose --timeout 10s --show {show}")).run();
        assert_eq!(run.code, 1, "{run}");
        assert!(!crate::hostile::commands(&run), "{show}: {run:?}");
        assert!(run.stdout.contains("silent") && !run.stderr.contains("top-secret"), "{run}");
    }
    let run = sim.notifier(&format!("{ASK} --format json --timeout 10s --answer-max 1KiB -vvv")).run();
    assert!(!crate::hostile::commands(&Run { stderr: String::new(), ..run.clone() }), "{run:?}");
    assert!(!run.stderr.contains("top-secret"), "{run}");
    let (lines, summary) = records(&run);
    let answered = |is_cut: bool| lines.iter().filter(|line| line["truncated"] == is_cut).count();
    assert_eq!((answered(true), answered(false), lines.len()), (2, 2, 5), "{run}");
    assert!(lines.iter().all(|line| line["answer_bytes"].as_u64().unwrap_or_default() <= 1024), "{run}");
    assert_eq!(summary["answered"], 4, "a part of what was promised is no answer: {run}");
    assert!(run.stdout.contains(r#""b":0.30000000000000004"#), "{run}");
}

#[test]
fn answers_are_recorded_only_if_that_is_asked_for_and_only_short_ones() {
    let long = format!("long-{}", "x".repeat(600));
    let answers = format!(
        "answers = [{{ body = 'kept-answer' }}]\n[[cluster.service.task]]\nnumber = 2\nanswers = [{{ body = '{long}' }}]"
    );
    let sim = Sim::start(&answering(&answers));
    let directory = tempfile::tempdir().unwrap();
    let written = || {
        let mut bytes = Vec::new();
        for file in std::fs::read_dir(directory.path()).unwrap() {
            std::fs::File::open(file.unwrap().path()).unwrap().read_to_end(&mut bytes).unwrap();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let ledger = format!("--ledger sqlite:{}/ledger.sqlite3", directory.path().display());
    assert_eq!(sim.notifier(&format!("{ASK} {ledger}")).run().code, 0);
    assert!(!written().contains("kept-answer") && !written().contains("com.example.status"));
    assert_eq!(sim.notifier(&format!("{ASK} {ledger} --keep --id q-1")).run().code, 0);
    let report = sim.notifier(&format!("report q-1 {ledger}")).run();
    assert!(report.code == 0 && report.stdout.contains("2 of 2 notified"), "{report}");
    let written = written();
    assert!(written.contains("kept-answer") && !written.contains("long-xxx"));
}

#[test]
fn a_question_is_marked_and_expires() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fleet = simulator::Fleet::from_toml(&answering("")).unwrap();
    let sim = runtime.block_on(simulator::Simulator::start(fleet, simulator::Options::default())).unwrap();
    let run = notifier(&format!("{ASK} --id q-1 --data 7")).at(&sim.url()).run();
    assert_eq!(run.code, 0, "{run}");
    let received = sim.received();
    assert_eq!(received.len(), 2);
    for request in received {
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&event["question"], &event["data"], &event["id"]),
            (&true.into(), &7.into(), &"q-1".into())
        );
        assert!(event["expirytime"].as_str() > event["time"].as_str(), "{event}");
        assert_eq!(event["ecstask"], request.task.as_str());
    }
}

#[test]
fn an_interrupted_question_shows_the_answers_so_far() {
    let answers =
        "answers = [{ body = 'v42' }]\n[[cluster.service.task]]\nnumber = 2\nanswers = [{ hang = true }]";
    let sim = Sim::start(&answering(answers));
    let mut asking = sim.notifier(&format!("{ASK} --timeout 10m --progress json")).start();
    asking.stderr_until("\"kind\":\"settled\"");
    let run = asking.stop_by("INT");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stdout.contains("\"v42\"") && run.stdout.contains("interrupted before the answer"), "{run}");
}

/// A fleet with three versions, of which one task in a hundred is silent.
fn large(tasks: usize, silent: &str) -> String {
    // A shared listener takes the port on every address.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let container = |version: &str| {
        format!(
            "name = 'app'\nports = [{port}]\nanswers = [{{ body = '{{\"version\":\"{version}\"}}' }}]\n\
             labels = {{ NOTIFY_ME_CONTAINER_PORT = '{port}', NOTIFY_ME_API_URI = '/notify' }}\n"
        )
    };
    let (newest, older) = (tasks * 7 / 10, tasks / 10);
    let mut fleet = format!(
        "listeners = 'shared'\n[[cluster]]\nname = 'prod'\n[[cluster.service]]\nname = 'work'\nlaunch_type = 'FARGATE'\n\
         revision = 3\ntasks = {newest}\n[[cluster.service.container]]\n{}",
        container("v3")
    );
    for number in 1..=tasks / 100 {
        writeln!(fleet, "[[cluster.service.task]]\nnumber = {number}\nanswers = [{{ {silent} = true }}]")
            .unwrap();
    }
    for (revision, tasks) in [(2, 2 * older), (1, older)] {
        let of_deployment = container(&format!("v{revision}"));
        write!(
            fleet,
            "[[cluster.service.deployment]]\nrevision = {revision}\ntasks = {tasks}\n\
             [[cluster.service.deployment.container]]\n{of_deployment}"
        )
        .unwrap();
    }
    fleet
}

/// Checks the answers of such a fleet.
fn check_large(run: &Run, tasks: u64) {
    let (lines, summary) = records(run);
    let silent = tasks / 100;
    let groups: Vec<_> = summary["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["value"].as_str().unwrap(), group["count"].as_u64().unwrap()))
        .collect();
    let versions = [("v3", tasks * 7 / 10 - silent), ("v2", tasks / 5), ("v1", tasks / 10)];
    assert_eq!(groups, versions, "{summary}");
    assert_eq!((&summary["total"], &summary["failed"]), (&tasks.into(), &silent.into()), "{summary}");
    let reasons = lines.iter().filter(|line| line["outcome"] == "failed" && line["reason"].is_string());
    assert_eq!((lines.len() as u64, reasons.count() as u64), (tasks, silent));
    for (place, group) in summary["answers"].as_array().unwrap().iter().enumerate() {
        let expected = if place == 0 { None } else { Some(100.min(group["count"].as_u64().unwrap())) };
        assert_eq!(group["tasks"].as_array().map(|tasks| tasks.len() as u64), expected, "{place}");
    }
    assert_eq!(run.code, 1);
}

#[test]
fn groups_outliers_and_silent_tasks_of_a_thousand_are_exact() {
    let sim = Sim::start(&large(1_000, "reset"));
    let arguments = "--pick /version --show outliers --format json --quiet --timeout 60s";
    check_large(&sim.notifier(&format!("{ASK} {arguments}")).run(), 1_000);
}

/// Memory of `ask`, as the kernel accounts for it.
#[test]
#[ignore = "takes a minute: 10,000 tasks, within AWS's throttles"]
fn groups_outliers_and_silent_tasks_of_ten_thousand_are_exact_within_64_mib() {
    // Of a debug build, its own code takes 30 MiB more.
    const PEAK_KIB_MAX: u64 = if cfg!(debug_assertions) { 94 * 1024 } else { 64 * 1024 };
    let sim = Sim::start(&large(10_000, "hang"));
    let out = tempfile::NamedTempFile::new().unwrap();
    let arguments =
        "--pick /version --show outliers --format json --quiet --timeout 10s --aws-budget-percent 100";
    let mut command = sim.notifier(&format!("{ASK} {arguments}")).command();
    let mut asking = command.stdout(out.reopen().unwrap()).spawn().unwrap();
    let (mut peak, mut code) = (0, None);
    until("the fleet has answered", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", asking.id())).unwrap_or_default();
        let known = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = known.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default().max(peak);
        code = asking.try_wait().unwrap().map(|status| status.code().unwrap());
        code.is_some()
    });
    let stdout = std::fs::read_to_string(out.path()).unwrap();
    check_large(&Run { code: code.unwrap(), stdout, stderr: String::new() }, 10_000);
    assert!((1..=PEAK_KIB_MAX).contains(&peak), "{peak} KiB");
    println!("{} MiB at the peak", peak / 1024);
}

#[test]
fn every_command_of_the_guide_works_as_it_stands() {
    let guide = include_str!("../../../../docs/ask.md");
    let answer = r#"{"version":"v42","queue":7,"signing":{"id":"2026-11"}}"#;
    let fleet = answering(&format!("answers = [{{ body = '{answer}' }}]"));
    let sim = Sim::start(&fleet.replace("\"work\"", "\"checkout\""));
    let blocks = guide.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let joined: Vec<_> = blocks.map(|block| block.replace("\\\n", " ")).collect();
    let commands = joined.iter().flat_map(|block| block.lines()).filter_map(|line| line.strip_prefix("$ "));
    let mut tried = 0;
    for command in commands {
        // jq may not be installed.
        let run = sim.shell(&format!("jq() {{ cat; }}\nset -e\n{command}")).run();
        assert_eq!(run.code, 0, "{command}\n{run}");
        tried += 1;
    }
    assert!(tried >= 8, "only {tried} commands were found");
}
