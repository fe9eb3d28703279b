//! `send`.

use std::io::{Read as _, Write as _};

use crate::support::{FLEET, Sim, answering, notifier, redacted};
use crate::terminal::{Shown, Terminal};

#[test]
fn a_broadcast_that_notifies_every_container_ends_with_0() {
    let _bound = redacted();
    let sim = Sim::start(&answering(""));
    insta::assert_snapshot!(sim.notifier("send --cluster prod").run(), @r#"
    exit 0
    --- stdout
    work  2 of 2 notified  p50 [time]  p99 [time]  max [time]
    2 containers: 2 delivered
    --- stderr
    broadcast [uuid] to cluster prod (account 111122223333, region us-east-1)
    "#);
}

#[test]
fn containers_that_were_not_notified_are_listed_with_the_reason_and_the_exit_code_is_1() {
    let _bound = redacted();
    let sim = Sim::start(FLEET);
    insta::assert_snapshot!(sim.notifier("send --cluster prod --standalone").run(), @r#"
    exit 1
    --- stdout
    catalog         0 of 1 notified
      skipped  -  04039f06/app  label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)
    search          1 of 2 notified  p50 [time]  p99 [time]  max [time]
      skipped  -  6575950f/app  its health is UNHEALTHY
    checkout        2 of 2 notified  p50 [time]  p99 [time]  max [time]
    family:migrate  1 of 1 notified  p50 [time]  p99 [time]  max [time]
    6 containers: 4 delivered, 2 skipped
    what to do:
      1 skipped  health  check why the health check fails; NOTIFIER_HEALTH=ignore calls unhealthy containers too
      1 skipped  label   correct the labels in the task definition and deploy it
    --- stderr
    broadcast [uuid] to cluster prod and its standalone tasks (account 111122223333, region us-east-1)
    error: 2 of 6 containers were not notified
    hint: --allow-skips accepts skipped containers
    "#);
}

#[test]
fn a_cluster_named_by_its_arn_says_its_account_by_itself() {
    let sim = Sim::start(&answering(""));
    let run = sim.notifier("send -c arn:aws:ecs:us-east-1:444455556666:cluster/prod --allow-empty").run();
    let says =
        "to cluster arn:aws:ecs:us-east-1:444455556666:cluster/prod (account 444455556666, region us-east-1)";
    assert!(run.stderr.contains(says), "{run}");
}

#[test]
fn a_broadcast_that_notifies_no_container_fails_unless_that_is_allowed() {
    let empty = Sim::start("[[cluster]]\nname = 'prod'");
    let skipped = Sim::start(&answering("health_check = true\nhealth = 'UNHEALTHY'"));
    for (sim, allowed, why) in [
        (&empty, "", "no running container in cluster prod has the labels"),
        (&skipped, "--allow-skips", "2 containers skipped, and no other opted in"),
    ] {
        let run = sim.notifier(&format!("send -c prod {allowed}")).run();
        assert_eq!(run.code, 1, "{run}");
        assert!(run.stderr.contains("error: no container was notified\n"), "{run}");
        assert!(run.stderr.contains(&format!("because: {why}\n")), "{run}");
        assert!(run.stderr.contains("use --allow-empty"), "{run}");
        let run = sim.notifier(&format!("send -c prod {allowed} --allow-empty")).run();
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stderr.contains(&format!("warning: no container was notified: {why}\n")), "{run}");
    }
    let run = skipped.notifier("send -c prod --allow-empty").run();
    assert_eq!(run.code, 1, "skips are another matter: {run}");
}

