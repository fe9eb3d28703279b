//! `plan`.

use crate::support::{Sim, notifier, private_fleet, redacted};

#[test]
fn a_plan_shows_the_targets_and_why_other_containers_are_not_called() {
    let sim = Sim::start(&private_fleet());
    insta::assert_snapshot!(sim.notifier("plan --cluster prod").run(), @r#"
    exit 0
    --- stdout
    catalog   0 to call
      skip    04039f06/app  label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)
    checkout  2 to call
      call    5c54b771/app  POST http://10.0.1.4:32768/v1.0/notify
      call    87508d29/app  POST http://10.0.1.5:32768/v1.0/notify
      ignore  2             did not opt in
    search    1 to call
      call    deb3222f/app  GET http://10.1.0.4:9000/reload
      skip    6575950f/app  its health is UNHEALTHY
    web       0 to call
      ignore  1             did not opt in
    3 containers would be called, 2 skipped, 3 ignored
    8 calls to AWS: EC2 DescribeInstances 1, ECS DescribeContainerInstances 1, ECS DescribeTaskDefinition 4, ECS DescribeTasks 1, ECS ListTasks 1
    calls by bucket            this plan  broadcast
    ec2-read                           1          1
    ecs-cluster-read                   0          1
    ecs-cluster-resource-read          3          7
    ecs-service-read                   0          2
    ecs-task-definition-read           4          4
    at 50 % of AWS's rate no call of this plan waited; a broadcast through the queues takes at least 0 s for its calls
    --- stderr
    "#);
}

#[test]
fn verbose_names_everyone_in_full_and_standalone_tasks_when_asked_for() {
    let sim = Sim::start(&private_fleet());
    insta::assert_snapshot!(sim.notifier("plan --cluster prod --standalone -v").run(), @r#"
    exit 0
    --- stdout
    catalog         0 to call
      skip    04039f069284fceed8c083bd4b741f97/app         label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)
    checkout        2 to call
      call    5c54b771c6631a515c5e66d4c3254cfb/app         POST http://10.0.1.4:32768/v1.0/notify
      call    87508d295ccbf89bc07fbfa1baee1a43/app         POST http://10.0.1.5:32768/v1.0/notify
      ignore  5c54b771c6631a515c5e66d4c3254cfb/log-router  did not opt in
      ignore  87508d295ccbf89bc07fbfa1baee1a43/log-router  did not opt in
    family:migrate  1 to call
      call    57a6a36dda67714cf9d2d8c7f8dc23d1/app         POST http://10.1.0.8:8080/notify
    search          1 to call
      call    deb3222f49d380d4cea0e72c92681666/app         GET http://10.1.0.4:9000/reload
      skip    6575950fb1f2fd0f6998a2f94eaed542/app         its health is UNHEALTHY
    web             0 to call
      ignore  79fb6484d1999e2dd82b9ab781271808/app         did not opt in
    4 containers would be called, 2 skipped, 3 ignored
    9 calls to AWS: EC2 DescribeInstances 1, ECS DescribeContainerInstances 1, ECS DescribeTaskDefinition 5, ECS DescribeTasks 1, ECS ListTasks 1
    calls by bucket            this plan  broadcast
    ec2-read                           1          1
    ecs-cluster-read                   0          1
    ecs-cluster-resource-read          3          9
    ecs-service-read                   0          2
    ecs-task-definition-read           5          5
    at 50 % of AWS's rate no call of this plan waited; a broadcast through the queues takes at least 0 s for its calls
    --- stderr
    "#);
}

