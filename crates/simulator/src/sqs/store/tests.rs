use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sqs::content::Draft;

const RETENTION: Duration = Duration::from_hours(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000 + seconds)
}

fn message(id: &str, sent: Duration) -> Message {
    let draft: Draft = serde_json::from_value(json!({ "MessageBody": id })).expect("draft");
    Message::new(id, Arc::new(draft.check("AIDA").expect("valid").content), sent)
}

fn ask(limit: usize, seconds: u64) -> Ask {
    Ask { limit, hide_for: Duration::from_secs(seconds), receives_max: None }
}

fn counts(visible: usize, in_flight: usize, delayed: usize) -> Counts {
    Counts { visible, in_flight, delayed }
}

/// Receives without repeats, and names what came.
fn receive(store: &mut Store, now: Duration, ask: Ask) -> Vec<(u64, String, u32)> {
    store.settle(now, RETENTION);
    let batch = store.receive(now, ask, || false);
    batch.received.into_iter().map(|(key, m)| (key, m.id.to_string(), m.receives)).collect()
}

fn three() -> Store {
    let mut store = Store::default();
    for id in ["a", "b", "c"] {
        store.push(message(id, at(0)), at(0), at(0));
    }
    store
}

#[test]
fn a_message_is_hidden_until_its_time_is_over() {
    let mut store = three();
    assert_eq!(receive(&mut store, at(0), ask(2, 30)), [(0, "a".into(), 1), (1, "b".into(), 1)]);
    assert_eq!(store.counts(), counts(1, 2, 0));
    assert_eq!(receive(&mut store, at(29), ask(10, 30)), [(2, "c".into(), 1)]);
    assert_eq!(receive(&mut store, at(30), ask(10, 30)), [(0, "a".into(), 2), (1, "b".into(), 2)]);
    assert_eq!(store.counts(), counts(0, 3, 0));
}

#[test]
fn a_delayed_message_is_not_in_flight() {
    let mut store = Store::default();
    store.push(message("a", at(0)), at(0), at(5));
    assert_eq!((store.counts(), store.next_due()), (counts(0, 0, 1), Some(at(5))));
    assert_eq!(store.hide(0, at(1), Duration::ZERO), Err(HideError::NotInFlight));
    assert!(receive(&mut store, at(4), ask(1, 1)).is_empty());
    assert_eq!(receive(&mut store, at(5), ask(1, 1)).len(), 1);
}

#[test]
fn a_message_that_stays_visible_comes_once_in_a_batch_and_again_in_the_next() {
    let mut store = three();
    assert_eq!(store.receive(at(0), ask(10, 30), || true).received.len(), 3);
    assert_eq!(receive(&mut store, at(0), ask(10, 0)).len(), 3);
    assert_eq!(store.counts(), counts(3, 0, 0));
}

#[test]
fn messages_take_turns_when_nobody_hides_them() {
    let mut store = three();
    let ids: String = (0..6).map(|_| receive(&mut store, at(0), ask(1, 0)).remove(0).1).collect();
    assert_eq!(ids, "abcabc");
}

#[test]
fn only_the_latest_receipt_deletes() {
    let mut store = three();
    receive(&mut store, at(0), ask(1, 1));
    receive(&mut store, at(1), ask(3, 10));
    store.delete(0, 1);
    assert_eq!(store.counts(), counts(0, 3, 0));
    store.delete(0, 2);
    store.delete(0, 2);
    assert_eq!(store.counts(), counts(0, 2, 0));
}

#[test]
fn visibility_can_be_shortened_and_extended_up_to_twelve_hours_in_all() {
    let mut store = three();
    receive(&mut store, at(0), ask(1, 30));
    assert_eq!(store.hide(0, at(10), Duration::from_secs(30)), Ok(()));
    assert!(receive(&mut store, at(39), ask(10, 30)).iter().all(|(key, ..)| *key != 0));
    assert_eq!(store.hide(0, at(39), HIDDEN_MAX), Err(HideError::TooLong));
    assert_eq!(store.hide(0, at(39), Duration::from_secs(12 * 3600 - 39)), Ok(()));
    assert_eq!(store.hide(0, at(39), Duration::ZERO), Ok(()));
    assert_eq!(store.hide(0, at(39), Duration::ZERO), Err(HideError::NotInFlight));
    assert_eq!(receive(&mut store, at(39), ask(1, HIDDEN_MAX.as_secs())), [(0, "a".into(), 2)]);
    assert_eq!(store.hide(9, at(39), Duration::ZERO), Err(HideError::Gone));
}

#[test]
fn a_message_received_too_often_is_handed_over_instead() {
    let mut store = three();
    let twice = Ask { receives_max: Some(2), ..ask(1, 0) };
    for round in 0..2 {
        assert_eq!(receive(&mut store, at(round), Ask { limit: 3, ..twice }).len(), 3);
    }
    store.push(message("d", at(3)), at(3), at(3));
    let batch = store.receive(at(3), twice, || false);
    assert_eq!(batch.dead.iter().map(|m| &*m.id).collect::<String>(), "abc");
    assert_eq!(&*batch.received[0].1.id, "d", "the dead do not use up the batch");
}

#[test]
fn old_messages_are_dropped_wherever_they_are() {
    let mut store = three();
    receive(&mut store, at(0), ask(1, 40_000));
    store.push(message("d", at(0)), at(0), at(50_000));
    store.push(message("young", at(1)), at(1), at(1));
    store.settle(at(3600), RETENTION);
    assert_eq!(store.counts(), counts(1, 0, 0));
}

fn of_group(group: &str, sent: Duration) -> Message {
    let draft = serde_json::from_value::<Draft>(json!({ "MessageBody": "m", "MessageGroupId": group }));
    Message::new(group, Arc::new(draft.expect("draft").check("AIDA").expect("valid").content), sent)
}

