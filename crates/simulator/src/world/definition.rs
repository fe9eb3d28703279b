//! Task definitions.

use std::time::Duration;

use crate::fleet::{Container, LaunchType, NetworkMode};

/// One revision of a task definition. It never changes.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) arn: String,
    pub(crate) family: String,
    pub(crate) revision: u32,
    pub(crate) mode: NetworkMode,
    /// The launch type with which it is compatible.
    pub(crate) launch_type: LaunchType,
    pub(crate) containers: Vec<Container>,
    pub(crate) registered_at: Duration,
}

impl Definition {
    /// The image of a container, also where the fleet names none.
    pub(crate) fn image(container: &Container) -> String {
        if container.image.is_empty() {
            format!("example/{}:latest", container.name)
        } else {
            container.image.clone()
        }
    }
}
