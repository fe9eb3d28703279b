//! The calls to ECS that discovery makes: whole lists in the biggest pages, details in full batches.

use std::future::Future;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::{ContainerInstance, Failure, Service, Task, TaskDefinition};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::AGAIN_AFTER;
use super::budget::{Budget, Group};
use super::fault::{Fault, MESSAGE_CHARS_MAX};
use crate::text::{self, printable};

/// The most services that one `DescribeServices` names. Source: ECS API reference.
const SERVICES_DESCRIBED_MAX: usize = 10;
/// The most tasks or container instances that one Describe call names. Source: ECS API reference.
const DESCRIBED_MAX: usize = 100;
/// The most ARNs of one page of a list. Source: ECS API reference.
const PAGE_MAX: i32 = 100;
/// The most pages that are followed: a cluster with a million tasks has fewer.
const PAGES_MAX: usize = 10_000;
/// Describe calls under way at once for one stage's message.
const CALLS_CONCURRENT_MAX: usize = 8;

/// Why ECS did not answer a question.
#[derive(Debug, thiserror::Error)]
pub enum EcsError {
    /// The account has no such cluster in this region, or it is inactive.
    #[error("there is no cluster `{0}` in this account and region")]
    ClusterNotFound(String),
    /// The cluster has no such service.
    #[error("there is no service `{service}` in cluster `{cluster}`")]
    ServiceNotFound {
        /// The cluster that was asked.
        cluster: String,
        /// The name that it does not know.
        service: String,
    },
    /// ECS understood the question and said no.
    #[error("ECS refused {operation}: {code}: {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// AWS's code for the error.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// ECS could not be reached, or failed, or throttled until the tries were used up.
    #[error("ECS did not answer {operation}")]
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// What went wrong last.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A list that repeats itself, or never ends.
    #[error("the pages of {0} do not end")]
    Endless(&'static str),
}

impl EcsError {
    /// Whether asking again would give the same answer.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::ClusterNotFound(_) | Self::ServiceNotFound { .. } => true,
            Self::Refused { code, .. } => {
                matches!(code.as_str(), "InvalidParameterException" | "ClientException")
            }
            Self::Unavailable { .. } | Self::Endless(_) => false,
        }
    }
}

/// ECS, asked as rarely as its pages allow and within our budget.
#[derive(Clone, Debug)]
pub struct Ecs {
    client: Client,
    budget: Budget,
}

/// Which tasks of a cluster a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TasksOf<'a> {
    /// Every task.
    Cluster,
    /// The tasks of one service.
    Service(&'a str),
}

impl Ecs {
    /// ECS through this client, within this budget.
    #[must_use]
    pub fn new(client: Client, budget: Budget) -> Self {
        Self { client, budget }
    }

    /// The ARNs of every service of the cluster.
    pub async fn list_services(&self, cluster: &str) -> Result<Vec<String>, EcsError> {
        pages("ListServices", async |token| {
            self.budget.wait(Group::ServiceRead).await;
            let call =
                self.client.list_services().cluster(cluster).max_results(PAGE_MAX).set_next_token(token);
            let page = call.send().await.map_err(|e| failure("ListServices", cluster, "", e))?;
            Ok((page.service_arns.unwrap_or_default(), page.next_token))
        })
        .await
    }

    /// The services of these names or ARNs, as far as the cluster has them.
    pub async fn describe_services(&self, cluster: &str, names: &[String]) -> Result<Vec<Service>, EcsError> {
        described(names, SERVICES_DESCRIBED_MAX, async |batch| {
            self.budget.wait(Group::ServiceRead).await;
            let call = self.client.describe_services().cluster(cluster).set_services(Some(batch));
            let answer = call.send().await.map_err(|e| failure("DescribeServices", cluster, "", e))?;
            Ok((answer.services.unwrap_or_default(), answer.failures.unwrap_or_default()))
        })
        .await
    }

    /// The ARNs of the tasks that ECS wants to run. Some may not run yet, or not any more.
    pub async fn list_tasks(&self, cluster: &str, of: TasksOf<'_>) -> Result<Vec<String>, EcsError> {
        let service = match of {
            TasksOf::Cluster => None,
            TasksOf::Service(service) => Some(service.to_owned()),
        };
        pages("ListTasks", async |token| {
            self.budget.wait(Group::ClusterRead).await;
            let call = self.client.list_tasks().cluster(cluster).max_results(PAGE_MAX);
            let call = call.set_service_name(service.clone()).set_next_token(token);
            let asked = service.as_deref().unwrap_or_default();
            let page = call.send().await.map_err(|e| failure("ListTasks", cluster, asked, e))?;
            Ok((page.task_arns.unwrap_or_default(), page.next_token))
        })
        .await
    }

    /// The tasks of these ARNs, as far as ECS knows them.
    pub async fn describe_tasks(&self, cluster: &str, arns: &[String]) -> Result<Vec<Task>, EcsError> {
        described(arns, DESCRIBED_MAX, async |batch| {
            self.budget.wait(Group::ClusterRead).await;
            let call = self.client.describe_tasks().cluster(cluster).set_tasks(Some(batch));
            let answer = call.send().await.map_err(|e| failure("DescribeTasks", cluster, "", e))?;
            Ok((answer.tasks.unwrap_or_default(), answer.failures.unwrap_or_default()))
        })
        .await
    }

