//! AWS Systems Manager: `DescribeInstanceInformation` of the machines outside AWS (ECS Anywhere), as JSON 1.1 carries it.
//!
//! Source: AWS Systems Manager API Reference (version 2014-11-06).

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::fleet::HostKind;
use crate::world::{Host, World};

/// The page size of a request that names none.
const PAGE_USUAL: u64 = 10;
/// The smallest and largest page.
const PAGE: std::ops::RangeInclusive<u64> = 5..=50;
/// The most values of one filter.
const VALUES_MAX: usize = 100;

/// Carries out one operation.
pub(crate) fn call(world: &World, operation: &str, parameters: &Value) -> Result<Value, AwsError> {
    if operation != "DescribeInstanceInformation" {
        let message = format!("the simulator has no {operation}");
        return Err(AwsError::client("UnknownOperationException", message));
    }
    let hosts = world.clusters.iter().flat_map(|cluster| &cluster.hosts);
    let known: Vec<&Host> = hosts.filter(|host| host.kind == HostKind::Anywhere && !host.hidden).collect();
    let wanted = filtered(&known, parameters)?;
    let size = match parameters.get("MaxResults") {
        None | Some(Value::Null) => PAGE_USUAL,
        Some(size) => size
            .as_u64()
            .filter(|size| PAGE.contains(size))
            .ok_or_else(|| invalid("ValidationException", "MaxResults must be between 5 and 50"))?,
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let start = match parameters.get("NextToken").and_then(Value::as_str) {
        None | Some("") => 0,
        Some(token) => token
            .strip_prefix("node-")
            .and_then(|place| place.parse().ok())
            .ok_or_else(|| invalid("InvalidNextToken", "The specified token isn't valid."))?,
    };
    let page: Vec<_> = wanted.iter().skip(start).take(size).map(|host| shape(host)).collect();
    // The last page has an empty token.
    let is_last = start + page.len() >= wanted.len();
    let token = if is_last { String::new() } else { format!("node-{}", start + page.len()) };
    Ok(json!({ "InstanceInformationList": page, "NextToken": token }))
}

/// The hosts that a request asks for. One unknown id fails the whole call.
fn filtered<'a>(known: &[&'a Host], parameters: &Value) -> Result<Vec<&'a Host>, AwsError> {
    let mut wanted = known.to_vec();
    for filter in parameters.get("Filters").and_then(Value::as_array).into_iter().flatten() {
        let values = filter.get("Values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        if filter.get("Key").and_then(Value::as_str) != Some("InstanceIds") {
            return Err(invalid("InvalidFilterKey", "The specified key isn't valid."));
        }
        if values.is_empty() || values.len() > VALUES_MAX {
            return Err(invalid("ValidationException", "Values must have 1 to 100 members"));
        }
        if values.iter().any(|id| !known.iter().any(|host| host.instance == **id)) {
            return Err(invalid("InvalidInstanceId", ""));
        }
        wanted.retain(|host| values.contains(&host.instance.as_str()));
    }
    Ok(wanted)
}

fn invalid(code: &str, message: &str) -> AwsError {
    AwsError::client(code, message)
}

fn shape(host: &Host) -> Value {
    let address = host.ips.all().next().map(|ip| ip.to_string()).unwrap_or_default();
    json!({
        "InstanceId": host.instance,
        "PingStatus": host.ping_status,
        "LastPingDateTime": host.registered_at.as_secs_f64(),
        "AgentVersion": "3.3.0.0",
        "IsLatestVersion": true,
        "PlatformType": "Linux",
        "PlatformName": "Debian GNU/Linux",
        "PlatformVersion": "12",
        "ResourceType": "ManagedInstance",
        "SourceType": "AWS::SSM::ManagedInstance",
        "IPAddress": address,
        "ComputerName": format!("{}.example", host.instance),
    })
}
