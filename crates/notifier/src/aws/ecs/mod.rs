//! The ECS calls of discovery: lists with the largest pages, details in full batches.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::Failure;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::budget::{Budget, Group};
use super::calls::Calls;
use super::error::MESSAGE_CHARS_MAX;
use super::pages::pages;
use super::{AGAIN_AFTER, Aws, AwsError, AwsErrorKind, AwsService};
use crate::base::text::printable;
use crate::model::arn::last_part;
use crate::model::{Host, ServiceState, TaskDefinition, TaskState};

mod clusters;
mod convert;
mod tasks;

use tasks::TaskReader;
pub(crate) use tasks::task_of_event;

/// The most services that one `DescribeServices` names. Source: ECS API reference.
const SERVICES_DESCRIBED_MAX: usize = 10;
/// The most tasks or container instances that one Describe call names. Source: ECS API reference.
const DESCRIBED_MAX: usize = 100;
/// The most ARNs of one page of a list. Source: ECS API reference.
const PAGE_MAX: i32 = 100;
/// The most pages of a list: a cluster with a million tasks has fewer.
const PAGES_MAX: usize = 10_000;
/// The most characters of a failure's reason in an error; documented reasons have up to 20.
const REASON_CHARS_MAX: usize = 80;
/// Concurrent Describe calls for one message of a stage.
const CALLS_CONCURRENT_MAX: usize = 8;

/// Why a request to ECS failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum EcsError {
    /// The cluster does not exist in this account and region, or is inactive.
    #[error("there is no cluster `{0}` in this account and region")]
    ClusterNotFound(String),
    #[error("there is no service `{service}` in cluster `{cluster}`")]
    ServiceNotFound { cluster: String, service: String },
    #[error("{}", .0.summary())]
    Call(#[source] AwsError),
    #[error("the pages of {0} do not end")]
    Endless(&'static str),
    /// The answer lacks a part that every answer of ECS has: the endpoint is not ECS.
    #[error(
        "{endpoint} answered {operation} without `{part}`, which ECS always sends; check the endpoint setting"
    )]
    Incomplete { operation: &'static str, endpoint: String, part: &'static str },
}

impl EcsError {
    /// Whether a retry would fail again.
    pub fn is_final(&self) -> bool {
        match self {
            Self::ClusterNotFound(_) | Self::ServiceNotFound { .. } => true,
            // For example, a permission may be granted while the message waits.
            Self::Call(error) => error.kind == AwsErrorKind::Invalid,
            Self::Endless(_) | Self::Incomplete { .. } => false,
        }
    }
}

/// ECS within the budget, with as few calls as possible.
#[derive(Clone, Debug)]
pub struct Ecs {
    client: Client,
    budget: Budget,
    calls: Calls,
}

/// The answer of a Describe call.
#[derive(Clone, Debug)]
pub struct Described<T> {
    /// What ECS described, each once.
    pub found: Vec<T>,
    /// Why ECS did not describe the others, by requested name.
    pub failed: HashMap<String, NotDescribed>,
}

/// Why ECS did not describe something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDescribed {
    /// It does not exist, or no longer exists.
    Missing,
    /// ECS gave another reason, or left it out of its answer.
    Unexplained(String),
}

/// The source of the names of a Describe call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// ECS has just listed them: missing ones are described again, a few times.
    Ecs,
    /// The sender of a message: missing ones are not described again.
    Sender,
}