#[test]
fn a_plan_of_some_services_names_those_that_the_cluster_does_not_have() {
    let sim = Sim::start(&private_fleet());
    insta::assert_snapshot!(sim.notifier("plan -c prod -s checkout -s serach").run(), @r#"
    exit 2
    --- stdout
    checkout  2 to call
      call    5c54b771/app  POST http://10.0.1.4:32768/v1.0/notify
      call    87508d29/app  POST http://10.0.1.5:32768/v1.0/notify
      ignore  2             did not opt in
    serach    0 to call
      skip    -             the cluster has no service of this name
    2 containers would be called, 1 skipped, 2 ignored
    6 calls to AWS: EC2 DescribeInstances 1, ECS DescribeContainerInstances 1, ECS DescribeTaskDefinition 1, ECS DescribeTasks 1, ECS ListTasks 2
    calls by bucket            this plan  broadcast
    ec2-read                           1          1
    ecs-cluster-resource-read          4          3
    ecs-service-read                   0          1
    ecs-task-definition-read           1          1
    at 50 % of AWS's rate no call of this plan waited; a broadcast through the queues takes at least 0 s for its calls
    --- stderr
    error: cluster prod has no service serach
    hint: did you mean search?
    "#);
}

#[test]
fn health_can_be_ignored() {
    let sim = Sim::start(&private_fleet());
    insta::assert_snapshot!(sim.notifier("plan -c prod -s search --health ignore").run(), @r#"
    exit 0
    --- stdout
    search  2 to call
      call  6575950f/app  GET http://10.1.0.5:9000/reload
      call  deb3222f/app  GET http://10.1.0.4:9000/reload
    2 containers would be called, 0 skipped, 0 ignored
    3 calls to AWS: ECS DescribeTaskDefinition 1, ECS DescribeTasks 1, ECS ListTasks 1
    calls by bucket            this plan  broadcast
    ecs-cluster-resource-read          2          2
    ecs-service-read                   0          1
    ecs-task-definition-read           1          1
    at 50 % of AWS's rate no call of this plan waited; a broadcast through the queues takes at least 0 s for its calls
    --- stderr
    "#);
}

#[test]
fn json_has_a_line_for_everyone_and_a_summary() {
    let sim = Sim::start(&private_fleet());
    insta::assert_snapshot!(sim.notifier("plan -c prod --format json").run(), @r#"
    exit 0
    --- stdout
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"catalog","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/04039f069284fceed8c083bd4b741f97","container":"app","address":null,"outcome":"skipped","reason":"label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)","attempts":null,"status":null,"latency_ms":null,"decision":"skip","method":null,"url":null}
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"checkout","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/5c54b771c6631a515c5e66d4c3254cfb","container":"app","address":"10.0.1.4:32768","outcome":null,"reason":null,"attempts":null,"status":null,"latency_ms":null,"decision":"call","method":"POST","url":"http://10.0.1.4:32768/v1.0/notify"}
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"checkout","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/5c54b771c6631a515c5e66d4c3254cfb","container":"log-router","address":null,"outcome":null,"reason":"did not opt in","attempts":null,"status":null,"latency_ms":null,"decision":"ignore","method":null,"url":null}
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"checkout","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/87508d295ccbf89bc07fbfa1baee1a43","container":"app","address":"10.0.1.5:32768","outcome":null,"reason":null,"attempts":null,"status":null,"latency_ms":null,"decision":"call","method":"POST","url":"http://10.0.1.5:32768/v1.0/notify"}
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"checkout","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/87508d295ccbf89bc07fbfa1baee1a43","container":"log-router","address":null,"outcome":null,"reason":"did not opt in","attempts":null,"status":null,"latency_ms":null,"decision":"ignore","method":null,"url":null}
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"search","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/6575950fb1f2fd0f6998a2f94eaed542","container":"app","address":null,"outcome":"skipped","reason":"its health is UNHEALTHY","attempts":null,"status":null,"latency_ms":null,"decision":"skip","method":null,"url":null}
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"search","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/deb3222f49d380d4cea0e72c92681666","container":"app","address":"10.1.0.4:9000","outcome":null,"reason":null,"attempts":null,"status":null,"latency_ms":null,"decision":"call","method":"GET","url":"http://10.1.0.4:9000/reload"}
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"web","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/79fb6484d1999e2dd82b9ab781271808","container":"app","address":null,"outcome":null,"reason":"did not opt in","attempts":null,"status":null,"latency_ms":null,"decision":"ignore","method":null,"url":null}
    {"summary":{"call":3,"skip":2,"ignore":3,"aws_calls":{"EC2 DescribeInstances":1,"ECS DescribeContainerInstances":1,"ECS DescribeTaskDefinition":4,"ECS DescribeTasks":1,"ECS ListTasks":1},"calls":{"ec2-read":1,"ecs-cluster-read":1,"ecs-cluster-resource-read":7,"ecs-service-read":2,"ecs-task-definition-read":4},"seconds":0.0}}
    --- stderr
    "#);
}

