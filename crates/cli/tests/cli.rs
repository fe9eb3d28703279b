//! The program as its users see it: output, exit codes, and what goes to which stream.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::process::Output;

use assert_cmd::Command;

/// Runs the program with an empty environment.
fn run(arguments: &[&str]) -> Output {
    Command::cargo_bin("ecs-task-notifier").unwrap().env_clear().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_demo_ends_as_staged_and_reports_every_container() {
    let Output { status, stdout, stderr } = run(&["demo"]);
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(0), "{stdout}\n{stderr}");
    for claim in [
        "24 containers: 20 delivered, 1 rejected, 3 skipped",
        "answered 403 Forbidden",
        "label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)",
        "its health is UNHEALTHY",
        "network mode `none` has no address",
        "frontend: did not opt in",
        "orders: the task is PENDING",
    ] {
        assert!(stdout.contains(claim), "{claim}\n{stdout}");
    }
    assert!(stderr.contains("every service ended as staged"), "{stderr}");
    assert!(!stdout.contains('\x1b') && !stderr.contains('\x1b'), "no escapes in a pipe");
}

#[test]
fn the_demo_in_json_is_one_object_a_line_and_a_summary() {
    let Output { status, stdout, .. } = run(&["demo", "--format", "json", "--services", "0", "--quiet"]);
    assert_eq!(status.code(), Some(0));
    let lines: Vec<serde_json::Value> =
        text(&stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, records) = lines.split_last().unwrap();
    assert_eq!(summary["summary"]["delivered"], 14, "{summary}");
    assert_eq!(records.len(), 18);
    let names = [
        "broadcast",
        "cluster",
        "service",
        "task",
        "container",
        "address",
        "outcome",
        "reason",
        "attempts",
        "status",
        "latency_ms",
    ];
    for record in records {
        assert!(names.iter().all(|name| record.get(name).is_some()), "{record}");
    }
    let flaky: Vec<_> = records.iter().filter(|record| record["service"] == "payments").collect();
    assert!(flaky.iter().all(|record| record["attempts"] == 3 && record["status"] == 202), "{flaky:?}");
}

#[test]
fn wrong_use_ends_with_2_and_says_every_mistake_at_once() {
    assert_eq!(run(&["sned"]).status.code(), Some(2));
    let Output { status, stdout, stderr } =
        run(&["serve", "--timeout-ms", "soon", "--health", "maybe", "--allow-networks", "10.0.0.0/99"]);
    let stderr = text(&stderr);
    assert_eq!((status.code(), stdout.is_empty()), (Some(2), true), "{stderr}");
    for name in ["soon", "maybe", "10.0.0.0/99", "NOTIFIER_OBSERVER_QUEUE_URL"] {
        assert!(stderr.contains(name), "{name}\n{stderr}");
    }
}

#[test]
fn help_and_completions_go_to_stdout() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("ecs-task-notifier demo"));
    assert!(text(&run(&["completions", "bash"]).stdout).contains("ecs-task-notifier"));
}

#[test]
fn the_example_fleet_is_printed_with_its_comments() {
    let printed = text(&run(&["simulate", "--print-example"]).stdout);
    assert!(simulator::Fleet::from_toml(&printed).is_ok());
}

/// A simulator, and the program pointed at it.
mod against_the_simulator {
    use super::*;
    use simulator::{Fleet, Options, Simulator};

    const FLEET: &str = "[[cluster]]\nname = 'prod'\n[[cluster.service]]\nname = 'web'\nlaunch_type = 'FARGATE'\ntasks = 2\n\
        [[cluster.service.container]]\nname = 'app'\nports = [18080]\n\
        labels = { NOTIFY_ME_CONTAINER_PORT = '18080', NOTIFY_ME_API_URI = '/notify' }\n";

    async fn run(sim: &Simulator, arguments: &[&str]) -> Output {
        let mut command = Command::cargo_bin("ecs-task-notifier").unwrap();
        command.env_clear().args(arguments).args(["--endpoint-url", &sim.url(), "--region", "us-east-1"]);
        command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
        command.env("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8");
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn plan_calls_nobody_and_send_calls_everybody_once() {
        let sim = Simulator::start(Fleet::from_toml(FLEET).unwrap(), Options::default()).await.unwrap();
        let plan = run(&sim, &["plan", "--cluster", "prod"]).await;
        assert_eq!((plan.status.code(), sim.received().len()), (Some(0), 0), "{plan:?}");
        assert!(text(&plan.stdout).contains(":18080"), "{plan:?}");
        let send = run(&sim, &["send", "--cluster", "prod", "--id", "b-1", "--data", "{\"n\": 1.10}"]).await;
        assert_eq!(send.status.code(), Some(0), "{send:?}");
        let received = sim.received();
        assert_eq!(received.len(), 2);
        for request in received {
            let body = text(&request.body);
            assert!(body.contains("\"data\":{\"n\": 1.10}") && body.contains(&request.task), "{body}");
            assert!(request.header("webhook-id").is_some_and(|id| body.contains(id)));
        }
    }

    #[tokio::test]
    async fn an_unknown_cluster_ends_with_2_and_an_unknown_service_with_1() {
        let sim = Simulator::start(Fleet::from_toml(FLEET).unwrap(), Options::default()).await.unwrap();
        let output = run(&sim, &["send", "--cluster", "prid"]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("there is no cluster `prid`"), "{output:?}");
        let output = run(&sim, &["send", "--cluster", "prod", "--service", "typo"]).await;
        assert_eq!(output.status.code(), Some(1));
        let output = run(&sim, &["send", "--cluster", "prod", "--service", "typo", "--allow-skips"]).await;
        assert_eq!(output.status.code(), Some(0));
    }
}
