//! Broadcasts to several clusters.

use std::collections::BTreeMap;

use notifier::model::{Cause, Outcome};
use notifier::pipeline::send::SendError;
use notifier::report::Report;
use testkit::fleets;
use wire::ObserverMessage;

use crate::setup::{Form, Setup, broadcast, id};

/// Two clusters with a service of the same name, and one without tasks that opted in.
fn fleet() -> String {
    let cluster = |name: &str, tags: &str, services: &[String]| {
        format!("[[cluster]]\nname = '{name}'\n{tags}\n{}", services.concat())
    };
    let shop = "tags = { team = 'shop' }";
    [
        cluster("prod", shop, &[fleets::service("web", 2, "/n", "")]),
        cluster("test", shop, &[fleets::service("web", 1, "/n", ""), fleets::service("api", 1, "/n", "")]),
        cluster("other", "", &[fleets::service("web", 1, "/n", "")]),
    ]
    .concat()
}

fn scope(clusters: &[&str]) -> ObserverMessage {
    let mut scope = ObserverMessage::new(clusters[0]);
    scope.clusters = clusters[1..].iter().map(|&cluster| cluster.to_owned()).collect();
    scope
}

/// The outcomes of each service, by the name of its cluster.
fn outcomes(report: &Report) -> BTreeMap<String, Vec<Option<Outcome>>> {
    let mut outcomes = BTreeMap::<_, Vec<_>>::new();
    for delivery in report.entries() {
        let key = delivery.member.service_key();
        outcomes.entry(format!("{} {}", key.cluster, key.service)).or_default().push(delivery.outcome);
    }
    outcomes
}

const DELIVERED: Option<Outcome> = Some(Outcome::Delivered);

fn delivered<const N: usize>(services: [(&str, usize); N]) -> BTreeMap<String, Vec<Option<Outcome>>> {
    services.map(|(service, tasks)| (service.to_owned(), vec![DELIVERED; tasks])).into()
}

/// One broadcast and one report, whatever the number of clusters; a repeat calls no task.
pub(crate) async fn several_clusters_are_one_broadcast(form: Form) {
    let setup = Setup::of(form, &fleet(), &[]).await;
    let recorded = setup.broadcast(scope(&["prod", "test"])).await;
    assert_eq!(outcomes(&recorded.report), delivered([("prod web", 2), ("test api", 1), ("test web", 1)]));
    assert_eq!(setup.sim.received().len(), 4);
    let record = recorded.broadcast.unwrap();
    assert_eq!((record.cluster.as_str(), record.clusters.as_slice()), ("prod", &["test".to_owned()][..]));
    let history = setup.notifier.ctx().ledger.recent(10).await.unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
    if form == Form::Send {
        let again = setup.notifier.send(&scope(&["test", "prod"]), &broadcast()).await.unwrap();
        assert_eq!(again.counts().delivered, 4);
        assert_eq!(setup.sim.received().len(), 4, "notified once, and not again");
    }
}

/// The other clusters are notified, and the report names the one that is missing.
pub(crate) async fn a_cluster_that_cannot_be_reached_fails_alone(form: Form) {
    let setup = Setup::of(form, &fleet(), &[]).await;
    let scope = scope(&["missing", "prod"]);
    if form == Form::Send {
        let error = setup.send(&scope).await.unwrap_err();
        assert!(matches!(error, SendError::Incomplete { .. }), "{error:?}");
    } else {
        setup.publish(scope).await;
        setup.work_until(async || setup.has_ended().await).await;
    }
    let recorded = setup.recorded().await.unwrap();
    assert!(recorded.is_complete);
    let mut expected = delivered([("prod web", 2)]);
    expected.insert("missing ".to_owned(), vec![Some(Outcome::Failed)]);
    assert_eq!(outcomes(&recorded.report), expected);
    let failed = recorded.report.entries().iter().find(|entry| entry.outcome == Some(Outcome::Failed));
    let failed = failed.unwrap();
    assert_eq!((failed.cause, failed.member.cluster.as_str()), (Some(Cause::Discovery), "missing"));
    assert!(failed.reason.as_deref().unwrap().contains("no cluster `missing`"), "{failed:?}");
}

/// `*` and a tag select clusters when the broadcast begins.
pub(crate) async fn every_cluster_with_a_tag_is_one_broadcast(form: Form) {
    let setup = Setup::of(form, &fleet(), &[]).await;
    let mut scope = scope(&["*"]);
    scope.tags.insert("team".to_owned(), "shop".to_owned());
    scope.services.push("web".to_owned());
    let recorded = setup.broadcast(scope).await;
    assert_eq!(outcomes(&recorded.report), delivered([("prod web", 2), ("test web", 1)]));
    assert_eq!(recorded.report.broadcast(), &id());
    assert_eq!(setup.sim.received().len(), 3);
}
