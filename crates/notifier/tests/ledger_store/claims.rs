//! The claims that hold on every store.

use std::error::Error as _;

use futures_util::future::join_all;
use notifier::store::{BODY_BYTES_MAX, Item, Store};

use crate::stores::{all, find, item, key, numbered, pages, range, sorts};

pub(crate) async fn a_write_is_read_and_the_next_one_is_over_it(store: &dyn Store) {
    let first = item("p", "s", r#"{"n":1}"#);
    store.put(vec![first.clone()]).await.unwrap();
    assert_eq!(find(store, "p", "s").await, Some(first));
    let second = Item { expires: 4_000_000_000, ..item("p", "s", r#"{"n":2}"#) };
    store.put(vec![second.clone()]).await.unwrap();
    assert_eq!(find(store, "p", "s").await, Some(second));
}

pub(crate) async fn of_two_writes_for_one_key_in_one_call_the_later_counts(store: &dyn Store) {
    // Far enough apart to be in different batches of DynamoDB.
    let mut items = numbered("p", 60);
    items.push(item("p", "n000000", "later"));
    items.extend(["first", "second", "third"].map(|body| item("p", "same", body)));
    store.put(items).await.unwrap();
    let [overwritten, same] = [find(store, "p", "n000000").await, find(store, "p", "same").await];
    assert_eq!([overwritten, same].map(|item| item.unwrap().body), ["later", "third"]);
    assert_eq!(all(store, range("p", "", false)).await.len(), 61);
}

pub(crate) async fn what_stands_is_not_written_anew(store: &dyn Store) {
    assert!(store.put_new(item("p", "s", "first")).await.unwrap());
    assert!(!store.put_new(item("p", "s", "second")).await.unwrap());
    assert!(!store.put_new(item("p", "s", "first")).await.unwrap(), "the same again is not new either");
    assert_eq!(find(store, "p", "s").await.unwrap().body, "first");
    store.put(vec![item("p", "other", "put")]).await.unwrap();
    assert!(!store.put_new(item("p", "other", "new")).await.unwrap());
    assert_eq!(find(store, "p", "other").await.unwrap().body, "put");
}

pub(crate) async fn of_two_bodies_the_greater_stands_whatever_came_first(store: &dyn Store) {
    let written = |body: &'static str| async move { store.put_greater(item("p", "s", body)).await.unwrap() };
    let stands = async || find(store, "p", "s").await.unwrap().body;
    assert!(written("0002#b").await && !written("0001#z").await);
    assert_eq!(stands().await, "0002#b");
    assert!(!written("0002#b").await, "the same again is not greater");
    assert!(written("0002#c").await && written("0010#").await && !written("0009#").await);
    assert_eq!(stands().await, "0010#");
}

pub(crate) async fn of_fifty_callers_the_greatest_body_stands(store: &dyn Store) {
    let bodies: Vec<_> = (0..50).map(|n| format!("caller {n:02}")).collect();
    join_all(bodies.iter().map(|body| store.put_greater(item("p", "race", body)))).await;
    assert_eq!(find(store, "p", "race").await.unwrap().body, "caller 49");
}

pub(crate) async fn only_one_of_fifty_callers_writes_anew(store: &dyn Store) {
    let bodies: Vec<_> = (0..50).map(|n| format!("caller {n}")).collect();
    let written = join_all(bodies.iter().map(|body| store.put_new(item("p", "s", body)))).await;
    let winners: Vec<_> =
        bodies.into_iter().zip(written).filter(|(_, written)| *written.as_ref().unwrap()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(find(store, "p", "s").await.unwrap().body, winners[0].0);
}

pub(crate) async fn answers_come_in_the_order_of_the_keys_and_a_missing_one_is_none(store: &dyn Store) {
    let items = numbered("p", 250);
    store.put(items.clone()).await.unwrap();
    let mut keys = Vec::new();
    let mut expected = Vec::new();
    for item in items.iter().rev().chain(&items[..20]) {
        keys.extend([item.key.clone(), key("p", "missing"), key("elsewhere", &item.key.sort)]);
        expected.extend([Some(item.clone()), None, None]);
    }
    assert_eq!(store.get(keys).await.unwrap(), expected);
}

pub(crate) async fn a_range_is_read_in_pages_forwards_and_backwards(store: &dyn Store) {
    let body = "x".repeat(100_000);
    let items: Vec<_> = (0..30).map(|n| item("p", &format!("a{n:02}"), &body)).collect();
    store.put(items.clone()).await.unwrap();
    store.put(["a", "b", "A", "Z"].map(|sort| item("p", sort, "no part of it")).into()).await.unwrap();
    for backwards in [false, true] {
        let pages = pages(store, range("p", "a", backwards)).await;
        assert!(pages.len() >= 3, "{} pages", pages.len());
        for page in &pages {
            assert!(page.items.len() <= 12, "{} items of 100 KB are more than about 1 MB", page.items.len());
        }
        let mut read: Vec<_> = pages.into_iter().flat_map(|page| page.items).collect();
        if backwards {
            read.reverse();
        }
        assert_eq!(read.remove(0).key.sort, "a");
        assert!(read == items, "backwards: {backwards}");
    }
}

pub(crate) async fn a_range_of_many_small_items_is_read_whole(store: &dyn Store) {
    let items = numbered("p", 2_000);
    store.put(items.clone()).await.unwrap();
    for backwards in [false, true] {
        let pages = pages(store, range("p", "n", backwards)).await;
        assert!(pages.iter().all(|page| page.items.len() <= 1_000));
        let mut read: Vec<_> = pages.into_iter().flat_map(|page| page.items).collect();
        if backwards {
            read.reverse();
        }
        assert!(read == items, "backwards: {backwards}");
    }
}

pub(crate) async fn a_page_begins_behind_a_key_that_need_not_be_there(store: &dyn Store) {
    store.put(numbered("p", 10)).await.unwrap();
    let page = |after: &'static str, backwards| async move {
        let page = store.list(range("p", "n", backwards), Some(after.to_owned())).await.unwrap();
        page.items.into_iter().map(|item| item.key.sort).collect::<Vec<_>>()
    };
    assert_eq!(page("n000007", false).await, ["n000008", "n000009"]);
    assert_eq!(page("n0000075", false).await, ["n000008", "n000009"]);
    assert_eq!(page("n000002", true).await, ["n000001", "n000000"]);
    assert_eq!(page("n0000015", true).await, ["n000001", "n000000"]);
    assert_eq!(page("n000009", false).await, [""; 0]);
}

pub(crate) async fn a_prefix_means_its_characters_and_nothing_more(store: &dyn Store) {
    let long = "é".repeat(512);
    let sorts_there = [
        "%",
        "%a",
        "a",
        "a%",
        "a%b",
        "aXb",
        "a_",
        "a_b",
        "ab",
        "A_b",
        "a*",
        "a?",
        "[a",
        "'; --",
        "ä",
        "a\u{308}",
        "a\u{10ffff}",
        "a\u{10ffff}\u{10ffff}",
        "b",
        "\u{10ffff}",
        "\u{10ffff}z",
        &long,
    ];
    store.put(sorts_there.map(|sort| item("p", sort, "there")).into()).await.unwrap();
    let prefixes =
        ["", "%", "a%", "a_", "_", "a", "A", "'", "[", "*", "ä", "a\u{308}", "a\u{10ffff}", "\u{10ffff}"];
    for prefix in prefixes.into_iter().chain([long.as_str(), &"é".repeat(500), "missing"]) {
        let mut expected: Vec<_> = sorts_there.into_iter().filter(|sort| sort.starts_with(prefix)).collect();
        expected.sort_unstable();
        assert_eq!(sorts(store, range("p", prefix, false)).await, expected, "{prefix:?}");
        expected.reverse();
        assert_eq!(sorts(store, range("p", prefix, true)).await, expected, "{prefix:?} backwards");
    }
}

pub(crate) async fn keys_are_in_the_order_of_their_bytes(store: &dyn Store) {
    // UTF-16, and every collation that people read, has some of them in another order.
    let ordered = ["0", "10", "9", "A", "Z", "_", "a", "z", "~", "é", "\u{ffee}", "\u{10000}", "\u{1f600}"];
    store.put(ordered.iter().rev().map(|sort| item("p", sort, "there")).collect()).await.unwrap();
    assert_eq!(sorts(store, range("p", "", false)).await, ordered);
}

pub(crate) async fn partitions_are_apart(store: &dyn Store) {
    let long = "p".repeat(2_048);
    let partitions = ["p", "P", "p ", "pp", "p%", "p_", "%", "é", "e\u{301}", &long];
    store.put(partitions.map(|partition| item(partition, "s", partition)).into()).await.unwrap();
    for partition in partitions {
        let items = all(store, range(partition, "", false)).await;
        assert_eq!(items, [item(partition, "s", partition)]);
    }
    assert_eq!(all(store, range("x", "", false)).await, []);
}

pub(crate) async fn every_character_survives(store: &dyn Store) {
    let body: String = (0..=0x2fff)
        .chain([0xd7ff, 0xe000, 0xffff, 0x1_f600, 0x10_ffff])
        .filter_map(char::from_u32)
        .collect();
    let odd = item("p\u{1}\"\\'é\u{1f600}", "s\u{7f}\"\\'\n\u{2028}", &body);
    store.put(vec![odd.clone(), item("p", "empty", "")]).await.unwrap();
    assert_eq!(find(store, &odd.key.partition, &odd.key.sort).await, Some(odd.clone()));
    assert_eq!(all(store, range(&odd.key.partition, "s\u{7f}\"", false)).await, [odd]);
    assert_eq!(find(store, "p", "empty").await.unwrap().body, "");
}

pub(crate) async fn the_largest_items_fit_many_at_once(store: &dyn Store) {
    // In JSON each of these characters is two, and one of DynamoDB's batches must not be larger than 16 MB.
    let body = "\"".repeat(BODY_BYTES_MAX);
    let (partition, sort) = ("p".repeat(2_048), "s".repeat(1_022));
    let items: Vec<_> = (0..26).map(|n| item(&partition, &format!("{sort}{n:02}"), &body)).collect();
    store.put(items.clone()).await.unwrap();
    let keys = items.iter().map(|item| item.key.clone()).collect();
    assert!(store.get(keys).await.unwrap() == items.iter().cloned().map(Some).collect::<Vec<_>>());
    assert!(all(store, range(&partition, &sort, false)).await == items);
    let new = item(&partition, &sort, &body);
    assert!(store.put_new(new.clone()).await.unwrap());
    assert!(find(store, &partition, &sort).await == Some(new));
}

pub(crate) async fn what_does_not_fit_is_refused_by_name_and_nothing_is_written(store: &dyn Store) {
    let long = "x".repeat(BODY_BYTES_MAX + 1);
    let error = store.put(vec![item("p", "small", "a"), item("p", "large", &long)]).await.unwrap_err();
    assert!(error.is_final());
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "the body of item `large` has 389121 bytes, and a store keeps at most 389120");
    assert!(store.put_new(item("p", "large", &long)).await.unwrap_err().is_final());
    for odd in [key("", "s"), key("p", ""), key(&"x".repeat(2_049), "s"), key("p", &"x".repeat(1_025))] {
        let item = Item { key: odd.clone(), ..item("", "", "a") };
        assert!(store.put(vec![item]).await.unwrap_err().is_final());
        assert!(store.get(vec![odd]).await.unwrap_err().is_final());
    }
    assert!(store.list(range("", "s", false), None).await.unwrap_err().is_final());
    assert!(store.list(range("p", &"x".repeat(1_025), false), None).await.unwrap_err().is_final());
    assert_eq!(all(store, range("p", "", false)).await, []);
}

pub(crate) async fn nothing_asked_is_nothing_done(store: &dyn Store) {
    store.put(Vec::new()).await.unwrap();
    assert_eq!(store.get(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn ten_thousand_items_are_there(store: &dyn Store) {
    let partitions = ["p0", "p1", "p2", "p3"];
    let items: Vec<_> = partitions.iter().flat_map(|partition| numbered(partition, 2_500)).collect();
    // Four callers at once, each with items of all partitions.
    let parts = (0..4).map(|n| items.iter().skip(n).step_by(4).cloned().collect());
    for written in join_all(parts.map(|part| store.put(part))).await {
        written.unwrap();
    }
    let mut read = Vec::new();
    for partition in partitions {
        read.extend(all(store, range(partition, "n", false)).await);
    }
    assert!(read == items, "{} items", read.len());
    let keys = items.iter().rev().map(|item| item.key.clone()).collect();
    assert!(store.get(keys).await.unwrap().into_iter().rev().eq(items.into_iter().map(Some)));
}
