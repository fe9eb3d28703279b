//! The project's own types and the rules on them. Pure: no AWS SDK, no clock, no I/O.
//!
//! | file | what it describes |
//! | --- | --- |
//! | `arn` | ARNs and the names in them |
//! | `labels` | the Docker labels of a container |
//! | `network` | which addresses may be called |
//! | `task`, `revision` | tasks, services, hosts and task definitions, as ECS describes them |
//! | `fleet` | the containers of a scope: endpoints, skips, and those that did not opt in |
//! | `service` | identifies a service, in reports of several clusters |
//! | `delivery`, `outcome`, `cause` | one delivery: its state, outcome and cause |
//! | `ended` | deliveries that end without another attempt |
//! | `stage`, `dead_letter` | the names of the stages, and messages that were given up |
//! | `progress` | the events of a broadcast |

pub mod arn;
mod cause;
mod dead_letter;
mod delivery;
mod ended;
mod fleet;
pub mod labels;
pub(crate) mod latency;
pub mod network;
mod outcome;
mod progress;
mod revision;
mod service;
mod stage;
mod task;

pub use cause::Cause;
pub use dead_letter::DeadLetter;
pub use delivery::Delivery;
pub(crate) use fleet::SkipReason;
pub use fleet::{Endpoint, Fleet, Member, NotTargeted, NotTargetedReason};
pub use outcome::Outcome;
pub use progress::{Progress, ProgressEvent};
pub use revision::{ContainerSpec, NetworkMode, Revision};
pub(crate) use service::Places;
pub use service::ServiceKey;
pub use stage::StageName;
pub use task::{
    Attachment, ContainerState, Deployment, HEALTHY, Host, NetworkInterface, PortBinding, PortRange, RUNNING,
    STOPPED, ServiceState, TaskState, UNKNOWN,
};
