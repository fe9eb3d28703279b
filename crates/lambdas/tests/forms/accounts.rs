//! Clusters of other accounts and regions, by routing rules.

use std::collections::BTreeMap;
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::model::Outcome;
use simulator::{Fleet, Options, Role, Simulator};
use testkit::fleets;

use crate::setup::{Form, Setup};
use crate::sources::{body, created};

const ROLE: &str = "arn:aws:iam::444455556666:role/notify";
/// Equal clusters: of the notifier's own account and region, of another region, and of another account.
const RULES: &str = r#"
[[route]]
name = "everywhere"
match = { source = ["aws.s3"] }
to = { clusters = ["prod", "arn:aws:ecs:eu-west-1:111122223333:cluster/prod", "arn:aws:ecs:eu-west-1:444455556666:cluster/prod"] }
event = { type = "com.example.prices" }
"#;

fn prod(account: &str, region: &str, tasks: usize) -> String {
    let fleet = fleets::fleet(&[fleets::service("web", tasks, "/n", "")]);
    format!("account = '{account}'\nregion = '{region}'\n{fleet}")
}

fn role() -> Role {
    // Shorter than the broadcast: the credentials are renewed while it runs.
    Role { arn: ROLE.to_owned(), lifetime: Some(Duration::from_secs(2)), ..Role::default() }
}

async fn start(role: Role) -> Simulator {
    let elsewhere = [prod("111122223333", "eu-west-1", 2), prod("444455556666", "eu-west-1", 3)];
    let elsewhere = elsewhere.iter().map(|fleet| Fleet::from_toml(fleet).unwrap()).collect();
    let queues = fleets::stage_queues(15, &[]);
    let options = Options { elsewhere, roles: vec![role], queues, ..Options::default() };
    fleets::start_with(&prod("111122223333", "us-east-1", 1), options).await
}

async fn setup(form: Form, role: Role) -> Setup {
    let settings = [("NOTIFIER_ROUTES", "env:RULES"), ("RULES", RULES), ("NOTIFIER_ROLES", ROLE)];
    Setup::on(form, start(role).await, &settings).await
}

async fn recorded(setup: &Setup) -> Option<Recorded> {
    let ledger = &setup.notifier.ctx().ledger;
    let recent = ledger.recent(10).await.unwrap();
    assert!(recent.len() <= 1, "one broadcast: {recent:?}");
    ledger.read(&recent.first()?.id).await.unwrap()
}

/// Notified containers by account and region.
fn delivered(recorded: &Recorded) -> BTreeMap<(String, String), usize> {
    let mut delivered = BTreeMap::new();
    for line in recorded.report.lines() {
        if line.outcome == Some(Outcome::Delivered) {
            let place =
                (line.account.unwrap_or_default().to_owned(), line.region.unwrap_or_default().to_owned());
            *delivered.entry(place).or_default() += 1;
        }
    }
    delivered
}

fn expected() -> BTreeMap<(String, String), usize> {
    [("111122223333", "us-east-1", 1), ("111122223333", "eu-west-1", 2), ("444455556666", "eu-west-1", 3)]
        .map(|(account, region, tasks)| ((account.to_owned(), region.to_owned()), tasks))
        .into()
}

async fn is_complete(setup: &Setup) -> bool {
    recorded(setup).await.is_some_and(|recorded| recorded.is_complete)
}

/// One rule, one broadcast, one report; equal names are never mixed.
pub(crate) async fn equal_clusters_of_two_accounts_and_regions_are_reached_by_one_rule(form: Form) {
    let setup = setup(form, role()).await;
    setup.publish_bodies(&[body(&[created("prices/a", 1)])]).await;
    setup.work_until(async || is_complete(&setup).await).await;
    assert_eq!(delivered(&recorded(&setup).await.unwrap()), expected());
    assert_eq!(setup.sim.received().len(), 6, "each task once");
}

/// A role that is refused leaves the other clusters served; when it is granted, the rest follows.
pub(crate) async fn a_refused_role_leaves_the_other_clusters_served(form: Form) {
    let setup = setup(form, Role { is_refused: true, ..role() }).await;
    setup.publish_bodies(&[body(&[created("prices/a", 1)])]).await;
    setup.work_until(async || setup.sim.received().len() == 3 && setup.sim.count("AssumeRole") > 0).await;
    let so_far = recorded(&setup).await.unwrap();
    assert!(!so_far.is_complete);
    let pending = so_far.report.entries().iter().find(|entry| entry.outcome.is_none()).unwrap();
    assert_eq!(pending.member.account, "444455556666", "the report names the account that is missing");
    setup.sim.set_role(role());
    setup.work_until(async || is_complete(&setup).await).await;
    assert_eq!(delivered(&recorded(&setup).await.unwrap()), expected());
}
