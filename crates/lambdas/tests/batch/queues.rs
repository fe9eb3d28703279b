//! The three queues of a stage in the simulator, and batches as an event source mapping would deliver them.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System, QueueAttributeName as Attribute};
use lambdas::record::Batch;
use notifier::aws::Aws;
use serde_json::json;
use simulator::{Fleet, Options, Simulator};
use testkit::lambda_event;

/// How often the source queue delivers a message.
pub(crate) const RECEIVES_MAX: u32 = 3;

/// Messages arrive at once or not at all: no other process runs.
const EMPTY_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Queues {
    pub(crate) client: Client,
    /// URL of the queue that the stage reads.
    pub(crate) source: String,
    /// URL of the queue that it writes.
    pub(crate) next: String,
    /// URL of the source's dead-letter queue.
    pub(crate) dead: String,
    _simulator: Simulator,
}

impl Queues {
    pub(crate) async fn start() -> Self {
        let simulator = Simulator::start(Fleet::default(), Options::default()).await.unwrap();
        let client = Aws::at(&simulator.url(), "us-east-1").sqs;
        let create = async |name: &str, attributes: Vec<(Attribute, String)>| {
            let attributes = Some(attributes.into_iter().collect());
            let call = client.create_queue().queue_name(name).set_attributes(attributes);
            call.send().await.unwrap().queue_url.unwrap()
        };
        let dead = create("dead", Vec::new()).await;
        let call = client.get_queue_attributes().queue_url(&dead).attribute_names(Attribute::QueueArn);
        let arn = call.send().await.unwrap().attributes.unwrap()[&Attribute::QueueArn].clone();
        let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX });
        let attributes = vec![
            (Attribute::VisibilityTimeout, "600".to_owned()),
            (Attribute::RedrivePolicy, redrive.to_string()),
        ];
        let source = create("source", attributes).await;
        let next = create("next", Vec::new()).await;
        Self { client, source, next, dead, _simulator: simulator }
    }

    /// Sends these bodies and hands them over, with their message ids.
    pub(crate) async fn batch(&self, bodies: &[&str]) -> (Batch, Vec<String>) {
        for body in bodies {
            self.client.send_message().queue_url(&self.source).message_body(*body).send().await.unwrap();
        }
        let mut messages = self.receive(&self.source).await;
        assert_eq!(messages.len(), bodies.len());
        // A standard queue has no order; the test has. Equal bodies may change places.
        let mut ordered = Vec::new();
        for body in bodies {
            let found = messages.iter().position(|message| message.body.as_deref() == Some(body)).unwrap();
            ordered.push(messages.remove(found));
        }
        batch_of(&ordered)
    }

    /// Receives the visible messages.
    pub(crate) async fn again(&self) -> (Batch, Vec<String>) {
        let messages = self.receive(&self.source).await;
        assert!(!messages.is_empty(), "no message came back");
        batch_of(&messages)
    }

    /// Sends the one dead letter back with another body, its attributes kept, as a redrive does.
    pub(crate) async fn send_back(&self, body: &str) {
        let dead = self.receive(&self.dead).await.remove(0);
        let call = self.client.send_message().queue_url(&self.source).message_body(body);
        call.set_message_attributes(dead.message_attributes).send().await.unwrap();
    }

    pub(crate) async fn receive(&self, url: &str) -> Vec<Message> {
        let call = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .wait_time_seconds(i32::try_from(EMPTY_AFTER.as_secs()).unwrap())
            .message_attribute_names("All")
            .message_system_attribute_names(System::All);
        call.send().await.unwrap().messages.unwrap_or_default()
    }

    /// The bodies on a queue, sorted.
    pub(crate) async fn bodies(&self, url: &str) -> Vec<String> {
        let mut bodies: Vec<_> =
            self.receive(url).await.into_iter().map(|message| message.body.unwrap()).collect();
        bodies.sort();
        bodies
    }

    pub(crate) async fn delete(&self, url: &str) {
        self.client.delete_queue().queue_url(url).send().await.unwrap();
    }
}

/// A text attribute of a message.
pub(crate) fn text(message: &Message, name: &str) -> String {
    let attributes = message.message_attributes.as_ref().expect("the message has no attributes");
    attributes[name].string_value.clone().unwrap()
}

/// The batch of these messages, and their ids.
fn batch_of(messages: &[Message]) -> (Batch, Vec<String>) {
    let ids = messages.iter().map(|message| message.message_id.clone().unwrap()).collect();
    (serde_json::from_value(lambda_event::of(messages)).unwrap(), ids)
}
