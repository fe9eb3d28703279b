//! Amazon ECS: the read operations, as JSON 1.1 carries them.
//!
//! Limits, errors and shapes follow the Amazon ECS API Reference (version 2014-11-13).

mod clusters;
mod definitions;
mod input;
mod instances;
mod page;
mod services;
mod tasks;

pub(crate) use tasks::{attachment_details, attachment_status, interfaces, port_bindings};

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::faults::Faults;
use crate::world::{Cluster, Named, World};
use input::Input;

/// One request, with what it may look at.
struct Request<'a> {
    world: &'a World,
    faults: &'a Faults,
    operation: &'a str,
    input: Input<'a>,
    /// A list's page is to come back empty, with a token for the same place.
    empty_page: bool,
}

/// Carries out one operation.
pub(crate) fn call(
    world: &World,
    faults: &Faults,
    operation: &str,
    parameters: &Value,
    empty_page: bool,
) -> Result<Value, AwsError> {
    let request = Request { world, faults, operation, input: Input::new(parameters), empty_page };
    match operation {
        "ListClusters" => clusters::list(&request),
        "DescribeClusters" => clusters::describe(&request),
        "ListServices" => services::list(&request),
        "DescribeServices" => services::describe(&request),
        "ListTasks" => tasks::list(&request),
        "DescribeTasks" => tasks::describe(&request),
        "ListContainerInstances" => instances::list(&request),
        "DescribeContainerInstances" => instances::describe(&request),
        "DescribeTaskDefinition" => definitions::describe(&request),
        _ => Err(AwsError::client("UnknownOperationException", format!("the simulator has no {operation}"))),
    }
}

impl<'a> Request<'a> {
    /// The cluster that the request names.
    fn cluster(&self) -> Result<&'a Cluster, AwsError> {
        let named = self.input.text("cluster")?;
        let error = |message| AwsError::client("ClusterNotFoundException", message);
        let cluster = self.world.cluster(named).ok_or_else(|| error("Cluster not found."))?;
        if cluster.is_inactive { Err(error("The referenced cluster was inactive.")) } else { Ok(cluster) }
    }

    /// The name or id within `cluster` that a caller means by `named`; `None` for what cannot be in it.
    fn within<'n>(&self, cluster: &Cluster, kind: &str, named: &'n str) -> Result<Option<&'n str>, AwsError> {
        match self.world.arns.read(kind, named) {
            Named::Bare(name) => Ok(Some(name)),
            Named::In { cluster: other, name } if other == cluster.name => Ok(Some(name)),
            Named::In { cluster: other, .. } => Err(invalid(format!(
                "Invalid identifier: Identifier is for cluster {other}. Your cluster is {}",
                cluster.name
            ))),
            Named::Foreign => Ok(None),
        }
    }

    /// Finds everything that a Describe call names; what is not there is a failure, not an error.
    fn describe<T>(
        &self,
        named: &[&str],
        arn: impl Fn(&str) -> String,
        find: impl Fn(&str) -> Result<Option<T>, AwsError>,
    ) -> Result<(Vec<T>, Vec<Value>), AwsError> {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in named {
            if let Some(item) =
                find(name)?.filter(|_| self.faults.drops_entry(self.operation, name).is_none())
            {
                found.push(item);
            } else {
                let arn = if name.starts_with("arn:") { (*name).to_owned() } else { arn(name) };
                failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            }
        }
        Ok((found, failures))
    }
}

/// The error for a parameter that cannot be.
fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

/// A time as JSON 1.1 carries it: seconds since 1970, with milliseconds.
fn timestamp(time: Duration) -> Value {
    json!(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).as_secs_f64())
}

/// An object without the members that are null, as AWS leaves out what is not set.
pub(crate) fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}
