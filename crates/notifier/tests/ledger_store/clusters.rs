//! Two clusters of equal names in one broadcast.

use std::collections::BTreeMap;
use std::sync::Arc;

use notifier::ledger::{BroadcastRecord, DAYS_DEFAULT, Ledger, PartRecord, Recorded};
use notifier::model::{Delivery, Member, Outcome, ServiceKey};
use notifier::store::Store;
use time::OffsetDateTime;
use wire::{BroadcastId, Draft, PartId};

use crate::stores::{NOW, Table, clock_at};

fn id() -> BroadcastId {
    BroadcastId::try_from("b-1".to_owned()).unwrap()
}

fn record() -> BroadcastRecord {
    BroadcastRecord {
        id: id(),
        event: Draft::default().complete(&id(), OffsetDateTime::UNIX_EPOCH).unwrap(),
        data_left_out: None,
        event_digest: None,
        cluster: "prod".to_owned(),
        clusters: Vec::new(),
        tags: BTreeMap::new(),
        split: false,
        services: Vec::new(),
        standalone: false,
        pace: None,
        asked_by: None,
        asked_at: NOW * 1_000,
        not_targeted: 0,
        folded: 0,
        found: None,
        failure: None,
    }
}

/// Task `n` of the service `web` in the cluster `prod` of this account.
fn expected(account: &str, n: u32) -> Delivery {
    let task = format!("arn:aws:ecs:eu-west-1:{account}:task/prod/{n:032x}");
    let (service, container) = ("web".to_owned(), "app".to_owned());
    let member = Member { service, container, ..Member::of_task("prod", &task) };
    Delivery { member: Arc::new(member), address: "10.0.0.1:80".parse().ok(), ..Delivery::default() }
}

async fn recorded(store: Arc<dyn Store>) -> Recorded {
    let ledger = Ledger::new(store, clock_at(NOW), DAYS_DEFAULT);
    let part = |account: &str| PartId::derive(["prod", "web", account]);
    let accounts = ["111122223333", "444455556666"];
    let parts = accounts.map(|account| (part(account), "web".to_owned()));
    ledger.broadcast(record(), &parts, &[]).await.unwrap();
    for (account, (id_of_part, service)) in accounts.into_iter().zip(parts) {
        let record = PartRecord { id: id_of_part, cluster: "prod".to_owned(), service, failure: None };
        // One task more in the second account.
        let tasks = if account == accounts[0] { 1 } else { 2 };
        let expected: Vec<_> = (0..tasks).map(|n| expected(account, n)).collect();
        assert_eq!(ledger.part(&id(), &record, &expected, &[]).await.unwrap(), expected);
    }
    for (account, outcome) in accounts.into_iter().zip([Outcome::Delivered, Outcome::Failed]) {
        let ended = Delivery { outcome: Some(outcome), attempts: Some(1), ..expected(account, 0) };
        ledger.settle(&id(), ended).await.unwrap();
    }
    ledger.read(&id()).await.unwrap().unwrap()
}

#[tokio::test]
async fn clusters_of_equal_names_in_two_accounts_stay_apart_in_a_report() {
    let recorded = recorded(Arc::clone(&Table::sqlite().await.store)).await;
    let services: Vec<_> = recorded
        .report
        .services()
        .into_iter()
        .map(|service| {
            let ServiceKey { account, region, cluster, service: name } = service.key;
            let counts = [service.counts.delivered, service.counts.failed, service.counts.pending];
            ([account, region, cluster, name].map(str::to_owned), counts)
        })
        .collect();
    let key = |account: &str| [account, "eu-west-1", "prod", "web"].map(str::to_owned);
    assert_eq!(services, [(key("111122223333"), [1, 0, 0]), (key("444455556666"), [0, 1, 1])]);
    let lines = recorded.report.lines();
    let places: Vec<_> = lines.iter().map(|line| (line.account, line.region, line.outcome)).collect();
    assert_eq!(
        places,
        [
            (Some("111122223333"), Some("eu-west-1"), Some(Outcome::Delivered)),
            (Some("444455556666"), Some("eu-west-1"), Some(Outcome::Failed)),
            (Some("444455556666"), Some("eu-west-1"), None),
        ]
    );
}
