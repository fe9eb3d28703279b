//! Direct access to the simulator's queues, without the faults of a world.

use serde_json::{Value, json};
use simulator::Simulator;

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dead {
    pub(crate) broadcast: String,
    pub(crate) task: String,
    pub(crate) container: String,
    pub(crate) stage: String,
    pub(crate) code: String,
    /// Body and attributes, as they are.
    pub(crate) text: String,
}

/// All messages of a queue, whatever their state.
pub(crate) async fn depth(sim: &Simulator, url: &str) -> usize {
    let answer = sim.sqs("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["All"] })).await;
    let answer = answer.unwrap();
    let count = |name: &str| answer["Attributes"][name].as_str().unwrap().parse::<usize>().unwrap();
    count("ApproximateNumberOfMessages")
        + count("ApproximateNumberOfMessagesNotVisible")
        + count("ApproximateNumberOfMessagesDelayed")
}

/// Every dead letter of a queue.
pub(crate) async fn dead_letters(sim: &Simulator, url: &str) -> Vec<Dead> {
    let mut all = Vec::new();
    loop {
        let asked = json!({
            "QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "VisibilityTimeout": 43200,
        });
        let answer = sim.sqs("ReceiveMessage", asked).await.unwrap();
        let Some(messages) = answer["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
            return all;
        };
        all.extend(messages.iter().map(dead_letter));
    }
}

/// A dead letter as an SQS that answers JSON shows it.
pub(crate) fn dead_letter(message: &Value) -> Dead {
    let body: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
    let attribute = |name: &str| {
        message["MessageAttributes"][name]["StringValue"].as_str().unwrap_or_default().to_owned()
    };
    Dead {
        broadcast: body["broadcast"]["id"].as_str().unwrap_or_default().to_owned(),
        task: body["notify_task_arn"].as_str().unwrap_or_default().to_owned(),
        container: body["container"].as_str().unwrap_or_default().to_owned(),
        stage: attribute("stage"),
        code: attribute("code"),
        text: message.to_string(),
    }
}
