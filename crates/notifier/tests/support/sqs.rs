//! SQS for a test: our simulator, or MiniStack, which others wrote. The real SDK talks to both.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, QueueAttributeName as Attribute};
use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::queue::Queue;
use simulator::{Fleet, Options, Simulator};

use crate::emulator::Emulator;

/// Longest wait for something that happens within seconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A running SQS.
pub(crate) struct Sqs {
    pub(crate) client: Client,
    /// The simulator, unless this is MiniStack.
    pub(crate) simulator: Option<Simulator>,
    _emulator: Option<Emulator>,
}

impl Sqs {
    /// Our simulator.
    pub(crate) async fn simulated() -> Self {
        Self::of(Simulator::start(Fleet::default(), Options::default()).await.unwrap())
    }

    /// A simulator that is running already.
    pub(crate) fn of(simulator: Simulator) -> Self {
        let client = Aws::at(&simulator.url(), "us-east-1").sqs;
        Self { client, simulator: Some(simulator), _emulator: None }
    }

    /// MiniStack.
    pub(crate) async fn ministack() -> Self {
        let emulator = Emulator::ministack(&[]).await;
        let client = Aws::at(&emulator.url, "us-east-1").sqs;
        Self { client, simulator: None, _emulator: Some(emulator) }
    }

    /// The simulator of a test that orders faults or counts calls.
    pub(crate) fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().expect("this test runs on the simulator")
    }

    /// A new queue.
    pub(crate) async fn queue(&self, name: &str, attributes: &[(Attribute, &str)]) -> Queue {
        let mut call = self.client.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            call = call.attributes(attribute.clone(), *value);
        }
        let url = call.send().await.unwrap().queue_url.unwrap();
        Queue::at(self.client.clone(), url, Rng::seeded(1))
    }

    /// A new queue that hides messages for so many seconds and has a dead-letter queue, and that one.
    pub(crate) async fn with_dead_letters(
        &self,
        name: &str,
        visibility: u32,
        receives_max: u32,
    ) -> (Queue, Queue) {
        let dead = self.queue(&format!("{name}-dead"), &[]).await;
        let arn = self.attribute(&dead, Attribute::QueueArn).await;
        let redrive =
            serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": receives_max.to_string()});
        let attributes = [
            (Attribute::VisibilityTimeout, visibility.to_string()),
            (Attribute::RedrivePolicy, redrive.to_string()),
        ];
        let attributes = attributes.each_ref().map(|(name, value)| (name.clone(), value.as_str()));
        (self.queue(name, &attributes).await, dead)
    }

    /// An attribute of a queue.
    pub(crate) async fn attribute(&self, queue: &Queue, name: Attribute) -> String {
        let call = self.client.get_queue_attributes().queue_url(queue.url()).attribute_names(name.clone());
        call.send().await.unwrap().attributes.unwrap().remove(&name).unwrap()
    }

    /// How many messages are visible, and how many are in work, at one moment.
    pub(crate) async fn depth(&self, queue: &Queue) -> (u64, u64) {
        let names =
            [Attribute::ApproximateNumberOfMessages, Attribute::ApproximateNumberOfMessagesNotVisible];
        let call = self.client.get_queue_attributes().queue_url(queue.url());
        let answer = call.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        let [visible, hidden] = names.map(|name| answer[&name].parse().unwrap());
        (visible, hidden)
    }

    /// Takes every visible message off a queue, as a consumer that knows nothing of us sees them.
    pub(crate) async fn drain(&self, queue: &Queue) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            let call = self
                .client
                .receive_message()
                .queue_url(queue.url())
                .max_number_of_messages(10)
                .wait_time_seconds(0)
                .message_attribute_names("All");
            let messages = call.send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            for message in &messages {
                let receipt = message.receipt_handle.as_deref().unwrap();
                self.client
                    .delete_message()
                    .queue_url(queue.url())
                    .receipt_handle(receipt)
                    .send()
                    .await
                    .unwrap();
            }
            all.extend(messages);
        }
    }

    /// The bodies of [`drain`](Self::drain), sorted.
    pub(crate) async fn bodies(&self, queue: &Queue) -> Vec<String> {
        let mut bodies: Vec<_> =
            self.drain(queue).await.into_iter().map(|message| message.body.unwrap()).collect();
        bodies.sort();
        bodies
    }
}

/// The text attributes of a message.
pub(crate) fn attribute<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.message_attributes.as_ref()?.get(name)?.string_value()
}

/// `count` different bodies, sorted.
pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":\"{n:04}\"}}")).collect()
}
