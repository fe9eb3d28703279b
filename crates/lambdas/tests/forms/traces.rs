//! The trace of a broadcast, from its message through the stages into the tasks.

use std::collections::BTreeSet;

use notifier::pipeline::StageName;
use notifier::queue::Trace;
use testkit::fleets;
use wire::event::Extension;
use wire::{Broadcast, Draft, Message as _, ObserverMessage};

use crate::setup::{Form, SOON, Setup, id};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The same trace as AWS writes it, after another span.
const AWS: &str = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=53995c3f42cd8ad8;Sampled=0";
/// Another trace.
const OTHER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// Broadcasts to two tasks, the first of which fails once, with these trace contexts in the event and in the message.
/// Returns the header `traceparent` of each request, and the event's attribute in its body.
async fn traced(form: Form, event: Option<&str>, message: Option<&str>) -> Vec<(String, Option<String>)> {
    let services = [
        fleets::service("recovers", 1, "/n", "answers = [{ status = 503 }, { status = 200 }]"),
        fleets::service("accepts", 1, "/n", ""),
    ];
    let setup = Setup::of(form, &fleets::fleet(&services), &[]).await;
    let mut draft = Draft::default();
    if let Some(event) = event {
        draft.extensions.insert("traceparent".to_owned(), Extension::Text(event.to_owned()));
    }
    let event = draft.complete(&id(), std::time::SystemTime::UNIX_EPOCH).unwrap();
    let mut scope = ObserverMessage::new("prod");
    if form == Form::Send {
        setup.notifier.send(&scope, &Broadcast::new(event)).await.unwrap();
    } else {
        scope.event = Some(Draft::from(event));
        let trace = Trace { xray: message.map(str::to_owned), ..Trace::default() };
        let observer = setup.notifier.stage(StageName::Services).unwrap().source;
        observer.publish(&[scope.to_body().unwrap()], &trace).await.unwrap();
        setup.work_until(async || setup.has_ended().await).await;
    }
    let received = setup.sim.received();
    assert_eq!(received.len(), 3, "{SOON:?} were enough");
    let one = |request: &simulator::Received| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let own = body.get("traceparent").map(|own| own.as_str().unwrap().to_owned());
        (request.header("traceparent").unwrap().to_owned(), own)
    };
    received.iter().map(one).collect()
}

/// The trace of every request, its flags, and how many spans the requests have.
fn traces(requests: &[(String, Option<String>)]) -> (BTreeSet<&str>, BTreeSet<&str>, usize) {
    let parts = requests.iter().map(|(header, _)| header.split('-').collect::<Vec<_>>());
    let parts: Vec<_> = parts.collect();
    assert!(parts.iter().all(|parts| parts.len() == 4 && parts[0] == "00"), "{requests:?}");
    let each = |part: usize| parts.iter().map(|parts| parts[part]).collect::<BTreeSet<_>>();
    (each(1), each(3), each(2).len())
}

/// Each request is a new span of the event's trace, beside the event's own attribute, which stays as it is.
pub(crate) async fn the_trace_of_an_event_is_followed_into_the_tasks(form: Form) {
    for message in [None, Some(OTHER)] {
        let requests = traced(form, Some(TRACEPARENT), message).await;
        assert_eq!(traces(&requests), (BTreeSet::from([TRACE]), BTreeSet::from(["01"]), 3), "{requests:?}");
        for (header, own) in &requests {
            assert_ne!(header, TRACEPARENT);
            assert_eq!(own.as_deref(), Some(TRACEPARENT));
        }
    }
}

/// Without one in the event, the trace of the message counts, with its decision about sampling.
pub(crate) async fn the_trace_of_a_message_is_followed_into_the_tasks(form: Form) {
    let requests = traced(form, None, Some(AWS)).await;
    assert_eq!(traces(&requests), (BTreeSet::from([TRACE]), BTreeSet::from(["00"]), 3), "{requests:?}");
    assert!(requests.iter().all(|(_, own)| own.is_none()));
}

/// A broadcast without a trace gets one, also where the context is not valid.
pub(crate) async fn a_broadcast_without_a_trace_gets_one(form: Form) {
    for (event, message) in [(None, None), (Some("00-nonsense"), Some("Root=nonsense"))] {
        let requests = traced(form, event, message).await;
        let (ids, _, spans) = traces(&requests);
        assert_eq!((ids.len(), spans), (1, 3), "{requests:?}");
        assert!(!ids.contains(TRACE));
    }
}
