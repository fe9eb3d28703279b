//! Settings and arguments, and their errors.

use crate::support::{Sim, notifier, private_fleet};

#[test]
fn every_mistake_of_every_layer_is_reported_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "attempts = 0\nconcurency = 5\nlisten = 1.5\nzzz = 1\n").unwrap();
    let path = file.path().to_str().unwrap();
    let run = notifier("serve --health maybe --config").arg(path);
    let run = run
        .env("NOTIFIER_TIMEOUT_MS", "soon")
        .env("NOTIFIER_LEDGER", "redis:notifications")
        .env("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:99999")
        .env("NOTIFIER_ALLOW_NETWORKS", "10.0.0.0/99")
        .env("NOTIFIER_TASKS_QUEUE_URL", "https://me:hunter2@sqs.eu-west-1.amazonaws.com/1/tasks")
        .run();
    let run = run.to_string().replace(path, "n.toml");
    assert!(!run.contains("hunter2"), "{run}");
    insta::assert_snapshot!(run, @r#"
    exit 2
    --- stdout
    --- stderr
    error: 13 settings are wrong
      concurency in n.toml: unknown setting; did you mean concurrency?
      listen in n.toml: `1.5` is not an address and port such as `127.0.0.1:8080`, or `none`
      zzz in n.toml: unknown setting
      NOTIFIER_OBSERVER_QUEUE_URL is not set, and neither is --observer-queue-url
      NOTIFIER_SERVICES_QUEUE_URL is not set, and neither is --services-queue-url
      NOTIFIER_SIGNING_SECRET is not set, and neither is --signing-secret; make a key with `ecs-task-notifier keygen`, or use `none` for unsigned requests
      AWS_ENDPOINT_URL_ECS: `99999` is not a port (1-65535)
      NOTIFIER_TASKS_QUEUE_URL: a queue URL must not have a user name or password
      NOTIFIER_LEDGER: `redis:notifications` is not `dynamodb:TABLE`, `sqlite:PATH` or `none`
      --health: `maybe` is not `detect`, `require` or `ignore`
      NOTIFIER_ALLOW_NETWORKS: `10.0.0.0/99` is not a network such as `10.0.0.0/8`, nor an IP address
      NOTIFIER_TIMEOUT_MS: `soon` is not a whole number from 1 to 600000
      attempts in n.toml: `0` is not a whole number from 1 to 20
    hint: `ecs-task-notifier serve --help` lists every setting, its range and its default
    "#);
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let sim = Sim::start(&private_fleet());
    let run = sim.notifier("plan -c prod -s web").env("NOTIFIER_HELTH", "ignore");
    let run = run.env("NOTIFIER_CONFIG", "").run();
    insta::assert_snapshot!(run, @r#"
    exit 0
    --- stdout
    web  0 to call
      ignore  1  did not opt in
    0 containers would be called, 0 skipped, 1 ignored
    3 calls to AWS: ECS DescribeTaskDefinition 1, ECS DescribeTasks 1, ECS ListTasks 1
    calls by bucket            this plan  broadcast
    ecs-cluster-resource-read          2          0
    ecs-service-read                   0          1
    ecs-task-definition-read           1          1
    at 50 % of AWS's rate no call of this plan waited; a broadcast through the queues takes at least 0 s for its calls
    --- stderr
    warning: NOTIFIER_HELTH: unknown setting; did you mean NOTIFIER_HEALTH?
    warning: no target: no running container in service web in cluster prod has the labels
    "#);
}

#[test]
fn a_name_that_is_near_to_none_gets_no_suggestion() {
    let sim = Sim::start(&private_fleet());
    let run = sim.notifier("plan -c prod -s web").env("NOTIFIER_TYPO", "1").run();
    assert!(run.stderr.contains("warning: NOTIFIER_TYPO: unknown setting\n"), "{run}");
}

#[test]
fn one_queue_for_two_stages_is_refused_with_both_names() {
    let queue = "http://127.0.0.1:9/111122223333/q";
    let run = notifier("serve --signing-secret none --observer-queue-url").arg(queue);
    let run = run
        .arg("--services-queue-url")
        .arg(&format!("{queue}s"))
        .env("NOTIFIER_TASKS_QUEUE_URL", queue)
        .run();
    assert_eq!(run.code, 2, "{run}");
    let says = "error: a setting is wrong: NOTIFIER_TASKS_QUEUE_URL: this is also the queue of NOTIFIER_OBSERVER_QUEUE_URL; \
                each stage needs a separate queue";
    assert!(run.stderr.contains(says), "{run}");
}

#[test]
fn serve_without_a_key_says_how_to_make_one_and_how_to_do_without() {
    let run = notifier("serve").run();
    assert_eq!(run.code, 2, "{run}");
    assert!(
        run.stderr
            .contains("make a key with `ecs-task-notifier keygen`, or use `none` for unsigned requests"),
        "{run}"
    );
}

#[test]
fn send_without_a_key_warns() {
    let sim = Sim::start(&private_fleet());
    let run = sim.notifier("send -c prod -s web").env("NOTIFIER_SIGNING_SECRET", "").run();
    let warning = "warning: requests are not signed: tasks cannot verify their sender. Make a key with \
                   `ecs-task-notifier keygen`, and set NOTIFIER_SIGNING_SECRET";
    assert!(run.stderr.contains(warning), "{run}");
    let silent = sim.notifier("send -c prod -s web").run();
    assert!(!silent.stderr.contains("not signed"), "{silent}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_of_the_mistakes() {
    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(broken.path(), "attempts = 2\nhealth = \n").unwrap();
    let run = notifier("plan -c prod").env("NOTIFIER_CONFIG", broken.path().to_str().unwrap());
    let run = run.env("NOTIFIER_ATTEMPTS", "x").run();
    assert!(run.stderr.contains("error: 2 settings are wrong\n  NOTIFIER_CONFIG: "), "{run}");
    assert!(run.stderr.contains(" cannot be read: line 2: "), "{run}");
    insta::assert_snapshot!(notifier("plan -c prod --config /nowhere/n.toml").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: a setting is wrong: --config: /nowhere/n.toml cannot be read: No such file or directory (os error 2)
    hint: `ecs-task-notifier serve --help` lists every setting, its range and its default
    "#);
}

#[test]
fn settings_come_from_the_file_that_a_variable_names() {
    let sim = Sim::start(&private_fleet());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "health = 'require'\n").unwrap();
    let plan = sim.notifier("plan -c prod -s checkout");
    let run = plan.env("NOTIFIER_CONFIG", file.path().to_str().unwrap()).run();
    assert_eq!(
        run.stdout.matches("its health is required, but the container has no health check").count(),
        2,
        "{run}"
    );
}

#[test]
fn wrong_use_is_explained_on_stderr_and_ends_2() {
    insta::assert_snapshot!(notifier("").run().code, @"2");
    insta::assert_snapshot!(notifier("sned").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'sned'

      tip: a similar subcommand exists: 'send'

    Usage: ecs-task-notifier [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(notifier("plan").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      --cluster <NAME>

    Usage: ecs-task-notifier plan --cluster <NAME>

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(notifier("send -c prod --standalone -s web").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the argument '--standalone' cannot be used with '--service <NAME>'

    Usage: ecs-task-notifier send --cluster <NAME> --standalone

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(notifier("plan -c prod --format xml").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'xml' for '--format <FORMAT>'
      [possible values: text, json, csv, html]

      tip: a similar value exists: 'html'

    For more information, try '--help'.
    "#);
}
