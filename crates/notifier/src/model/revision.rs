//! The part of a task-definition revision that discovery needs. Pure: no AWS types.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use super::labels::{self, OptIn};

/// A task-definition revision as ECS describes it, with the text of its labels.
///
/// It is stored in this form, so that whoever reads it later checks the labels by its own rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// How its tasks are connected.
    pub network: NetworkMode,
    /// Its containers.
    pub containers: Vec<ContainerDefinition>,
}

/// One container of a [`TaskDefinition`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerDefinition {
    /// Name of the container.
    pub name: String,
    /// Its Docker labels; others than [those of the notifier](labels::is_label) may be missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether it has a health check.
    pub has_health_check: bool,
}

/// A task-definition revision. It never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// How its tasks are connected.
    pub network: NetworkMode,
    containers: Vec<ContainerSpec>,
}

/// How the containers of a task are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Each task has its own interface.
    Awsvpc,
    /// Docker's network: ports of the host are mapped to ports of the containers. The default on Linux, and NAT on Windows.
    #[default]
    Bridge,
    /// Containers share the interfaces of the host.
    Host,
    /// No network.
    None,
}

/// One container of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Name of the container.
    pub name: String,
    /// Its labels; `None` if it did not opt in.
    pub opt_in: Option<OptIn>,
    /// Whether it has a health check.
    pub has_health_check: bool,
}

impl TaskDefinition {
    /// What it means: the targets of its containers, or why their labels are not valid.
    pub fn revision(&self) -> Revision {
        let container = |container: &ContainerDefinition| {
            let labels: HashMap<_, _> = container.labels.clone().into_iter().collect();
            ContainerSpec::new(&container.name, &labels, container.has_health_check)
        };
        Revision::new(self.network, self.containers.iter().map(container))
    }
}

impl Revision {
    /// A revision with these containers. Of several with the same name only the first is kept: the name identifies a
    /// delivery, and ECS accepts no duplicates.
    pub fn new(network: NetworkMode, containers: impl IntoIterator<Item = ContainerSpec>) -> Self {
        let mut names = HashSet::new();
        let containers = containers.into_iter().filter(|container| names.insert(container.name.clone()));
        Self { network, containers: containers.collect() }
    }

    /// Its containers, each name once.
    pub fn containers(&self) -> &[ContainerSpec] {
        &self.containers
    }
}

impl ContainerSpec {
    /// A container with these Docker labels.
    pub fn new<S: BuildHasher>(
        name: &str,
        labels: &HashMap<String, String, S>,
        has_health_check: bool,
    ) -> Self {
        Self { name: name.to_owned(), opt_in: labels::opt_in(labels), has_health_check }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_containers_with_one_name_the_first_counts() {
        let spec = |name: &str, has_health_check| {
            ContainerSpec::new(name, &HashMap::<String, String>::new(), has_health_check)
        };
        let revision =
            Revision::new(NetworkMode::Host, [spec("a", true), spec("b", false), spec("a", false)]);
        assert_eq!(revision.containers(), [spec("a", true), spec("b", false)]);
    }
}