impl Ecs {
    /// ECS with this client and this budget.
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.ecs.clone(), budget: aws.budget.clone(), calls: aws.calls.clone() }
    }

    /// The same with a separate lane of the budget, for one message: its calls do not delay those of other messages.
    #[must_use]
    pub fn lane(&self) -> Self {
        Self { budget: self.budget.lane(), ..self.clone() }
    }

    /// A required part of an answer.
    fn required<T>(
        &self,
        operation: &'static str,
        part: &'static str,
        found: Option<T>,
    ) -> Result<T, EcsError> {
        found.ok_or_else(|| {
            let endpoint = self.calls.endpoint(AwsService::Ecs.as_str());
            let endpoint = endpoint.map(|url| printable(&url, MESSAGE_CHARS_MAX));
            EcsError::Incomplete {
                operation,
                endpoint: endpoint.unwrap_or_else(|| "the endpoint".to_owned()),
                part,
            }
        })
    }

    /// The ARNs of every service of the cluster.
    pub async fn list_services(&self, cluster: &str) -> Result<Vec<String>, EcsError> {
        let listed = pages(PAGES_MAX, async |token| {
            self.budget.wait(Group::ServiceRead).await;
            let call =
                self.client.list_services().cluster(cluster).max_results(PAGE_MAX).set_next_token(token);
            let page = call.send().await.map_err(|e| failure("ListServices", cluster, "", e))?;
            Ok((self.required("ListServices", "serviceArns", page.service_arns)?, page.next_token))
        });
        listed.await?.ok_or(EcsError::Endless("ListServices"))
    }

    /// The services of these names or ARNs that exist.
    pub async fn describe_services(
        &self,
        cluster: &str,
        names: &[String],
        origin: Origin,
    ) -> Result<Described<ServiceState>, EcsError> {
        let batch = async |batch: Vec<String>| {
            self.budget.wait(Group::ServiceRead).await;
            let call = self.client.describe_services().cluster(cluster).set_services(Some(batch));
            let answer = call.send().await.map_err(|e| failure("DescribeServices", cluster, "", e))?;
            let services = self.required("DescribeServices", "services", answer.services)?;
            let services = services.into_iter().filter_map(convert::service).collect();
            Ok::<_, EcsError>((services, answer.failures.unwrap_or_default()))
        };
        described(names, SERVICES_DESCRIBED_MAX, origin, |service: &ServiceState| &service.name, batch).await
    }

    /// The ARNs of the tasks of a service, else of the cluster, with the desired status RUNNING. Some may not run yet, or
    /// no longer run.
    pub async fn list_tasks(&self, cluster: &str, service: Option<&str>) -> Result<Vec<String>, EcsError> {
        let listed = pages(PAGES_MAX, async |token| {
            self.budget.wait(Group::ClusterRead).await;
            let call = self.client.list_tasks().cluster(cluster).max_results(PAGE_MAX);
            let call = call.set_service_name(service.map(str::to_owned)).set_next_token(token);
            let asked = service.unwrap_or_default();
            let page = call.send().await.map_err(|e| failure("ListTasks", cluster, asked, e))?;
            Ok((self.required("ListTasks", "taskArns", page.task_arns)?, page.next_token))
        });
        listed.await?.ok_or(EcsError::Endless("ListTasks"))
    }

    /// The tasks of these ARNs that exist.
    pub async fn describe_tasks(
        &self,
        cluster: &str,
        arns: &[String],
    ) -> Result<Described<TaskState>, EcsError> {
        let batch = async |batch: Vec<String>| {
            self.budget.wait(Group::ClusterRead).await;
            let reader = TaskReader::default();
            let call = self.client.describe_tasks().cluster(cluster).set_tasks(Some(batch));
            let call = call.customize().interceptor(reader.clone());
            let answer = call.send().await.map_err(|e| failure("DescribeTasks", cluster, "", e))?;
            let tasks = self.required("DescribeTasks", "tasks", reader.tasks())?;
            Ok::<_, EcsError>((tasks, answer.failures.unwrap_or_default()))
        };
        described(arns, DESCRIBED_MAX, Origin::Ecs, |task: &TaskState| &task.arn, batch).await
    }

    /// One revision of a task definition.
    pub async fn describe_task_definition(&self, arn: &str) -> Result<TaskDefinition, EcsError> {
        const OPERATION: &str = "DescribeTaskDefinition";
        self.budget.wait(Group::TaskDefinitionRead).await;
        let call = self.client.describe_task_definition().task_definition(arn);
        let answer = call.send().await.map_err(|e| failure(OPERATION, "", "", e))?;
        let definition = self.required(OPERATION, "taskDefinition", answer.task_definition)?;
        Ok(convert::task_definition(&definition))
    }

    /// The container instances of these ARNs that exist.
    pub async fn describe_container_instances(
        &self,
        cluster: &str,
        arns: &[String],
    ) -> Result<Described<Host>, EcsError> {
        const OPERATION: &str = "DescribeContainerInstances";
        let batch = async |batch: Vec<String>| {
            self.budget.wait(Group::ClusterRead).await;
            let call = self.client.describe_container_instances().cluster(cluster);
            let call = call.set_container_instances(Some(batch));
            let answer = call.send().await.map_err(|e| failure(OPERATION, cluster, "", e))?;
            let instances = self.required(OPERATION, "containerInstances", answer.container_instances)?;
            let hosts = instances.into_iter().filter_map(convert::host).collect();
            Ok::<_, EcsError>((hosts, answer.failures.unwrap_or_default()))
        };
        described(arns, DESCRIBED_MAX, Origin::Ecs, |host: &Host| &host.arn, batch).await
    }
}

