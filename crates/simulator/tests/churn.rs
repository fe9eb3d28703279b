//! Fleets that change by themselves, and the limits of AWS that hold for all who call.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[allow(dead_code, reason = "the other live tests look at more of an answer")]
mod client;

use std::collections::HashSet;
use std::time::Duration;

use client::ecs;
use serde_json::{Value, json};
use simulator::fleet::TaskStatus;
use simulator::{ChangeError, Changed, Churn, Fleet, Options, Rolling, Simulator, TaskView};

async fn start(more: &str) -> Simulator {
    let toml = format!(
        "addresses = 'private'\n{more}\n[[cluster]]\nname = 'c'\nhosts = [{{ count = 3 }}]\n\
         [[cluster.service]]\nname = 'app'\ncopies = 4\nlaunch_type = 'FARGATE'\ntasks = 5\n\
         [[cluster.service.container]]\nname = 'a'\nports = [8080]\n\
         [[cluster.service]]\nname = 'bridge'\ntasks = 4\n[[cluster.service.container]]\nname = 'a'\nports = [80]"
    );
    Simulator::start(Fleet::from_toml(&toml).unwrap(), Options::default()).await.unwrap()
}

fn running(sim: &Simulator) -> Vec<TaskView> {
    sim.tasks().into_iter().filter(|task| task.last_status == TaskStatus::Running).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rolling_deployment_replaces_every_task_and_ecs_shows_it_half_way() {
    let sim = start("").await;
    let old: HashSet<_> = running(&sim).into_iter().map(|task| task.arn).collect();
    let of_service = |sim: &Simulator| -> Vec<String> {
        let tasks = running(sim).into_iter().filter(|task| task.service.as_deref() == Some("app-2"));
        tasks.map(|task| task.task_definition.rsplit(':').next().unwrap().to_owned()).collect()
    };
    let rolling = Rolling { revision: 2, containers: None, batch: 2, pause: Duration::from_mins(1) };
    let half_way = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(of_service(&sim), ["1", "1", "1", "2", "2"]);
        let found =
            ecs_without_waiting(&sim, "DescribeServices", &json!({ "cluster": "c", "services": ["app-2"] }))
                .await;
        let deployments = found["services"][0]["deployments"].as_array().unwrap().clone();
        let told: Vec<_> = deployments
            .iter()
            .map(|it| (it["status"].as_str().unwrap(), it["runningCount"].as_u64().unwrap()))
            .collect();
        assert_eq!(told, [("PRIMARY", 2), ("ACTIVE", 3)]);
    };
    let (new, ()) = tokio::join!(sim.deploy("c", "app-2", &rolling), half_way);
    let new = new.unwrap();
    assert!(new.len() == 5 && new.iter().all(|arn| !old.contains(arn)));
    assert_eq!(of_service(&sim), ["2"; 5]);
    assert!(matches!(sim.deploy("c", "app-2", &rolling).await, Err(ChangeError::OldRevision { .. })));
    let found =
        ecs_without_waiting(&sim, "DescribeServices", &json!({ "cluster": "c", "services": ["app-2"] }))
            .await;
    assert_eq!(found["services"][0]["deployments"].as_array().unwrap().len(), 1);
}

/// An HTTP call under a paused clock, which must not run ahead meanwhile.
async fn ecs_without_waiting(sim: &Simulator, operation: &str, parameters: &Value) -> Value {
    tokio::time::resume();
    let answer = ecs(sim, operation, parameters).await;
    tokio::time::pause();
    answer
}

#[tokio::test(start_paused = true)]
async fn churn_is_the_same_for_the_same_seed_and_no_two_running_tasks_share_an_address() {
    let run = async |seed| {
        let sim = start("").await;
        let changed = sim.churn(&Churn::new(seed), 300, Duration::from_mins(10)).await.unwrap();
        (sim, changed)
    };
    let mut all = HashSet::new();
    for seed in 0..5 {
        let (sim, changed) = run(seed).await;
        let count = |kind: fn(&Changed) -> bool| changed.iter().filter(|it| kind(it)).count();
        let started = count(|it| matches!(it, Changed::Started(_)));
        let stopped = count(|it| matches!(it, Changed::Stopped(_)));
        let moved = count(|it| matches!(it, Changed::Moved { .. }));
        assert!(started > 90 && stopped > 90 && moved > 5, "{started} {stopped} {moved}");
        let tasks = running(&sim);
        assert_eq!(tasks.len(), 24 + started - stopped, "a move keeps the number");
        let addresses: HashSet<_> =
            tasks.iter().flat_map(|task| &task.endpoints).map(|it| it.address).collect();
        assert_eq!(addresses.len(), tasks.len(), "seed {seed}");
        for change in &changed {
            if let Changed::Moved { from, to } = change {
                assert_eq!(sim.task(from).unwrap().last_status, TaskStatus::Stopped);
                assert!(sim.task(to).unwrap().version >= 3, "the new address is a change");
            }
        }
        assert_eq!(run(seed).await.1, changed);
        all.insert(format!("{changed:?}"));
    }
    assert_eq!(all.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_without_tasks_does_not_change() {
    let fleet = Fleet::from_toml("[[cluster]]\nname = 'c'").unwrap();
    let sim = Simulator::start(fleet, Options::default()).await.unwrap();
    assert_eq!(sim.churn(&Churn::new(1), 5, Duration::ZERO).await.unwrap(), vec![Changed::Nothing; 5]);
}