    /// One revision of a task definition.
    pub async fn describe_task_definition(&self, arn: &str) -> Result<TaskDefinition, EcsError> {
        const OPERATION: &str = "DescribeTaskDefinition";
        self.budget.wait(Group::TaskDefinitionRead).await;
        let call = self.client.describe_task_definition().task_definition(arn);
        let answer = call.send().await.map_err(|e| failure(OPERATION, "", "", e))?;
        answer.task_definition.ok_or_else(|| EcsError::Refused {
            operation: OPERATION,
            code: "EmptyAnswer".to_owned(),
            message: format!("the answer holds no task definition for {}", printable(arn, MESSAGE_CHARS_MAX)),
        })
    }

    /// The container instances of these ARNs, as far as the cluster has them.
    pub async fn describe_container_instances(
        &self,
        cluster: &str,
        arns: &[String],
    ) -> Result<Vec<ContainerInstance>, EcsError> {
        described(arns, DESCRIBED_MAX, async |batch| {
            self.budget.wait(Group::ClusterRead).await;
            let call = self.client.describe_container_instances().cluster(cluster);
            let call = call.set_container_instances(Some(batch));
            let answer =
                call.send().await.map_err(|e| failure("DescribeContainerInstances", cluster, "", e))?;
            Ok((answer.container_instances.unwrap_or_default(), answer.failures.unwrap_or_default()))
        })
        .await
    }
}

/// Follows a list to its end.
async fn pages<F>(
    operation: &'static str,
    page: impl Fn(Option<String>) -> F,
) -> Result<Vec<String>, EcsError>
where
    F: Future<Output = Result<(Vec<String>, Option<String>), EcsError>>,
{
    let mut all = Vec::new();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let (found, next) = page(token.clone()).await?;
        all.extend(found);
        // An empty token is none, as for the SDK's own paginators.
        match next.filter(|token| !token.is_empty()) {
            None => return Ok(all),
            // A server that hands out the token it was given would be asked for ever.
            next if next == token => break,
            next => token = next,
        }
    }
    Err(EcsError::Endless(operation))
}

/// Asks for details, and again for what is missing, a few times. What ECS does not know then is left out.
async fn described<T, F>(
    all: &[String],
    size: usize,
    batch: impl Fn(Vec<String>) -> F,
) -> Result<Vec<T>, EcsError>
where
    F: Future<Output = Result<(Vec<T>, Vec<Failure>), EcsError>>,
{
    let (mut found, mut failures) = batches(all, size, &batch).await?;
    for wait in AGAIN_AFTER {
        failures.retain(|failure| failure.reason() == Some("MISSING"));
        let missing: Vec<String> = failures.into_iter().filter_map(|failure| failure.arn).collect();
        if missing.is_empty() {
            break;
        }
        tokio::time::sleep(wait).await;
        let (more, left) = batches(&missing, size, &batch).await?;
        found.extend(more);
        failures = left;
    }
    Ok(found)
}

/// Asks for details in full batches, several at once, and gathers the answers in the order of the questions.
async fn batches<T, F>(
    all: &[String],
    size: usize,
    batch: impl Fn(Vec<String>) -> F,
) -> Result<(Vec<T>, Vec<Failure>), EcsError>
where
    F: Future<Output = Result<(Vec<T>, Vec<Failure>), EcsError>>,
{
    // Owned batches: a closure over borrowed ones would make the future not `Send`.
    let names: Vec<Vec<String>> = all.chunks(size).map(<[String]>::to_vec).collect();
    stream::iter(names.into_iter().map(batch))
        .buffered(CALLS_CONCURRENT_MAX)
        .try_fold((Vec::new(), Vec::new()), async |(mut found, mut failures), answer| {
            found.extend(answer.0);
            failures.extend(answer.1);
            Ok((found, failures))
        })
        .await
}

/// What an error of the SDK means to us.
fn failure<E>(operation: &'static str, cluster: &str, service: &str, error: SdkError<E>) -> EcsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let Some(code) = error.code() else {
        // What was read of an answer may be quoted in the error; what went wrong before is the SDK's own.
        let source = if status.is_some() { text::line(&error).into() } else { error.into() };
        return EcsError::Unavailable { operation, source };
    };
    let message = error.message().unwrap_or("no message");
    let is_passing = matches!(code, "ThrottlingException" | "ServerException" | "RequestTimeout")
        || status.is_some_and(|status| status >= 500);
    match code {
        "ClusterNotFoundException" => EcsError::ClusterNotFound(cluster.to_owned()),
        "ServiceNotFoundException" | "ServiceNotActiveException" => {
            EcsError::ServiceNotFound { cluster: cluster.to_owned(), service: service.to_owned() }
        }
        _ if is_passing => {
            // Not the SDK's error, which repeats what ECS says as it is.
            let said = Some((code.to_owned(), message.to_owned()));
            let fault = Fault::new(status.unwrap_or_default(), said);
            EcsError::Unavailable { operation, source: Box::new(fault) }
        }
        _ => EcsError::Refused {
            operation,
            code: printable(code, MESSAGE_CHARS_MAX),
            message: printable(message, MESSAGE_CHARS_MAX),
        },
    }
}