#[test]
fn skips_can_be_forgiven() {
    let sim = Sim::start(FLEET);
    assert_eq!(sim.notifier("send -c prod").run().code, 1);
    let run = sim.notifier("send -c prod --allow-skips --quiet").run();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_failed_task_has_its_number_of_attempts() {
    let _bound = redacted();
    let sim = Sim::start(&answering("answers = [{ status = 503, body = 'starting' }]"));
    let run = sim.notifier("send -c prod --attempts 2 --retry-wait-ms 1").run();
    insta::assert_snapshot!(run, @r#"
    exit 1
    --- stdout
    work  0 of 2 notified  attempts p50 2 p99 2 max 2
      failed  127.B.16.2:8080  54e4a733/app  answered 503 Service Unavailable: starting, 2 attempts
      failed  127.B.16.1:8080  ad7143fc/app  answered 503 Service Unavailable: starting, 2 attempts
    2 containers: 2 failed
    what to do:
      2 failed  503  service unavailable: check the task's log and health, then send the event again
    --- stderr
    broadcast [uuid] to cluster prod (account 111122223333, region us-east-1)
    error: 2 of 2 containers were not notified
    hint: to retry only that service, repeat the command with `--service work`
    "#);
}

#[test]
fn a_task_that_recovers_is_notified() {
    let sim = Sim::start(&answering("answers = [{ status = 503 }, { status = 200 }]"));
    let run = sim.notifier("send -c prod --retry-wait-ms 1 --format json").run();
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(
        run.stdout.matches(r#""outcome":"delivered","reason":null,"attempts":2,"status":200"#).count(),
        2
    );
}

#[test]
fn json_and_csv_have_the_columns_that_scripts_read() {
    let _bound = redacted();
    let sim = Sim::start(FLEET);
    let send = "send -c prod -s search --id cache-7 --quiet --format";
    insta::assert_snapshot!(sim.notifier(&format!("{send} json")).run(), @r#"
    exit 1
    --- stdout
    {"broadcast":"cache-7","account":"111122223333","region":"us-east-1","cluster":"prod","service":"search","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/6575950fb1f2fd0f6998a2f94eaed542","container":"app","address":null,"outcome":"skipped","reason":"its health is UNHEALTHY","attempts":null,"status":null,"latency_ms":null,"cause":"health","advice":"check why the health check fails; NOTIFIER_HEALTH=ignore calls unhealthy containers too","zone":"us-east-1b"}
    {"broadcast":"cache-7","account":"111122223333","region":"us-east-1","cluster":"prod","service":"search","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/deb3222f49d380d4cea0e72c92681666","container":"app","address":"127.B.16.1:9000","outcome":"delivered","reason":null,"attempts":1,"status":200,"latency_ms":[time],"cause":null,"advice":null,"zone":"us-east-1a"}
    {"summary":{"broadcast":"cache-7","discovery":{"method":"services"},"total":2,"delivered":1,"rejected":0,"failed":0,"gone":0,"skipped":1,"pending":0,"latency_ms":{"p50":[time],"p99":[time],"max":[time]},"attempts":{"p50":1,"p99":1,"max":1}}}
    --- stderr
    error: 1 of 2 containers was not notified
    hint: --allow-skips accepts skipped containers
    "#);
    insta::assert_snapshot!(sim.notifier(&format!("{send} csv")).run(), @r#"
    exit 1
    --- stdout
    broadcast,account,region,cluster,service,task,container,address,outcome,reason,attempts,status,latency_ms,cause,advice,zone
    cache-7,111122223333,us-east-1,prod,search,arn:aws:ecs:us-east-1:111122223333:task/prod/6575950fb1f2fd0f6998a2f94eaed542,app,,skipped,its health is UNHEALTHY,,,,health,check why the health check fails; NOTIFIER_HEALTH=ignore calls unhealthy containers too,us-east-1b
    cache-7,111122223333,us-east-1,prod,search,arn:aws:ecs:us-east-1:111122223333:task/prod/deb3222f49d380d4cea0e72c92681666,app,127.B.16.1:9000,delivered,,1,200,[time],,,us-east-1a
    --- stderr
    error: 1 of 2 containers was not notified
    hint: --allow-skips accepts skipped containers
    "#);
}

#[test]
fn a_narrow_terminal_drops_latencies_before_it_cuts_names() {
    let _bound = redacted();
    let sim = Sim::start(FLEET);
    let send = |columns| sim.notifier("send -c prod --quiet").env("COLUMNS", columns).run();
    insta::assert_snapshot!(send("40"), @r#"
    exit 1
    --- stdout
    catalog   0 of 1 notified
      skipped  -  04039f06/app
          label NOTIFY_ME_CONTAINER_PORT:
          `eighty` is not a port (1-65535)
    search    1 of 2 notified  max [time]
      skipped  -  6575950f/app
          its health is UNHEALTHY
    checkout  2 of 2 notified  max [time]
    5 containers: 3 delivered, 2 skipped
    what to do:
      1 skipped  health
          check why the health check fails;
          NOTIFIER_HEALTH=ignore calls
          unhealthy containers too
      1 skipped  label
          correct the labels in the task
          definition and deploy it
    --- stderr
    error: 2 of 5 containers were not
      notified
    hint: --allow-skips accepts skipped
      containers
    "#);
    let run = send("60");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 60), "{run}");
    assert!(run.stdout.contains("p50") && run.stdout.contains("max"), "{run}");
}

#[test]
fn an_event_comes_from_flags_a_file_or_stdin() {
    let sim = Sim::start(&answering(""));
    let sends = |run: crate::support::Notifier| {
        let run = run.run();
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stdout.starts_with(r#"{"broadcast":"e-1","#), "{run}");
    };
    sends(sim.notifier("send -c prod --format json --id e-1 --data").arg(r#"{"a": "b c"}"#));
    let event = r#"{"specversion": "1.0", "id": "e-1", "type": "t", "data": 1.0}"#;
    sends(sim.notifier("send -c prod --format json --event -").stdin(event));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), event).unwrap();
    sends(sim.notifier("send -c prod --format json --event").arg(file.path().to_str().unwrap()));
}

#[test]
fn an_invalid_event_is_wrong_use_and_calls_no_container() {
    let send = |arguments: &str| notifier(&format!("send -c prod {arguments}"));
    insta::assert_snapshot!(send("--data hello").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: --data is not JSON
      because: expected value at line 1 column 1
    hint: a JSON string needs quotes: --data '"text"'
    "#);
    insta::assert_snapshot!(send("--event -").stdin("[]").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: stdin is not an event
      because: invalid type: sequence, expected a map at line 1 column 0
    hint: an event looks like {"type": "com.ecs-task-notifier.notify", "data": {"any": "JSON"}}
    "#);
    insta::assert_snapshot!(send("--event /nowhere/event.json").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the event in /nowhere/event.json cannot be read
      because: No such file or directory (os error 2)
    "#);
    insta::assert_snapshot!(send("--id").arg("a b").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: event attribute `id`: an id must be printable ASCII without spaces, but contains ' '
    "#);
    insta::assert_snapshot!(send("--event - --type t").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the argument '--event <FILE>' cannot be used with '--type <TYPE>'

    Usage: ecs-task-notifier send --cluster <NAME> --event <FILE>

    For more information, try '--help'.
    "#);
}

#[test]
fn an_address_outside_the_allowed_networks_is_skipped_with_the_rule() {
    let _bound = redacted();
    let sim = Sim::start(&answering(""));
    let run = sim.notifier("send -c prod --allow-networks 10.0.0.0/8").run();
    insta::assert_snapshot!(run, @r#"
    exit 1
    --- stdout
    work  0 of 2 notified
      skipped  -  54e4a733/app  127.B.16.2 must not be called: it is loopback, which must be allowed explicitly
      skipped  -  ad7143fc/app  127.B.16.1 must not be called: it is loopback, which must be allowed explicitly
    2 containers: 2 skipped
    what to do:
      2 skipped  address-refused  if the address is yours, add its network to NOTIFIER_ALLOW_NETWORKS
    --- stderr
    broadcast [uuid] to cluster prod (account 111122223333, region us-east-1)
    error: 2 of 2 containers were not notified
    hint: --allow-skips accepts skipped containers
    "#);
}

#[test]
fn a_plan_calls_no_container_and_send_calls_each_once_with_the_exact_event() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fleet = simulator::Fleet::from_toml(&answering("")).unwrap();
    let sim = runtime.block_on(simulator::Simulator::start(fleet, simulator::Options::default())).unwrap();
    let run = |arguments: &str| {
        let run = notifier(arguments).env("AWS_ENDPOINT_URL", &sim.url()).env("AWS_REGION", "us-east-1");
        let run = run.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        run.env("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8")
    };
    assert_eq!(run("plan -c prod").run().code, 0);
    assert_eq!(sim.received().len(), 0);
    assert_eq!(run("send -c prod --id e-1 --data").arg(r#"{"n": 1.10}"#).run().code, 0);
    let received = sim.received();
    assert_eq!(received.len(), 2);
    for request in received {
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        assert!(body.contains(r#""data":{"n": 1.10}"#) && body.contains(&request.task), "{body}");
        assert!(request.header("webhook-id").is_some_and(|id| body.contains(id)), "{body}");
    }
}

#[test]
fn a_service_that_is_not_there_is_wrong_use_although_skips_are_forgiven() {
    let sim = Sim::start(&answering(""));
    for (wrong, says) in
        [("workk", "hint: did you mean work?"), ("typo", "`aws ecs list-services` lists them")]
    {
        for forgiven in ["", "--allow-skips"] {
            let run = sim.notifier(&format!("send -c prod -s {wrong} {forgiven}")).run();
            assert_eq!(run.code, 2, "{run}");
            assert!(run.stdout.contains("the cluster has no service of this name"), "{run}");
            assert!(run.stderr.contains(&format!("cluster prod has no service {wrong}")), "{run}");
            assert!(run.stderr.contains(says), "{run}");
        }
    }
}

/// The URL of a server that answers every request with status 200 and this body.
fn false_aws(body: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // One small request per connection, with the same answer for all.
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\n";
            let _ = write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    url
}

#[test]
fn an_answer_without_its_list_is_not_an_empty_fleet() {
    for body in ["", "{}"] {
        let url = false_aws(body);
        for command in ["send -c prod", "plan -c prod"] {
            let run = notifier(command).at(&url).run();
            let says = format!("error: {url}/ answered ListTasks without `taskArns`, which ECS always sends");
            assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{command}: {}", run.stderr);
            assert!(run.stderr.contains(&says), "{command}: {}", run.stderr);
        }
    }
}

#[test]
fn many_skips_with_one_cause_are_one_line_unless_all_are_asked_for() {
    let _bound = redacted();
    let unhealthy =
        answering("health_check = true\nhealth = 'UNHEALTHY'").replace("tasks = 2", "tasks = 312");
    let sim = Sim::start(&unhealthy);
    insta::assert_snapshot!(sim.notifier("send -c prod --quiet").run().stdout, @r"
    work  0 of 312 notified
      skipped  -  312 containers  its health is UNHEALTHY (--verbose names each)
    312 containers: 312 skipped
    what to do:
      312 skipped  health  check why the health check fails; NOTIFIER_HEALTH=ignore calls unhealthy containers too
    ");
    let plan = sim.notifier("plan -c prod --quiet").run().stdout;
    assert_eq!(
        plan.lines().nth(1),
        Some("  skip  312 containers  its health is UNHEALTHY (--verbose names each)"),
        "{plan}"
    );
    for each in [
        "send -c prod --verbose",
        "send -c prod --format json",
        "send -c prod --format csv",
        "plan -c prod --verbose",
    ] {
        let run = sim.notifier(each).run();
        assert_eq!(run.stdout.matches("its health is UNHEALTHY").count(), 312, "{each}: {run}");
    }
}

#[test]
fn csv_is_byte_for_byte_in_a_pipe_and_commands_no_terminal() {
    let sim = Sim::start(&answering(""));
    let plan = || sim.notifier("plan -c prod --format csv --quiet -s").arg("\u{1b}[2Jno");
    for color in ["auto", "never", "always"] {
        let run = plan().arg("--color").arg(color).run();
        assert!(run.stdout.contains(",\u{1b}[2Jno,"), "{run:?}");
    }
    let watched = Terminal { columns: 200, rows: 24 }.watch(plan().arg("--color=always"), Shown::Stdout);
    assert!(!watched.written.contains('\u{1b}'), "{watched:#?}");
    assert!(watched.written.contains(r",\u{1b}[2Jno,"), "{watched:#?}");
}
