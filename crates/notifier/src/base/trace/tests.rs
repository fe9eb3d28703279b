use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::base::Rng;

/// The example of W3C Trace Context, section 3.2.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The example of the AWS X-Ray Developer Guide, "Tracing header".
const AWS: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

fn traceparent(context: &TraceContext) -> String {
    String::from_utf8(context.traceparent().unwrap().to_vec()).unwrap()
}

#[test]
fn the_published_examples_are_read_and_written_alike() {
    let context = TraceContext::from_traceparent(PARENT).unwrap();
    assert_eq!(traceparent(&context), PARENT);
    assert_eq!(
        context.to_string(),
        "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1"
    );
    let context = TraceContext::from_aws(AWS).unwrap();
    assert_eq!(context.to_string(), AWS);
    assert_eq!(traceparent(&context), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
}

#[test]
fn a_traceparent_that_the_specification_forbids_is_ignored() {
    for (text, is_valid) in [
        (PARENT, true),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
        // Unknown flags, and a later version with more fields.
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like", true),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false),
        ("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-0", false),
        ("", false),
    ] {
        assert_eq!(TraceContext::from_traceparent(text).is_some(), is_valid, "{text}");
    }
}

#[test]
fn an_aws_header_may_lack_parent_and_decision_and_have_more_fields() {
    let shuffled = "Self=1-67891234-12456789abcdef012345678;Sampled=0; Parent=53995c3f42cd8ad8;\
                    Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:a87bd80c:0";
    let context = TraceContext::from_aws(shuffled).unwrap();
    assert_eq!(context.to_string(), AWS.replace("Sampled=1", "Sampled=0"));
    assert_eq!(context.aws(Some(shuffled), 1_024), format!("{context};Lineage=1:a87bd80c:0"));
    assert_eq!(context.aws(Some(shuffled), 80), context.to_string(), "no room for more");
    assert_eq!(context.aws(Some("Lineage=a\u{7}b;X=é"), 1_024), context.to_string(), "not printable");

    let bare = TraceContext::from_aws("Root=1-67891233-abcdef012345678912345678;Sampled=?").unwrap();
    assert_eq!((bare.span, bare.sampled, bare.traceparent()), (None, None, None));
    assert_eq!(bare.to_string(), "Root=1-67891233-abcdef012345678912345678");
    let hop = bare.hop(&Rng::seeded(1));
    assert!(traceparent(&hop).ends_with("-00"), "nobody has decided: the default of the specification");

    for text in [
        "",
        "Root=",
        "Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a99427279",
        "Root=1-5759e98-8bd862e3fe1be46a994272793",
        "Root=1-00000000-000000000000000000000000",
        "Root=1-5759E988-bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=xyz",
    ] {
        assert_eq!(TraceContext::from_aws(text), None, "{text}");
    }
}

#[test]
fn a_new_trace_has_its_time_in_front_and_every_hop_a_new_span() {
    let rng = Rng::seeded(7);
    let start = TraceContext::start(0x6920_0000, &rng);
    assert!(start.trace.to_string().starts_with("69200000"), "{start}");
    assert_ne!(start.trace, TraceContext::start(0x6920_0000, &rng).trace);
    let (one, two) = (start.hop(&rng), start.hop(&rng));
    assert_eq!((one.trace, two.trace), (start.trace, start.trace));
    assert_ne!(one.span, two.span);
    assert!(TraceContext::from_aws(&one.to_string()).is_some_and(|read| read == one));
}

#[test]
fn about_one_in_a_hundred_traces_is_kept_and_always_the_same() {
    let rng = Rng::seeded(11);
    let traces: Vec<_> = (0..20_000).map(|_| TraceContext::start(1, &rng).trace).collect();
    let kept = |count| traces.iter().filter(|trace| trace.is_one_in(count)).count();
    assert_eq!(kept(1), 20_000);
    assert!((150..250).contains(&kept(100)), "{}", kept(100));
    assert!(
        traces.iter().all(|trace| !trace.is_one_in(100) || trace.is_one_in(10)),
        "each larger share has it too"
    );
}

#[test]
fn the_events_trace_counts_and_of_that_trace_the_latest_span() {
    let rng = Rng::seeded(3);
    let (event, other) = (TraceContext::start(1, &rng).hop(&rng), TraceContext::start(1, &rng).hop(&rng));
    let later = event.hop(&rng);
    let chosen = TraceContext::of_event_or_message;
    assert_eq!(chosen(Some(event), Some(later)), Some(later));
    assert_eq!(chosen(Some(event), Some(other)), Some(event));
    assert_eq!((chosen(None, Some(other)), chosen(Some(event), None)), (Some(other), Some(event)));
}

prop_compose! {
    fn any_context()(trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled in any::<bool>()) -> TraceContext {
        let (trace, span) = (TraceId(trace.to_be_bytes()), SpanId(span.to_be_bytes()));
        TraceContext { trace, span: Some(span), sampled: Some(sampled) }
    }
}

proptest! {
    #[test]
    fn a_context_survives_both_formats(context in any_context()) {
        prop_assert_eq!(TraceContext::from_traceparent(&traceparent(&context)), Some(context));
        prop_assert_eq!(TraceContext::from_aws(&context.to_string()), Some(context));
    }

    #[test]
    fn an_aws_header_keeps_what_is_unknown(context in any_context(), span in any::<bool>(), sampled in option::of(any::<bool>())) {
        let context = TraceContext { span: context.span.filter(|_| span), sampled, ..context };
        prop_assert_eq!(TraceContext::from_aws(&context.to_string()), Some(context));
    }

    #[test]
    fn any_text_is_read_without_panic_and_what_is_read_is_written_validly(text in "\\PC*|[0-9a-f-]{40,70}|(Root=1-[0-9a-f]{8}-[0-9a-f]{24}|;|Parent=|[0-9a-f]{16})*") {
        for context in [TraceContext::from_traceparent(&text), TraceContext::from_aws(&text)].into_iter().flatten() {
            prop_assert_eq!(TraceContext::from_aws(&context.to_string()), Some(context));
        }
    }
}
