//! SQS for a test: the simulator, or MiniStack, an emulator by other authors. The SDK is the client of both.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, QueueAttributeName as Attribute};
use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::queue::Queue;
use simulator::{Fleet, Options, Simulator};

use crate::emulator::Emulator;

/// Maximum wait on a busy machine for something that usually takes seconds.
pub const SOON: Duration = Duration::from_secs(60);

/// A running SQS.
#[derive(Debug)]
pub struct Sqs {
    /// A client of it.
    pub client: Client,
    /// The simulator; `None` on MiniStack.
    pub simulator: Option<Simulator>,
    _emulator: Option<Emulator>,
}

impl Sqs {
    /// Starts a simulator.
    pub async fn simulated() -> Self {
        Self::of(Simulator::start(Fleet::default(), Options::default()).await.unwrap())
    }

    /// Wraps a running simulator.
    pub fn of(simulator: Simulator) -> Self {
        let client = Aws::at(&simulator.url(), "us-east-1").sqs;
        Self { client, simulator: Some(simulator), _emulator: None }
    }

    /// Starts MiniStack.
    pub async fn ministack() -> Self {
        let emulator = Emulator::ministack(&[]).await;
        let client = Aws::at(&emulator.url, "us-east-1").sqs;
        Self { client, simulator: None, _emulator: Some(emulator) }
    }

    /// Returns the simulator, for a test that injects faults or counts calls.
    ///
    /// # Panics
    ///
    /// On MiniStack.
    pub fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().expect("this test runs on the simulator")
    }

    /// Creates a queue.
    pub async fn queue(&self, name: &str, attributes: &[(Attribute, &str)]) -> Queue {
        let mut call = self.client.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            call = call.attributes(attribute.clone(), *value);
        }
        let url = call.send().await.unwrap().queue_url.unwrap();
        Queue::at(self.client.clone(), url, Rng::seeded(1))
    }

    /// Creates a queue with this visibility timeout in seconds, and its dead-letter queue.
    pub async fn with_dead_letters(&self, name: &str, visibility: u32, receives_max: u32) -> (Queue, Queue) {
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

    /// Returns an attribute of a queue.
    pub async fn attribute(&self, queue: &Queue, name: Attribute) -> String {
        let call = self.client.get_queue_attributes().queue_url(queue.url()).attribute_names(name.clone());
        call.send().await.unwrap().attributes.unwrap().remove(&name).unwrap()
    }

    /// Returns the numbers of visible and of in-flight messages.
    pub async fn depth(&self, queue: &Queue) -> (u64, u64) {
        let names =
            [Attribute::ApproximateNumberOfMessages, Attribute::ApproximateNumberOfMessagesNotVisible];
        let call = self.client.get_queue_attributes().queue_url(queue.url());
        let answer = call.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        let [visible, hidden] = names.map(|name| answer[&name].parse().unwrap());
        (visible, hidden)
    }

    /// Receives and deletes every visible message, as any other consumer would.
    pub async fn drain(&self, queue: &Queue) -> Vec<Message> {
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

    /// Drains a queue and returns the bodies, sorted.
    pub async fn bodies(&self, queue: &Queue) -> Vec<String> {
        let mut bodies: Vec<_> =
            self.drain(queue).await.into_iter().map(|message| message.body.unwrap()).collect();
        bodies.sort();
        bodies
    }
}

/// Returns a text attribute of a message.
pub fn attribute<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.message_attributes.as_ref()?.get(name)?.string_value()
}

/// Returns `count` different bodies, sorted.
pub fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":\"{n:04}\"}}")).collect()
}

/// Declares each claim, an `async fn(&Sqs)` of the calling module, as two tests: on the simulator and on MiniStack.
#[macro_export]
macro_rules! on_both {
    ($($claim:ident)*) => {
        mod on_the_simulator { $(
            #[tokio::test]
            async fn $claim() {
                super::$claim(&$crate::sqs::Sqs::simulated().await).await;
            }
        )* }
        mod on_ministack { $(
            #[tokio::test]
            async fn $claim() {
                super::$claim(&$crate::sqs::Sqs::ministack().await).await;
            }
        )* }
    };
}
