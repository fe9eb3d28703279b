//! Several clusters in one broadcast.

use crate::support::Sim;

/// Two clusters with a service of the same name, and one with another tag.
fn fleet() -> String {
    let cluster = |name: &str, team: &str, tasks: usize| {
        format!(
            "[[cluster]]\nname = '{name}'\ntags = {{ team = '{team}' }}\n[[cluster.service]]\nname = 'web'\n\
             launch_type = 'FARGATE'\ntasks = {tasks}\n[[cluster.service.container]]\nname = 'app'\nports = [8080]\n\
             labels = {{ NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '/n' }}\n"
        )
    };
    [cluster("prod", "shop", 2), cluster("test", "shop", 1), cluster("lab", "ops", 1)].concat()
}

#[test]
fn several_clusters_are_one_broadcast_with_one_report() {
    let sim = Sim::start(&fleet());
    let run = sim.notifier("send --cluster prod --cluster test --type a.b --id b-1 --format json").run();
    assert_eq!(run.code, 0, "{run}");
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let clusters: Vec<_> = lines.iter().filter_map(|line| line["cluster"].as_str()).collect();
    assert_eq!(clusters, ["prod", "prod", "test"]);
    assert!(lines[..3].iter().all(|line| line["broadcast"] == "b-1" && line["outcome"] == "delivered"));
    assert!(lines[..3].iter().all(|line| line["account"] == "111122223333" && line["region"].is_string()));
    assert_eq!(lines[3]["summary"]["delivered"], 3);
    let text = sim.notifier("send --cluster prod --cluster test").run();
    assert!(text.stdout.contains("prod/web  2 of 2 notified"), "{text}");
    assert!(text.stdout.contains("test/web  1 of 1 notified"), "{text}");
    assert!(text.stderr.contains("to clusters prod, test\n"), "{text}");
}

#[test]
fn every_cluster_with_a_tag_is_found_when_the_command_runs() {
    let sim = Sim::start(&fleet());
    let run = sim.notifier("plan --all-clusters --tag team=shop --format json").run();
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(run.stdout.matches("\"decision\":\"call\"").count(), 3, "{run}");
    assert!(!run.stdout.contains("lab"), "{run}");
    let all = sim.notifier("plan --cluster * --format json").run();
    assert_eq!(all.stdout.matches("\"decision\":\"call\"").count(), 4, "{all}");
    let none = sim.notifier("send --all-clusters --tag team=nobody").run();
    assert_eq!(none.code, 2, "{none}");
    assert!(none.stderr.contains("no active cluster matches `*` with the tags team=nobody"), "{none}");
    let wrong = sim.notifier("send --cluster prod --tag team=shop").run();
    assert_eq!(wrong.code, 2, "{wrong}");
    assert!(wrong.stderr.contains("hint: use --all-clusters instead of --cluster"), "{wrong}");
}

#[test]
fn a_cluster_that_cannot_be_reached_does_not_stop_the_others() {
    let sim = Sim::start(&fleet());
    let run = sim.notifier("send --cluster prod --cluster missing --cluster lab").run();
    assert_eq!(run.code, 3, "{run}");
    assert!(run.stdout.contains("2 of 2 notified") && run.stdout.contains("1 of 1 notified"), "{run}");
    assert!(run.stdout.contains("there is no cluster `missing` in this account and region"), "{run}");
    assert!(run.stderr.contains("error: only a part of the fleet was found and called"), "{run}");
    let plan = sim.notifier("plan --cluster prod --cluster missing").run();
    assert_eq!(plan.code, 2, "{plan}");
    assert!(plan.stdout.contains("2 containers would be called"), "{plan}");
    assert!(plan.stderr.contains("error: the plan lacks 1 cluster"), "{plan}");
    let nothing = sim.notifier("send --cluster missing --cluster gone").run();
    assert_eq!(nothing.code, 2, "{nothing}");
    assert!(nothing.stderr.contains("error: there is no cluster `"), "{nothing}");
}

#[test]
fn only_the_containers_that_were_not_notified_are_called_again_in_their_cluster() {
    let fleet = fleet().replacen(
        "'/n' }",
        "'/n' }\nanswers = [{ status = 403 }, { status = 403 }, { status = 200 }]",
        1,
    );
    let sim = Sim::start(&fleet);
    let directory = tempfile::tempdir().unwrap();
    let ledger = format!("sqlite:{}", directory.path().join("ledger.db").display());
    let first = sim.notifier(&format!("send --cluster prod --cluster lab --id b-1 --ledger {ledger}")).run();
    assert_eq!(first.code, 1, "{first}");
    let again = sim.notifier(&format!("send --failed-of b-1 --ledger {ledger}")).run();
    let third = sim.notifier(&format!("send --failed-of b-1 --ledger {ledger}")).run();
    assert!(again.code == 0 || third.code == 0, "{again}\n{third}");
    let report = sim.notifier(&format!("report b-1 --ledger {ledger} --format json")).run();
    assert!(report.stdout.contains("\"delivered\":3"), "{report}");
    let history = sim.notifier(&format!("history --ledger {ledger}")).run();
    assert!(history.stdout.contains("prod lab") && history.stdout.contains("3 of 3 notified"), "{history}");
}

#[test]
fn a_message_names_every_cluster_and_is_published_once() {
    let queue = "observer";
    let sim = Sim::with_queues(&fleet(), &[queue]);
    let publish = format!(
        "publish --cluster prod --cluster arn:aws:ecs:us-east-1:444455556666:cluster/prod --type a.b --id b-1 --queue {}",
        sim.queue_url(queue)
    );
    let run = sim.notifier(&publish).run();
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(run.stdout.matches("message").count(), 1, "{run}");
}
