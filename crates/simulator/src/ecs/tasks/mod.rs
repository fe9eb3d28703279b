//! `ListTasks` and `DescribeTasks`.

mod shape;

pub(crate) use shape::{attachment_details, attachment_status, interfaces, port_bindings};

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::world::{Service, Task};

use super::page::Page;
use super::{Request, invalid, without_nulls};

/// The values of `launchType`.
pub(super) const LAUNCH_TYPES: [&str; 4] = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];

/// The longest task id.
const ID_LENGTH_MAX: usize = 36;

pub(super) fn list(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let filter = Filter::of(request)?;
    let page = Page::of(request, 100)?;
    let (arns, token) = match filter.service {
        Some(service) => {
            page.cut(service.tasks.iter(), |place| filter.listed(request, cluster.tasks.get(*place)?))
        }
        None => page.cut(cluster.tasks.iter(), |task| filter.listed(request, task)),
    };
    Ok(without_nulls(json!({ "taskArns": arns, "nextToken": token })))
}

/// Which tasks to list. The status is the *desired* one, so PENDING tasks are among the RUNNING.
struct Filter<'a> {
    service: Option<&'a Service>,
    family: Option<&'a str>,
    launch_type: Option<&'a str>,
    desired_status: &'a str,
    started_by: Option<&'a str>,
    host: Option<usize>,
    daemon: Option<&'a str>,
}

impl<'a> Filter<'a> {
    fn of(request: &Request<'a>) -> Result<Self, AwsError> {
        let input = request.input;
        let cluster = request.cluster()?;
        let filter = Self {
            service: None,
            family: input.text("family")?,
            launch_type: input.one_of("launchType", &LAUNCH_TYPES)?,
            desired_status: input
                .one_of("desiredStatus", &["RUNNING", "PENDING", "STOPPED"])?
                .unwrap_or("RUNNING"),
            started_by: input.text("startedBy")?,
            host: None,
            daemon: input.text("daemonName")?,
        };
        let (service, instance) = (input.text("serviceName")?, input.text("containerInstance")?);
        let others = [service, filter.family, filter.launch_type, instance];
        if filter.started_by.is_some() && others.iter().any(Option::is_some) {
            return Err(invalid("startedBy must be the only filter."));
        }
        let service = match service {
            None => None,
            Some(named) => {
                let name = request.within(cluster, "service", named)?;
                let found = name.and_then(|name| cluster.service(name));
                let missing = || AwsError::client("ServiceNotFoundException", "Service not found.");
                Some(found.ok_or_else(missing)?)
            }
        };
        let host = match instance {
            None => None,
            Some(named) => {
                let id = request.within(cluster, "container-instance", named)?;
                let found = cluster.hosts.iter().position(|host| Some(host.id.as_str()) == id);
                Some(found.ok_or_else(|| invalid("Container instance not found."))?)
            }
        };
        Ok(Self { service, host, ..filter })
    }

    /// The task's ARN, unless it is left out.
    fn listed<'t>(&self, request: &Request<'_>, task: &'t Task) -> Option<&'t str> {
        (request.world.shows(task) && self.passes(task)).then_some(task.arn.as_str())
    }

    fn passes(&self, task: &Task) -> bool {
        let recipe = &task.recipe;
        task.desired_status.as_str() == self.desired_status
            // Fleets have no managed daemons, so no task belongs to one.
            && self.daemon.is_none()
            && self.service.is_none_or(|service| recipe.service.as_ref() == Some(&service.name))
            && self.family.is_none_or(|family| recipe.definition.family == family)
            && self.launch_type.is_none_or(|launch_type| recipe.launch_type.as_str() == launch_type)
            && self.started_by.is_none_or(|starter| recipe.started_by.as_deref() == Some(starter))
            && self.host.is_none_or(|host| task.host == Some(host))
    }
}

pub(super) fn describe(request: &Request<'_>) -> Result<Value, AwsError> {
    let cluster = request.cluster()?;
    let named = request.input.named("tasks", 100)?;
    let (tasks, failures) = request.describe(
        &named,
        |id| request.world.arns.task(&cluster.name, id),
        |named| {
            let Some(id) = request.within(cluster, "task", named)? else { return Ok(None) };
            if id.len() > ID_LENGTH_MAX {
                return Err(invalid(format!("taskId longer than {ID_LENGTH_MAX}.")));
            }
            let task = request.world.shown_task(cluster, id);
            Ok(task.map(|task| shape::task(cluster, task)))
        },
    )?;
    Ok(json!({ "tasks": tasks, "failures": failures }))
}
