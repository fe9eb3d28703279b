//! Amazon CloudWatch: `DescribeAlarms` by name, as JSON 1.0 carries it.
//!
//! Source: Amazon CloudWatch API Reference (version 2010-08-01).

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::fleet::Alarm;
use crate::world::World;

/// The most names of one request.
const NAMES_MAX: usize = 100;
/// The types of alarms, of which only the first is in an answer unless a request names others.
const TYPES: [&str; 3] = ["MetricAlarm", "CompositeAlarm", "LogAlarm"];

/// Carries out one operation.
pub(crate) fn call(world: &World, operation: &str, parameters: &Value) -> Result<Value, AwsError> {
    if operation != "DescribeAlarms" {
        return Err(AwsError::client(
            "UnknownOperationException",
            format!("the simulator has no {operation}"),
        ));
    }
    let known = ["AlarmNames", "AlarmTypes", "MaxRecords", "StateValue"];
    let parameter = parameters.as_object().into_iter().flat_map(|all| all.keys());
    if let Some(other) = parameter.into_iter().find(|name| !known.contains(&name.as_str())) {
        return Err(invalid(format!("CloudWatch is simulated without the parameter {other}")));
    }
    let (names, types) = (texts(parameters, "AlarmNames")?, texts(parameters, "AlarmTypes")?);
    if names.as_ref().is_some_and(|names| names.len() > NAMES_MAX) {
        return Err(invalid(format!("AlarmNames has more than {NAMES_MAX} members")));
    }
    if let Some(other) = types.iter().flatten().find(|name| !TYPES.contains(name)) {
        return Err(invalid(format!("AlarmTypes has the unknown member {other}")));
    }
    let state = parameters.get("StateValue").and_then(Value::as_str);
    let alarms = |kind: &str, composite: bool| -> Vec<Value> {
        let is_wanted = types.as_ref().map_or(!composite, |types| types.contains(&kind));
        let of_kind = world.alarms.values().filter(|alarm| is_wanted && alarm.composite == composite);
        let wanted = of_kind
            .filter(|alarm| names.as_ref().is_none_or(|names| names.contains(&alarm.name.as_str())))
            .filter(|alarm| state.is_none_or(|state| alarm.state.as_str() == state));
        wanted.map(|alarm| shape(world, alarm)).collect()
    };
    Ok(json!({
        "MetricAlarms": alarms("MetricAlarm", false),
        "CompositeAlarms": alarms("CompositeAlarm", true),
    }))
}

/// A list of texts; `None` when it is absent.
fn texts<'a>(parameters: &'a Value, name: &str) -> Result<Option<Vec<&'a str>>, AwsError> {
    let Some(list) = parameters.get(name) else { return Ok(None) };
    let texts = list.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    texts.map(Some).ok_or_else(|| invalid(format!("{name} is not a list of texts")))
}

fn invalid(message: String) -> AwsError {
    AwsError::client("ValidationError", message)
}

fn shape(world: &World, alarm: &Alarm) -> Value {
    json!({
        "AlarmName": alarm.name,
        "AlarmArn": world.arns.alarm(&alarm.name),
        "ActionsEnabled": true,
        "StateValue": alarm.state.as_str(),
        "StateReason": "simulated",
        "StateUpdatedTimestamp": world.time().as_secs_f64(),
    })
}
