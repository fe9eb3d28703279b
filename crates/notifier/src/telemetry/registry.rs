//! How many tasks the registry has, and how old it is, for the metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::prometheus::{Kind, Text};
use crate::base::text::chain;
use crate::fleet::registry::{Freshness, Registry};

/// How old the numbers become before a scrape reads the table again.
const FRESH: Duration = Duration::from_secs(15);

/// One registered cluster.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RegisteredCluster {
    arn: String,
    /// Running tasks that its last sweep found.
    tasks: usize,
    /// `None` if the registry is not used for it at the moment.
    age: Option<Duration>,
}

/// The state of a registry. Clones share it. The table is read in the background, and only after somebody wanted to know.
#[derive(Clone, Debug)]
pub struct RegistryGauges(Arc<(Registry, Mutex<State>)>);

#[derive(Debug, Default)]
struct State {
    known: Vec<RegisteredCluster>,
    asked: Option<Instant>,
}

impl RegistryGauges {
    /// The state of this registry.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new((registry, Mutex::default())))
    }

    /// The last known state. Reads it again if it is old. Must be called within a tokio runtime.
    pub(super) fn known(&self) -> Vec<RegisteredCluster> {
        let mut state = self.state();
        if state.asked.is_none_or(|asked| asked.elapsed() >= FRESH) {
            state.asked = Some(Instant::now());
            tokio::spawn(self.clone().ask());
        }
        state.known.clone()
    }

    async fn ask(self) {
        let registry = &self.0.0;
        let swept = match registry.clusters().await {
            Ok(swept) => swept,
            Err(error) => {
                debug!(error = chain(&error), "The state of the registry is not known");
                return;
            }
        };
        let mut known = Vec::new();
        for (arn, sweep) in swept.into_iter().filter(|(arn, _)| registry.options().clusters.has(arn)) {
            let age = match registry.freshness(&arn).await {
                Freshness::Live { age } => Some(age),
                Freshness::NotLive { .. } => None,
            };
            known.push(RegisteredCluster { arn, tasks: sweep.tasks, age });
        }
        self.state().known = known;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metrics of registered clusters. A cluster that is not live has no age.
pub(super) fn text(text: &mut Text, clusters: &[RegisteredCluster]) {
    let tasks = "ecs_task_notifier_registry_tasks";
    text.metric(tasks, Kind::Gauge, "Running tasks of a registered cluster, as its last sweep found them.");
    for cluster in clusters {
        text.sample(tasks, &[("cluster", &cluster.arn)], cluster.tasks);
    }
    let age = "ecs_task_notifier_registry_age_seconds";
    text.metric(
        age,
        Kind::Gauge,
        "Time since the events of a registered cluster were known to be processed; absent while the registry is not used.",
    );
    for (cluster, seconds) in clusters.iter().filter_map(|one| Some((&one.arn, one.age?.as_secs_f64()))) {
        text.sample(age, &[("cluster", cluster)], seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_is_not_live_has_tasks_and_no_age() {
        let cluster = |arn: &str, age| RegisteredCluster { arn: arn.to_owned(), tasks: 7, age };
        let mut written = Text::default();
        text(&mut written, &[cluster("a", Some(Duration::from_millis(2_500))), cluster("b", None)]);
        let written = written.into_string();
        let samples: Vec<&str> = written.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "ecs_task_notifier_registry_tasks{cluster=\"a\"} 7",
                "ecs_task_notifier_registry_tasks{cluster=\"b\"} 7",
                "ecs_task_notifier_registry_age_seconds{cluster=\"a\"} 2.5",
            ]
        );
    }
}