#[test]
fn csv_has_a_row_for_everyone() {
    let sim = Sim::start(&private_fleet());
    insta::assert_snapshot!(sim.notifier("plan -c prod -s checkout --format csv").run(), @r#"
    exit 0
    --- stdout
    broadcast,account,region,cluster,service,task,container,address,outcome,reason,attempts,status,latency_ms,decision,method,url
    ,111122223333,us-east-1,prod,checkout,arn:aws:ecs:us-east-1:111122223333:task/prod/5c54b771c6631a515c5e66d4c3254cfb,app,10.0.1.4:32768,,,,,,call,POST,http://10.0.1.4:32768/v1.0/notify
    ,111122223333,us-east-1,prod,checkout,arn:aws:ecs:us-east-1:111122223333:task/prod/5c54b771c6631a515c5e66d4c3254cfb,log-router,,,did not opt in,,,,ignore,,
    ,111122223333,us-east-1,prod,checkout,arn:aws:ecs:us-east-1:111122223333:task/prod/87508d295ccbf89bc07fbfa1baee1a43,app,10.0.1.5:32768,,,,,,call,POST,http://10.0.1.5:32768/v1.0/notify
    ,111122223333,us-east-1,prod,checkout,arn:aws:ecs:us-east-1:111122223333:task/prod/87508d295ccbf89bc07fbfa1baee1a43,log-router,,,did not opt in,,,,ignore,,
    --- stderr
    "#);
}

#[test]
fn a_narrow_terminal_gets_shorter_lines_and_loses_no_reason() {
    let sim = Sim::start(&private_fleet());
    for columns in ["60", "80"] {
        let run = sim.notifier("plan --cluster prod").env("COLUMNS", columns).run();
        let columns: usize = columns.parse().unwrap();
        for line in run.stdout.lines() {
            assert!(line.chars().count() <= columns, "{line}");
        }
        let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)"), "{run}");
    }
    insta::assert_snapshot!(sim.notifier("plan --cluster prod").env("COLUMNS", "60").run(), @r#"
    exit 0
    --- stdout
    catalog   0 to call
      skip    04039f06/app  label NOTIFY_ME_CONTAINER_PORT:
                            `eighty` is not a port (1-65535)
    checkout  2 to call
      call    5c54b771/app  POST
                            http://10.0.1.4:32768/v1.0/notify
      call    87508d29/app  POST
                            http://10.0.1.5:32768/v1.0/notify
      ignore  2             did not opt in
    search    1 to call
      call    deb3222f/app  GET http://10.1.0.4:9000/reload
      skip    6575950f/app  its health is UNHEALTHY
    web       0 to call
      ignore  1             did not opt in
    3 containers would be called, 2 skipped, 3 ignored
    8 calls to AWS: EC2 DescribeInstances 1, ECS
      DescribeContainerInstances 1, ECS DescribeTaskDefinition
      4, ECS DescribeTasks 1, ECS ListTasks 1
    calls by bucket            this plan  broadcast
    ec2-read                           1          1
    ecs-cluster-read                   0          1
    ecs-cluster-resource-read          3          7
    ecs-service-read                   0          2
    ecs-task-definition-read           4          4
    at 50 % of AWS's rate no call of this plan waited; a
      broadcast through the queues takes at least 0 s for its
      calls
    --- stderr
    "#);
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let sim = Sim::start(&private_fleet());
    let escapes = |arguments: &str, variables: &[(&str, &str)]| {
        let run = sim.notifier(arguments);
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run();
        assert_eq!(run.code, 0, "{run}");
        run.stdout.contains('\u{1b}')
    };
    assert!(!escapes("plan -c prod", &[]), "a pipe");
    assert!(escapes("plan -c prod --color always", &[]));
    assert!(escapes("plan -c prod --color always", &[("NO_COLOR", "1")]), "a flag wins over the environment");
    assert!(escapes("plan -c prod", &[("CLICOLOR_FORCE", "1")]));
    assert!(!escapes("plan -c prod --color never", &[("CLICOLOR_FORCE", "1")]));
    assert!(!escapes("plan -c prod", &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
}

#[test]
fn an_unknown_cluster_is_wrong_use_with_a_hint() {
    let sim = Sim::start(&private_fleet());
    insta::assert_snapshot!(sim.notifier("plan --cluster prdo").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: there is no cluster `prdo` in this account and region
    hint: `aws ecs list-clusters` lists them; --region and --profile choose another region and account
    "#);
}

#[test]
fn a_cluster_without_an_opted_in_container_is_planned_with_a_warning() {
    let sim = Sim::start("[[cluster]]\nname = 'empty'");
    insta::assert_snapshot!(sim.notifier("plan --cluster empty").run(), @r#"
    exit 0
    --- stdout
    0 containers would be called, 0 skipped, 0 ignored
    1 call to AWS: ECS ListTasks 1
    calls by bucket            this plan  broadcast
    ecs-cluster-read                   0          1
    ecs-cluster-resource-read          1          0
    ecs-service-read                   0          1
    at 50 % of AWS's rate no call of this plan waited; a broadcast through the queues takes at least 0 s for its calls
    --- stderr
    warning: no target: no running container in cluster empty has the labels
    "#);
    insta::assert_snapshot!(sim.notifier("plan --cluster empty --format csv --quiet").run(), @r#"
    exit 0
    --- stdout
    broadcast,account,region,cluster,service,task,container,address,outcome,reason,attempts,status,latency_ms,decision,method,url
    --- stderr
    "#);
}

#[test]
fn without_credentials_aws_fails_with_a_hint() {
    let run = notifier("plan --cluster prod --region us-east-1").run();
    insta::assert_snapshot!(run, @r#"
    exit 3
    --- stdout
    --- stderr
    error: ECS did not answer ListTasks
      because: no AWS credentials: Environment: environment variable not set; Profile: none; WebIdentityToken: $AWS_WEB_IDENTITY_TOKEN_FILE was not set; EcsContainer: ECS provider not configured; Ec2InstanceMetadata: IMDS disabled by AWS_EC2_METADATA_DISABLED env var set to `true`
    hint: AWS does not accept the credentials: choose a profile with --profile or AWS_PROFILE, and log in; `aws sts get-caller-identity` shows the current identity
    "#);
}

#[test]
fn without_a_region_aws_fails_with_a_hint() {
    let keys = notifier("plan --cluster prod").env("AWS_ACCESS_KEY_ID", "test");
    insta::assert_snapshot!(keys.env("AWS_SECRET_ACCESS_KEY", "test").run(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: no AWS region is set
    hint: set a region: --region eu-west-1, or AWS_REGION, or `region` in the AWS profile
    "#);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let _bound = redacted();
    let sim = Sim::start(&private_fleet());
    let script = "(ecs-task-notifier plan --cluster prod --format json; echo \"exit $?\" >&2) | head -n 1";
    insta::assert_snapshot!(sim.shell(script).run(), @r#"
    exit 0
    --- stdout
    {"broadcast":null,"account":"111122223333","region":"us-east-1","cluster":"prod","service":"catalog","task":"arn:aws:ecs:us-east-1:111122223333:task/prod/04039f069284fceed8c083bd4b741f97","container":"app","address":null,"outcome":"skipped","reason":"label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)","attempts":null,"status":null,"latency_ms":null,"decision":"skip","method":null,"url":null}
    --- stderr
    exit 0
    "#);
}

#[test]
fn a_plan_shows_what_it_waited_for_and_what_a_broadcast_would() {
    let sim = Sim::start(&private_fleet());
    let run = sim.notifier("plan -c prod --aws-budget-percent 10").run();
    assert!(run.stdout.contains("\nat 10 % of AWS's rate no call of this plan waited; "), "{run}");
    // One task definition at once, then 0.6 a second.
    let run = sim.notifier("plan -c prod --aws-budget-percent 3").run();
    let calls = "\nat 3 % of AWS's rate 3 calls of this plan waited; a broadcast through the queues takes at least 6.7 s for its calls\n";
    assert!(run.stdout.contains(calls), "{run}");
}
