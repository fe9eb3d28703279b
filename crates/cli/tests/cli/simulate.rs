//! `simulate`.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::NamedTempFile;

use crate::support::{Notifier, answering, notifier, sqs};
use crate::trial::Trial;

/// A fleet of one service in another region than the default one.
fn fleet() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("region = 'eu-central-1'\n{}", answering(""))).unwrap();
    file
}

fn simulate(arguments: &str, fleet: &NamedTempFile) -> Notifier {
    notifier(&format!("simulate {arguments} --fleet")).arg(fleet.path().to_str().unwrap())
}

#[test]
fn the_simulator_says_where_it_is_and_what_to_do_with_it_and_stops_cleanly() {
    let fleet = fleet();
    let mut trial = Trial::start(simulate("--queue mine", &fleet), "ecs-task-notifier report");
    let url = trial.process.line();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(trial.variables["AWS_ENDPOINT_URL"], url);
    let notes = trial.notes.join("\n").replace(trial.file.to_str().unwrap(), "[file]");
    insta::assert_snapshot!(notes, @r#"
    2 tasks in eu-central-1; Ctrl-C ends
    everything. In another terminal:
      source [file]
      ecs-task-notifier plan --cluster prod
      ecs-task-notifier send --cluster prod
      ecs-task-notifier serve
    While it serves, in a third terminal
    after the same `source`:
      ecs-task-notifier publish --cluster prod --wait
      ecs-task-notifier report last
    "#);
    let run = trial.end();
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
}

#[test]
fn the_daemon_and_every_command_work_on_the_simulator_by_its_file_alone() {
    let fleet = fleet();
    let trial = Trial::start(simulate("", &fleet), "ecs-task-notifier report");
    let variables = &trial.variables;
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        assert_eq!(variables[name], "eu-central-1");
    }
    assert!(!variables.contains_key("AWS_PROFILE") && !variables.contains_key("AWS_ENDPOINT_URL_SQS"));
    assert_eq!(trial.run("history").code, 0, "the ledger is there and empty");
    assert_eq!(trial.run("plan --cluster prod").code, 0);

    // Beside other tests, not every port is free.
    let serve = trial.running("serve --listen none");
    for command in
        ["publish --cluster prod --wait", "report last", "send --cluster prod", "redrive --dry-run"]
    {
        let run = trial.run(command);
        assert_eq!(run.code, 0, "{command}: {run}");
        assert!(!run.stderr.contains("not signed"), "{command}: {run}");
    }
    let served = serve.stop();
    assert_eq!(served.code, 0, "{served}");
    trial.end();
}

#[test]
fn the_queues_are_those_of_the_terraform_module() {
    let fleet = fleet();
    let trial = Trial::start(simulate("--queue mine", &fleet), "ecs-task-notifier report");
    for (variable, name, receives_max) in [
        ("OBSERVER", "ecs_service_notification_eu-central-1", 15),
        ("SERVICES", "ecs_service_eu-central-1", 15),
        ("TASKS", "ecs_service_task_eu-central-1", 20),
    ] {
        let url = &trial.variables[&format!("NOTIFIER_{variable}_QUEUE_URL")];
        assert!(url.ends_with(&format!("/111122223333/{name}")), "{url}");
        let asked = format!(r#"{{"QueueUrl":"{url}","AttributeNames":["RedrivePolicy"]}}"#);
        let answer =
            sqs(&trial.variables["AWS_ENDPOINT_URL"], "GetQueueAttributes", &asked).replace('\\', "");
        let policy = format!(
            r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:111122223333:{name}_dead_letters","maxReceiveCount":{receives_max}}}"#
        );
        assert!(answer.contains(&policy), "{answer}");
    }
    let queues = sqs(&trial.variables["AWS_ENDPOINT_URL"], "ListQueues", "{}");
    assert_eq!(queues.matches("/111122223333/").count(), 7, "{queues}");
    assert!(queues.contains("/mine\""), "{queues}");
    trial.end();

    let trial = Trial::start(simulate("--no-queues", &fleet), "ecs-task-notifier report");
    let queues = sqs(&trial.variables["AWS_ENDPOINT_URL"], "ListQueues", "{}");
    assert!(!queues.contains("/111122223333/"), "{queues}");
    // The terminal's earlier variables belong to a real account.
    assert!(!trial.variables.contains_key("NOTIFIER_TASKS_QUEUE_URL"));
    assert_eq!(trial.commands(), ["plan --cluster prod", "send --cluster prod", "report last"]);
    trial.end();
}

#[test]
fn the_file_to_source_is_where_it_was_asked_for_and_replaces_no_other() {
    let (fleet, directory) = (fleet(), tempfile::tempdir().unwrap());
    let path = directory.path().join("trial.env");
    let run = || {
        let path = path.to_str().unwrap();
        notifier("simulate --env-file").arg(path).arg("--fleet").arg(fleet.path().to_str().unwrap())
    };
    let trial = Trial::start(run(), "ecs-task-notifier report");
    assert_eq!(trial.file, path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    trial.end();

    std::fs::write(&path, "PASSWORD=mine\n").unwrap();
    let refused = run().run();
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("trial.env already exists"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "PASSWORD=mine\n");
    let refused = notifier("demo --keep --env-file").arg(path.to_str().unwrap()).run();
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "before the broadcast: {refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "PASSWORD=mine\n");
}

#[test]
fn the_example_fleet_is_printed_and_can_be_simulated() {
    let example = notifier("simulate --print-example").run();
    assert_eq!((example.code, example.stderr.as_str()), (0, ""));
    drop(crate::support::Sim::start(&example.stdout));
}

#[test]
fn a_file_that_is_no_fleet_is_wrong_use() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let simulate = || notifier("simulate --fleet").arg(path).run().to_string().replace(path, "fleet.toml");
    std::fs::write(file.path(), "[[cluster]]\nname = 'c'\nservices = 1\n").unwrap();
    insta::assert_snapshot!(simulate(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: fleet.toml is not a fleet
      because: the fleet file is not valid: TOML parse error at line 3, column 1
          |
        3 | services = 1
          | ^^^^^^^^
        unknown field `services`, expected one of `name`, `inactive`, `tags`, `hosts`, `service`, `standalone`
    "#);
    std::fs::write(file.path(), "account = '12'\n[[cluster]]\nname = ''\n").unwrap();
    insta::assert_snapshot!(simulate(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: fleet.toml is not a fleet
      because: the fleet is not valid: fleet: `12` is not an account id of 12 digits; cluster : `` is not a name: 1 to 255 letters, digits, `-` and `_`
    "#);
}

#[test]
fn a_fleet_without_end_is_refused_rather_than_cut() {
    let run = notifier("simulate --fleet /dev/zero").run();
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stderr.contains("because: it is larger than 16777216 bytes"), "{run}");
}
