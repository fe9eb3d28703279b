//! What discovery needs of a task-definition revision, which never changes and so is fetched once.

use std::collections::HashSet;
use std::sync::Arc;

use aws_sdk_ecs::types::{ContainerDefinition, NetworkMode, TaskDefinition};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use quick_cache::sync::Cache;
use wire::Labels;

use crate::aws::ecs::{Ecs, EcsError};
use crate::model::labels::{self, LabelError, Target};

/// Revisions that are remembered: some hundred bytes each.
const DEFINITIONS_MAX: usize = 10_000;
/// `DescribeTaskDefinition` calls under way at once.
const FETCHES_CONCURRENT_MAX: usize = 8;

/// One revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) network: NetworkMode,
    pub(super) containers: Vec<ContainerSpec>,
}

/// One container of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContainerSpec {
    pub(super) name: String,
    /// Its two labels word for word; `None` when it did not opt in.
    pub(super) claim: Option<Labels>,
    /// What the labels ask for.
    pub(super) target: Result<Option<Arc<Target>>, LabelError>,
    pub(super) has_health_check: bool,
}

impl From<&TaskDefinition> for Definition {
    fn from(definition: &TaskDefinition) -> Self {
        // A task has one container of each name, and deliveries are told apart by it.
        let mut names = HashSet::new();
        let containers = definition.container_definitions().iter();
        let containers = containers.filter(|container| names.insert(container.name()));
        Self {
            // A task definition that names no mode gets Docker's default, which on Linux is bridge.
            network: definition.network_mode().cloned().unwrap_or(NetworkMode::Bridge),
            containers: containers.map(ContainerSpec::from).collect(),
        }
    }
}

impl From<&ContainerDefinition> for ContainerSpec {
    fn from(container: &ContainerDefinition) -> Self {
        let none = std::collections::HashMap::new();
        let found = container.docker_labels().unwrap_or(&none);
        Self {
            name: container.name().unwrap_or_default().to_owned(),
            claim: labels::claim(found),
            target: labels::target(found).map(|target| target.map(Arc::new)),
            has_health_check: container.health_check().is_some(),
        }
    }
}

/// A revision, or why it cannot be read although ECS was asked properly: a deleted revision, for one.
pub(super) type RevisionResult = Result<Arc<Definition>, Arc<EcsError>>;

/// The revisions that were fetched so far.
#[derive(Debug)]
pub(super) struct Definitions(Cache<String, RevisionResult>);

impl Default for Definitions {
    fn default() -> Self {
        Self(Cache::new(DEFINITIONS_MAX))
    }
}

impl Definitions {
    /// The revisions of these ARNs, in their order. Whoever asks for one that somebody else is fetching waits for it.
    ///
    /// # Errors
    ///
    /// Only what may go away by itself. A revision that ECS refuses for good is a [`RevisionResult`] of its own.
    pub(super) async fn get(&self, ecs: &Ecs, arns: &[String]) -> Result<Vec<RevisionResult>, EcsError> {
        // Owned names: a closure over borrowed ones would make the future not `Send`.
        stream::iter(arns.to_vec())
            .map(async |arn| self.0.get_or_insert_async(&arn, fetch(ecs, &arn)).await)
            .buffered(FETCHES_CONCURRENT_MAX)
            .try_collect()
            .await
    }
}

async fn fetch(ecs: &Ecs, arn: &str) -> Result<RevisionResult, EcsError> {
    match ecs.describe_task_definition(arn).await {
        Ok(definition) => Ok(Ok(Arc::new(Definition::from(&definition)))),
        Err(error) if error.is_final() => Ok(Err(Arc::new(error))),
        Err(error) => Err(error),
    }
}
