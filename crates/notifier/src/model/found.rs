//! How the tasks of a broadcast were found.

use serde::{Deserialize, Serialize};

use crate::base::words;

words! {
    /// Where the tasks of a broadcast come from.
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum DiscoveryMethod {
        /// From ECS, service by service.
        #[default]
        Services = "services",
        /// From ECS, all tasks of the cluster.
        Sweep = "sweep",
        /// From the registry.
        Registry = "registry",
    }
}

/// How the tasks of a broadcast were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Where they come from.
    pub method: DiscoveryMethod,
    /// Age of the registry at that time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
}

impl From<DiscoveryMethod> for Found {
    fn from(method: DiscoveryMethod) -> Self {
        Self { method, age_ms: None }
    }
}
