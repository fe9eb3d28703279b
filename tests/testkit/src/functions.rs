//! A function on its queue: a batch as Lambda's event source mapping hands it over.

use std::collections::BTreeSet;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName as System;
use lambdas::batch::Worker;
use lambdas::record::Batch;
use notifier::Notifier;
use notifier::pipeline::{STAGES, Work};
use notifier::queue::EventSourceMapping;
use tokio::time::Instant;

use crate::lambda_event;
use crate::sqs::SOON;

/// Invokes the function of each stage once, if its queue has messages. Optional stages without a queue are left out.
pub async fn invoke_each(notifier: &Notifier, sqs: &Client) {
    for stage in &STAGES {
        match notifier.stage(stage.name) {
            Ok(work) => invoke(work, sqs).await,
            Err(error) => assert!(stage.is_optional, "{error}"),
        }
    }
}

/// Receives a batch from the queue of a stage, hands it to the function, and deletes the messages that did not fail.
async fn invoke(work: Work, sqs: &Client) {
    let source = work.source.clone();
    let call = sqs.receive_message().queue_url(source.url()).max_number_of_messages(10);
    let call = call.message_attribute_names("All").message_system_attribute_names(System::All);
    let messages = call.send().await.unwrap().messages.unwrap_or_default();
    if messages.is_empty() {
        return;
    }
    let batch: Batch = serde_json::from_value(lambda_event::of(&messages)).unwrap();
    let worker = Worker { work, source: EventSourceMapping::new(source.clone()) };
    let answer = worker.run(&batch, Instant::now() + SOON).await.unwrap();
    let failed: BTreeSet<_> =
        answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    for message in messages.iter().filter(|message| !failed.contains(message.message_id().unwrap())) {
        let receipt = message.receipt_handle().unwrap();
        let delete = sqs.delete_message().queue_url(source.url()).receipt_handle(receipt);
        delete.send().await.unwrap_or_else(|error| panic!("{:?}: {error:?}", message.message_id));
    }
}
