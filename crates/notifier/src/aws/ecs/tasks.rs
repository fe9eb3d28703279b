//! Reads the answers of `DescribeTasks`, in place of the SDK's reader; and a task in an event, which has the same form.
//!
//! A large discovery reads megabytes of them. The SDK keeps all their fields, which takes half of the processor time that
//! `send` needs in user space; this reads the fields of [`TaskState`] and skips the others. The request, its signature and its
//! retries are the SDK's.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::operation::describe_tasks::{DescribeTasksError, DescribeTasksOutput};
use aws_sdk_ecs::types::Failure;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, Error, Output, OutputOrError,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::config_bag::ConfigBag;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::aws::error::read_json;
use crate::model::{Attachment, ContainerState, NetworkInterface, PortBinding, PortRange, TaskState, Zone};

/// Reads the answer of one call, whose request has it as an interceptor.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskReader(Arc<Mutex<Option<Vec<TaskState>>>>);

impl TaskReader {
    /// The tasks with an ARN of the answer; `None` without a list of tasks.
    pub(super) fn tasks(&self) -> Option<Vec<TaskState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for TaskReader {
    fn name(&self) -> &'static str {
        "TaskReader"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(SharedResponseDeserializer::new(self.clone()));
        Ok(())
    }
}

impl DeserializeResponse for TaskReader {
    fn deserialize_nonstreaming_with_config(&self, response: &HttpResponse, _: &ConfigBag) -> OutputOrError {
        let body = response.body().bytes().unwrap_or_default();
        if !response.status().is_success() {
            let error = read_json(body);
            let is_ecs = error.code().is_some();
            let error = DescribeTasksError::generic(error);
            // As in the SDK: an error answer without a code is not one of the service.
            return Err(if is_ecs {
                OrchestratorError::operation(Error::erase(error))
            } else {
                OrchestratorError::other(error)
            });
        }
        // From text, serde_json does not check the encoding of each string again.
        let body = str::from_utf8(body).map_err(OrchestratorError::other)?;
        let answer: Answer<'_> = serde_json::from_str(body).map_err(OrchestratorError::other)?;
        let tasks = answer.tasks.map(|tasks| tasks.into_iter().filter_map(Task::state).collect());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        let failure = |one: NotFound| Failure::builder().set_arn(one.arn).set_reason(one.reason).build();
        let failures = answer.failures.map(|failures| failures.into_iter().map(failure).collect());
        Ok(Output::erase(DescribeTasksOutput::builder().set_failures(failures).build()))
    }
}

/// The used fields of an answer. Source: ECS API reference, `DescribeTasks`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    tasks: Option<Vec<Task<'a>>>,
    failures: Option<Vec<NotFound>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NotFound {
    arn: Option<String>,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Task<'a> {
    #[serde(rename = "taskArn")]
    arn: Option<String>,
    cluster_arn: Option<String>,
    group: Option<String>,
    last_status: Option<String>,
    desired_status: Option<String>,
    #[serde(rename = "taskDefinitionArn")]
    revision: Option<String>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    container_instance_arn: Option<String>,
    #[serde(borrow)]
    availability_zone: Option<Cow<'a, str>>,
    #[serde(borrow)]
    containers: Option<Vec<Container<'a>>>,
    #[serde(borrow)]
    attachments: Option<Vec<AttachmentOfTask<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container<'a> {
    name: Option<String>,
    last_status: Option<String>,
    health_status: Option<String>,
    #[serde(borrow)]
    network_bindings: Option<Vec<Binding<'a>>>,
    #[serde(borrow)]
    network_interfaces: Option<Vec<Interface<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Binding<'a> {
    container_port: Option<i64>,
    host_port: Option<i64>,
    #[serde(borrow)]
    container_port_range: Option<Cow<'a, str>>,
    #[serde(borrow)]
    host_port_range: Option<Cow<'a, str>>,
    #[serde(borrow)]
    protocol: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Interface<'a> {
    attachment_id: Option<String>,
    #[serde(borrow)]
    private_ipv4_address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    ipv6_address: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AttachmentOfTask<'a> {
    id: Option<String>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    details: Option<Vec<Detail<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
}

impl Task<'_> {
    /// `None` without an ARN.
    fn state(self) -> Option<TaskState> {
        Some(TaskState {
            arn: self.arn?,
            cluster: self.cluster_arn,
            group: self.group,
            last_status: self.last_status,
            desired_status: self.desired_status,
            revision: self.revision,
            version: self.version.and_then(|number| version(number.get())).unwrap_or_default(),
            host: self.container_instance_arn,
            zone: self.availability_zone.as_deref().and_then(Zone::new),
            containers: self.containers.unwrap_or_default().into_iter().map(Container::state).collect(),
            attachments: self.attachments.iter().flatten().map(AttachmentOfTask::state).collect(),
        })
    }
}

/// Reads the version of a task. Some readers of events write a whole number as `9.0`.
fn version(number: &str) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    decimals.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok()).flatten()
}

/// Reads the `detail` of a task state change event; `None` without the task's ARN.
///
/// # Errors
///
/// If the text is not JSON, or a field has a wrong type.
pub(crate) fn task_of_event(detail: &str) -> Result<Option<TaskState>, serde_json::Error> {
    serde_json::from_str(detail).map(Task::state)
}

impl Container<'_> {
    fn state(self) -> ContainerState {
        ContainerState {
            name: self.name.unwrap_or_default(),
            last_status: self.last_status,
            health: self.health_status,
            bindings: self.network_bindings.iter().flatten().filter_map(Binding::ports).collect(),
            interfaces: self
                .network_interfaces
                .unwrap_or_default()
                .into_iter()
                .map(Interface::state)
                .collect(),
        }
    }
}

impl Binding<'_> {
    /// `None` unless it has both ports.
    fn ports(&self) -> Option<PortBinding> {
        let one = |port: i64| PortRange::one(u16::try_from(port).ok()?);
        let (container, host) = match self.container_port.and_then(one) {
            Some(container) => (container, one(self.host_port?)?),
            None => (
                PortRange::parse(self.container_port_range.as_deref()?)?,
                PortRange::parse(self.host_port_range.as_deref()?)?,
            ),
        };
        let is_tcp = matches!(self.protocol.as_deref(), None | Some("tcp"));
        Some(PortBinding { is_tcp, container, host })
    }
}

impl Interface<'_> {
    fn state(self) -> NetworkInterface {
        NetworkInterface {
            attachment: self.attachment_id,
            v4: self.private_ipv4_address.and_then(|text| text.parse().ok()),
            v6: self.ipv6_address.and_then(|text| text.parse().ok()),
        }
    }
}

impl AttachmentOfTask<'_> {
    fn state(&self) -> Attachment {
        Attachment {
            id: self.id.clone(),
            // API answers have the first type, events the second.
            is_interface: matches!(self.kind.as_deref(), Some("ElasticNetworkInterface" | "eni")),
            is_attached: self.status.as_deref() == Some("ATTACHED"),
            v4: self.values("privateIPv4Address").find_map(|text| text.parse().ok()),
            v6: self.values("ipv6Address").find_map(|text| text.parse().ok()),
        }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let details = self.details.iter().flatten();
        details
            .filter(move |detail| detail.name.as_deref() == Some(name))
            .filter_map(|one| one.value.as_deref())
    }
}

#[cfg(test)]
mod tests;
