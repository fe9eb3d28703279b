//! AWS's own schema of the events, `aws.ecs@ECSTaskStateChange`, and a validator for it.

use std::collections::BTreeMap;

use serde_json::Value;

/// The members of `detail`: `!` is required, `:number` a number, `[…]` a list, `{…}` an object, and all else text.
const DETAIL: &str = "
taskArn! clusterArn! taskDefinitionArn! lastStatus! desiredStatus! version!:number createdAt! updatedAt! overrides!{containerOverrides![{name! environment[] command[] cpu memory}]}
containers![ containerArn! taskArn! name! lastStatus! image imageDigest runtimeId exitCode:number reason cpu memory memoryReservation gpuIds[]
             networkInterfaces[{attachmentId privateIpv4Address ipv6Address}] networkBindings[{bindIP protocol containerPort:number hostPort:number}] ]
attachments[{id type status details[{name value}]}] attributes[{name value}] availabilityZone connectivity connectivityAt containerInstanceArn launchType platformVersion
group startedBy cpu memory pullStartedAt pullStoppedAt startedAt stoppingAt stoppedAt executionStoppedAt stopCode stoppedReason
";

/// Members that real events have and the schema does not.
const SEEN: [&str; 2] = ["enableExecuteCommand", "ephemeralStorage"];

#[derive(Debug)]
pub(crate) enum Shape {
    Text,
    Number,
    List(Box<Shape>),
    Object(BTreeMap<String, (bool, Shape)>),
}

/// The schema of `detail`.
pub(crate) fn detail() -> Shape {
    let mut rest = DETAIL;
    let members = members(&mut rest);
    assert!(rest.trim().is_empty(), "{rest}");
    members
}

fn members(rest: &mut &str) -> Shape {
    let mut members = BTreeMap::new();
    loop {
        *rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if end == 0 {
            return Shape::Object(members);
        }
        let (name, after) = rest.split_at(end);
        *rest = after;
        let is_required = takes(rest, "!");
        members.insert(name.to_owned(), (is_required, shape(rest)));
    }
}

fn shape(rest: &mut &str) -> Shape {
    if takes(rest, ":number") {
        Shape::Number
    } else if takes(rest, "{") {
        let inner = members(rest);
        assert!(takes(rest, "}"), "{rest}");
        inner
    } else if takes(rest, "[") {
        *rest = rest.trim_start();
        let inner = match rest.chars().next() {
            Some(']') => Shape::Text,
            Some('{') => shape(rest),
            _ => members(rest),
        };
        *rest = rest.trim_start();
        assert!(takes(rest, "]"), "{rest}");
        Shape::List(Box::new(inner))
    } else {
        Shape::Text
    }
}

fn takes(rest: &mut &str, start: &str) -> bool {
    let left = rest.strip_prefix(start);
    *rest = left.unwrap_or(rest);
    left.is_some()
}

/// What is wrong with a value, with the path to it.
pub(crate) fn mistakes(shape: &Shape, value: &Value, path: &str) -> Vec<String> {
    match (shape, value) {
        (Shape::Text, Value::String(_)) | (Shape::Number, Value::Number(_)) => Vec::new(),
        (Shape::List(inner), Value::Array(values)) => {
            values.iter().flat_map(|value| mistakes(inner, value, &format!("{path}[]"))).collect()
        }
        (Shape::Object(members), Value::Object(values)) => {
            let required =
                members.iter().filter(|(name, (is_required, _))| *is_required && !values.contains_key(*name));
            let missing = required.map(|(name, _)| format!("{path}.{name} is missing"));
            let found = values.iter().flat_map(|(name, value)| {
                let path = format!("{path}.{name}");
                match members.get(name) {
                    Some((_, shape)) => mistakes(shape, value, &path),
                    None if SEEN.contains(&name.as_str()) => Vec::new(),
                    None => vec![format!("{path} is unknown")],
                }
            });
            missing.chain(found).collect()
        }
        _ => vec![format!("{path} is {value}, not {shape:?}")],
    }
}
