//! Packs messages into batches. Pure.

use super::limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};

/// One message to pack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Its index in the list.
    pub(super) index: usize,
    /// Its size with its attributes, which is not more than a batch may have.
    pub(super) bytes: usize,
    /// Whether it gets a separate batch.
    pub(super) alone: bool,
}

/// Packs messages into as few batches as their order allows: at most ten messages and 1 MiB each. Returns their indices.
pub(super) fn pack(items: impl IntoIterator<Item = Item>) -> Vec<Vec<usize>> {
    let mut batches = Vec::<Vec<usize>>::new();
    let mut room = 0;
    let mut shared = false;
    for Item { index, bytes, alone } in items {
        match batches.last_mut() {
            Some(batch) if shared && !alone && bytes <= room && batch.len() < BATCH_ENTRIES_MAX => {
                batch.push(index);
                room -= bytes;
            }
            _ => {
                batches.push(vec![index]);
                room = BATCH_BYTES_MAX.saturating_sub(bytes);
                shared = !alone;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_items() -> impl Strategy<Value = Vec<Item>> {
        let bytes = prop_oneof![0..64_usize, 0..=BATCH_BYTES_MAX / 4, 0..=BATCH_BYTES_MAX];
        prop::collection::vec((bytes, prop::bool::weighted(0.1)), 0..80).prop_map(|items| {
            let item = |(index, (bytes, alone))| Item { index, bytes, alone };
            items.into_iter().enumerate().map(item).collect()
        })
    }

    proptest! {
        #[test]
        fn no_message_is_lost_or_doubled_and_their_order_is_kept(items in any_items()) {
            let packed: Vec<_> = pack(items.clone()).into_iter().flatten().collect();
            prop_assert_eq!(packed, (0..items.len()).collect::<Vec<_>>());
        }

        #[test]
        fn no_batch_is_past_a_limit(items in any_items()) {
            for batch in pack(items.clone()) {
                prop_assert!((1..=BATCH_ENTRIES_MAX).contains(&batch.len()));
                prop_assert!(batch.iter().map(|&i| items[i].bytes).sum::<usize>() <= BATCH_BYTES_MAX);
                prop_assert!(batch.len() == 1 || batch.iter().all(|&i| !items[i].alone));
            }
        }

        #[test]
        fn no_two_batches_in_a_row_would_fit_into_one(items in any_items()) {
            let batches = pack(items.iter().map(|item| Item { alone: false, ..*item }));
            for pair in batches.windows(2) {
                let joined = pair[0].iter().chain(&pair[1][..1]);
                let bytes: usize = joined.clone().map(|&i| items[i].bytes).sum();
                prop_assert!(joined.count() > BATCH_ENTRIES_MAX || bytes > BATCH_BYTES_MAX);
            }
        }
    }
}