#[test]
fn a_group_that_takes_more_than_its_share_is_served_after_the_others() {
    let mut store = Store::default();
    for _ in 0..500 {
        store.push(of_group("large", at(0)), at(0), at(0));
    }
    // Fewer than thirty in flight: the oldest first, whatever its group.
    for _ in 0..2 {
        assert_eq!(receive(&mut store, at(0), ask(10, 30)).len(), 10);
    }
    store.push(of_group("small", at(1)), at(1), at(1));
    assert!(receive(&mut store, at(1), ask(10, 30)).iter().all(|(_, group, _)| group == "large"));
    let batch = receive(&mut store, at(1), ask(10, 30));
    let groups: Vec<_> = batch.iter().map(|(_, group, _)| group.as_str()).collect();
    assert_eq!(groups, [["small"].as_slice(), &["large"; 9]].concat(), "470 messages wait before it");
    // What has no group is a group of its own.
    store.push(message("single", at(2)), at(2), at(2));
    assert_eq!(receive(&mut store, at(2), ask(1, 30))[0].1, "single");
    // No other group waits: the large one continues.
    assert_eq!(receive(&mut store, at(2), ask(10, 30)).len(), 10);
    // Its messages came back: nothing is in flight, and the oldest is first again.
    store.settle(at(100), RETENTION);
    assert_eq!(store.counts().in_flight, 0);
    store.push(of_group("small", at(100)), at(100), at(100));
    assert_eq!(receive(&mut store, at(100), ask(1, 30))[0].1, "large");
}

#[test]
fn no_more_than_the_limit_is_in_flight() {
    let mut store = Store::default();
    for n in 0..IN_FLIGHT_MAX + 5 {
        store.push(message("m", at(0)), at(0), at(0));
        if n % 10 == 9 {
            receive(&mut store, at(0), ask(10, 30));
        }
    }
    assert_eq!(store.counts().in_flight, IN_FLIGHT_MAX);
    assert!(receive(&mut store, at(0), ask(10, 30)).is_empty());
    store.delete(7, 1);
    assert_eq!(receive(&mut store, at(0), ask(10, 30)).len(), 1);
}

/// One step of a random history. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Send { delay: u64 },
    Receive { limit: usize, hide: u64 },
    Delete { receipt: usize },
    Hide { receipt: usize, seconds: u64 },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..20).prop_map(|delay| Step::Send { delay }),
        4 => (1usize..=10, 0u64..40).prop_map(|(limit, hide)| Step::Receive { limit, hide }),
        2 => any::<usize>().prop_map(|receipt| Step::Delete { receipt }),
        2 => (any::<usize>(), 0u64..40).prop_map(|(receipt, seconds)| Step::Hide { receipt, seconds }),
        3 => (0u64..25).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// The same queue as a plain list: for each message its latest receive and when it is visible.
#[derive(Debug, Default)]
struct Model {
    alive: HashMap<u64, (u32, Duration)>,
    receipts: Vec<(u64, u32)>,
    sent: u64,
}

impl Model {
    fn receipt(&self, choice: usize) -> Option<(u64, u32)> {
        (!self.receipts.is_empty()).then(|| self.receipts[choice % self.receipts.len()])
    }

    fn visible(&self, now: Duration) -> usize {
        self.alive.values().filter(|(_, due)| *due <= now).count()
    }
}

fn take(model: &mut Model, store: &mut Store, now: Duration, limit: usize, hide: u64) {
    let expected = model.visible(now).min(limit);
    let found = receive(store, now, ask(limit, hide));
    assert_eq!(found.len(), expected, "every visible message can be had, up to the limit");
    for (key, id, receives) in found {
        let (last, due) = model.alive.get_mut(&key).expect("a deleted message never comes back");
        assert!(*due <= now, "message {id} came while it was hidden");
        assert_eq!(receives, *last + 1);
        (*last, *due) = (receives, now + Duration::from_secs(hide));
        model.receipts.push((key, receives));
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_comes_while_hidden(steps in prop::collection::vec(step(), 0..200)) {
        let (mut store, mut model, mut now) = (Store::default(), Model::default(), at(0));
        for step in steps {
            match step {
                Step::Send { delay } => {
                    let due = now + Duration::from_secs(delay);
                    store.push(message("m", now), now, due);
                    model.alive.insert(model.sent, (0, due));
                    model.sent += 1;
                }
                Step::Receive { limit, hide } => take(&mut model, &mut store, now, limit, hide),
                Step::Delete { receipt } => if let Some((key, receive)) = model.receipt(receipt) {
                    store.delete(key, receive);
                    if model.alive.get(&key).is_some_and(|(last, _)| *last == receive) {
                        model.alive.remove(&key);
                    }
                },
                Step::Hide { receipt, seconds } => if let Some((key, _)) = model.receipt(receipt) {
                    let hidden = model.alive.get(&key).map(|(_, due)| *due > now);
                    let due = now + Duration::from_secs(seconds);
                    let expected = match hidden {
                        Some(true) => Ok(()),
                        Some(false) => Err(HideError::NotInFlight),
                        None => Err(HideError::Gone),
                    };
                    prop_assert_eq!(store.hide(key, now, Duration::from_secs(seconds)), expected);
                    if hidden == Some(true) {
                        model.alive.entry(key).and_modify(|(_, old)| *old = due);
                    }
                },
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
            }
            store.settle(now, Duration::MAX / 2);
            let counts = store.counts();
            prop_assert_eq!(counts.visible, model.visible(now));
            prop_assert_eq!(counts.visible + counts.in_flight + counts.delayed, model.alive.len());
        }
    }
}
