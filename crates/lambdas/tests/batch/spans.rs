//! The spans of an invocation.

use std::sync::{Arc, Mutex};

use lambdas::batch::Worker;
use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::base::spans::{Span, SpanKind, SpanValue, Spans};
use notifier::base::trace::TraceContext;
use notifier::ledger::Ledger;
use notifier::pipeline::{Handler, StageName, Work};
use notifier::queue::{EventSourceMapping, Queue};
use testkit::stages::Stages;
use tokio::time::Instant;

use crate::LONG;
use crate::queues::Queues;

const INVOCATION: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
/// It is handled without any work.
const KEEP_WARM: &str = r#"{"keep_warm":true}"#;

fn number(span: &Span, name: &str) -> Option<SpanValue> {
    span.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

/// The spans of one invocation with messages with these bodies.
async fn spans(bodies: &[&str]) -> Vec<Span> {
    let queues = Queues::start().await;
    let (rng, all) = (Rng::seeded(1), Arc::new(Mutex::new(Vec::new())));
    let record = Arc::clone(&all);
    let recorder = Spans::to(1, move |span| {
        record.lock().unwrap().push(span);
        true
    });
    let mut ctx = Stages::default().on(&Aws::at("http://127.0.0.1:1", "us-east-1"), &Ledger::none());
    ctx.deliverer = ctx.deliverer.clone().with_spans(recorder);
    let queue = |url: &str| Queue::at(queues.client.clone(), url, rng.clone());
    let worker = Worker {
        work: Work {
            stage: StageName::Tasks,
            source: queue(&queues.source),
            next: Some(queue(&queues.next)),
            handler: Handler::Stage(Arc::new(ctx)),
            rng: rng.clone(),
        },
        source: EventSourceMapping::new(queue(&queues.source)),
    };
    let (batch, _) = queues.batch(bodies).await;
    worker.run_in(&batch, Instant::now() + LONG, TraceContext::from_aws(INVOCATION)).await.unwrap();
    let all = all.lock().unwrap();
    all.clone()
}

#[tokio::test]
async fn a_batch_has_a_span_in_lambdas_trace_with_links_to_those_of_its_messages() {
    let spans = spans(&[KEEP_WARM, KEEP_WARM, "nonsense"]).await;
    let (batch, rest) = spans.split_last().unwrap();
    let invocation = TraceContext::from_aws(INVOCATION).unwrap();
    assert_eq!((batch.context.trace, batch.parent), (invocation.trace, invocation.span));
    assert_eq!((batch.kind, batch.is_parent_remote), (SpanKind::Consumer, true));
    assert_eq!(number(batch, "messaging.batch.message_count"), Some(SpanValue::Number(3)));
    let works: Vec<_> = rest.iter().filter(|span| span.name == batch.name).collect();
    assert_eq!(works.len(), 3, "{spans:#?}");
    assert!(works.iter().all(|work| batch.links.contains(&work.context)), "{spans:#?}");
    assert!(works.iter().all(|work| number(work, "messaging.batch.message_count").is_none()));
    let failed: Vec<_> = works.iter().filter(|work| work.failure.is_some()).collect();
    assert_eq!(failed.len(), 1, "{spans:#?}");
    // Two messages without work are sent on.
    let sent = rest.iter().filter(|span| span.name.starts_with("send ")).count();
    assert_eq!((sent, rest.len()), (2, 5));
}

#[tokio::test]
async fn a_single_message_is_no_batch() {
    let spans = spans(&["nonsense"]).await;
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_ne!(spans[0].context.trace, TraceContext::from_aws(INVOCATION).unwrap().trace);
}
