//! The project's own types and the rules on them. Pure: no AWS SDK, no clock, no I/O.
//!
//! | file | what it describes |
//! | --- | --- |
//! | `arn` | ARNs and the names in them |
//! | `labels` | the Docker labels of a container |
//! | `network` | which addresses may be called |
//! | `task`, `revision` | tasks, services, hosts and task definitions, as ECS describes them |
//! | `fleet` | the containers of a scope: endpoints, skips, and those that did not opt in |
//! | `found` | how the tasks of a broadcast were found |
//! | `service` | identifies a service, in reports of several clusters |
//! | `delivery`, `outcome` | one delivery: its state, outcome and cause |
//! | `dead_letter` | the names of the stages, and messages that were given up |
//! | `zone` | names of availability zones |
//! | `progress` | the events of a broadcast |

pub mod arn;
mod dead_letter;
mod delivery;
mod fleet;
mod found;
pub mod labels;
pub(crate) mod latency;
pub mod network;
mod outcome;
mod progress;
mod revision;
mod service;
mod task;
mod zone;

pub use dead_letter::{DeadLetter, StageName};
pub use delivery::Delivery;
pub(crate) use fleet::SkipReason;
pub use fleet::{Endpoint, Fleet, Member, NotTargeted, NotTargetedReason};
pub use found::{DiscoveryMethod, Found};
pub use outcome::{Cause, Outcome};
pub use progress::{Progress, ProgressEvent};
pub use revision::{ContainerDefinition, ContainerSpec, NetworkMode, Revision, TaskDefinition};
pub(crate) use service::Places;
pub use service::ServiceKey;
pub use task::{
    Attachment, ClusterState, ContainerState, Deployment, HEALTHY, Host, NetworkInterface, PortBinding,
    PortRange, RUNNING, STOPPED, ServiceState, TaskState, UNKNOWN,
};
pub use zone::Zone;
