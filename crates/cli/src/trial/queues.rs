//! The three queues with their dead-letter queues, as the Terraform module creates them.

use notifier::pipeline::QueueName;
use notifier::settings::QueueUrls;
use serde_json::{Value, json};
use simulator::{AwsError, Simulator};

use crate::failure::Failure;

/// The queues in the order of the stages: the name before the region, and the receives before a message is a dead letter.
const QUEUES: [(&str, u32); 3] =
    [("ecs_service_notification", 15), ("ecs_service", 15), ("ecs_service_task", 20)];
/// The registry queue, in the same way.
const REGISTRY: (&str, u32) = ("ecs_registry", 15);
/// Visibility timeout, in seconds. `serve` extends it while it works; with the longer timeout of the functions, a
/// restart of `serve` would wait for minutes.
const VISIBILITY_S: u32 = 30;

/// The names of the queues in this region, including dead-letter queues.
pub(crate) fn names(region: &str) -> impl Iterator<Item = String> {
    QUEUES.into_iter().flat_map(move |(name, _)| {
        let name = name_in(name, region);
        [dead_letters(&name), name]
    })
}

/// The name of the registry queue in this region.
pub(crate) fn registry(region: &str) -> String {
    name_in(REGISTRY.0, region)
}

/// Creates the queues of the stages, with the registry's if `registry`.
pub(crate) async fn create(sim: &Simulator, region: &str, registry: bool) -> Result<QueueUrls, Failure> {
    let mut urls = QueueUrls::new();
    let registry = registry.then_some((QueueName::Registry, REGISTRY));
    for (queue, (name, receives_max)) in QueueName::BROADCAST.into_iter().zip(QUEUES).chain(registry) {
        let name = name_in(name, region);
        let url = create_one(sim, &name, receives_max)
            .await
            .map_err(|error| Failure::failed(format!("queue {name} cannot be created")).because(&error))?;
        urls.insert(queue, url);
    }
    Ok(urls)
}

async fn create_one(sim: &Simulator, name: &str, receives_max: u32) -> Result<String, AwsError> {
    let text = |answer: &Value, field: &str| answer.pointer(field).and_then(Value::as_str).map(str::to_owned);
    let dead = sim.sqs("CreateQueue", json!({ "QueueName": dead_letters(name) })).await?;
    let asked = json!({ "QueueUrl": text(&dead, "/QueueUrl"), "AttributeNames": ["QueueArn"] });
    let attributes = sim.sqs("GetQueueAttributes", asked).await?;
    let redrive = json!({
        "deadLetterTargetArn": text(&attributes, "/Attributes/QueueArn"),
        "maxReceiveCount": receives_max,
    });
    let attributes =
        json!({ "VisibilityTimeout": VISIBILITY_S.to_string(), "RedrivePolicy": redrive.to_string() });
    let live = sim.sqs("CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).await?;
    text(&live, "/QueueUrl").ok_or_else(|| AwsError::server("InternalFailure", "the queue has no URL"))
}

fn name_in(name: &str, region: &str) -> String {
    format!("{name}_{region}")
}

fn dead_letters(name: &str) -> String {
    format!("{name}_dead_letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_receive_counts_are_those_of_the_terraform_module() {
        let stages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/terraform/stages.json");
        let stages: Value = serde_json::from_str(&std::fs::read_to_string(stages).unwrap()).unwrap();
        let of = |stage: &str| {
            let stage = &stages[stage];
            (stage["queue"].as_str().unwrap().to_owned(), stage["receives_max"].as_u64().unwrap())
        };
        let expected = ["services", "tasks", "notify"].map(of);
        assert_eq!(QUEUES.map(|(name, receives)| (name.to_owned(), u64::from(receives))), expected);
    }

    #[test]
    fn a_queue_has_the_region_in_its_name_and_dead_letters_beside_it() {
        let names: Vec<String> = names("eu-west-1").collect();
        assert_eq!(
            names,
            [
                "ecs_service_notification_eu-west-1_dead_letters",
                "ecs_service_notification_eu-west-1",
                "ecs_service_eu-west-1_dead_letters",
                "ecs_service_eu-west-1",
                "ecs_service_task_eu-west-1_dead_letters",
                "ecs_service_task_eu-west-1",
            ]
        );
    }
}