/// Describes these names in full batches, several at once, and a few times more those that ECS listed itself and does not describe.
async fn described<T, F>(
    all: &[String],
    size: usize,
    origin: Origin,
    name: impl Fn(&T) -> &String,
    batch: impl Fn(Vec<String>) -> F,
) -> Result<Described<T>, EcsError>
where
    F: Future<Output = Result<(Vec<T>, Vec<Failure>), EcsError>>,
{
    let mut described = Described { found: Vec::with_capacity(all.len()), failed: HashMap::new() };
    let mut asked = all.to_vec();
    let mut waits: &[Duration] = if origin == Origin::Ecs { &AGAIN_AFTER } else { &[] };
    loop {
        // Owned batches: a closure over borrowed ones would make the future not `Send`.
        let batches: Vec<_> = asked.chunks(size).map(<[String]>::to_vec).collect();
        let answers = stream::iter(batches.into_iter().map(&batch)).buffered(CALLS_CONCURRENT_MAX);
        let (found, failures): (Vec<_>, Vec<_>) = answers.try_collect::<Vec<_>>().await?.into_iter().unzip();
        let mut open: HashSet<&str> = asked.iter().map(|name| last_part(name)).collect();
        // Only requested items, each once: an answer may have duplicates or further items. A failure may have another form
        // of the ARN than the request.
        let is_new = |one: &T| open.remove(last_part(name(one)));
        described.found.extend(found.into_iter().flatten().filter(is_new));
        let reasons: HashMap<&str, &Failure> = failures
            .iter()
            .flatten()
            .filter_map(|failure| Some((last_part(failure.arn()?), failure)))
            .collect();
        let left = asked.iter().filter(|name| open.contains(last_part(name)));
        described.failed = left
            .map(|name| (name.clone(), NotDescribed::of(reasons.get(last_part(name)).copied())))
            .collect();
        let Some((wait, later)) = waits.split_first() else { return Ok(described) };
        waits = later;
        asked = described.failed.keys().cloned().collect();
        if asked.is_empty() {
            return Ok(described);
        }
        asked.sort_unstable();
        tokio::time::sleep(*wait).await;
    }
}

impl NotDescribed {
    /// Converts a failure of an answer; `None` if the answer does not mention the item.
    fn of(failure: Option<&Failure>) -> Self {
        let Some(failure) = failure else {
            return Self::Unexplained("the answer does not contain it".to_owned());
        };
        match failure.reason() {
            Some("MISSING") => Self::Missing,
            Some(reason) => Self::Unexplained(format!("reason {}", printable(reason, REASON_CHARS_MAX))),
            None => Self::Unexplained("no reason given".to_owned()),
        }
    }
}

/// Converts an error of the SDK.
#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn failure<E>(operation: &'static str, cluster: &str, service: &str, error: SdkError<E>) -> EcsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = AwsError::of(AwsService::Ecs, operation, &error);
    match error.code.as_deref().filter(|_| error.kind == AwsErrorKind::NotFound) {
        Some("ClusterNotFoundException") => EcsError::ClusterNotFound(cluster.to_owned()),
        Some("ServiceNotFoundException" | "ServiceNotActiveException") => {
            EcsError::ServiceNotFound { cluster: cluster.to_owned(), service: service.to_owned() }
        }
        _ => EcsError::Call(error),
    }
}
