//! The contract of a ledger's store: each claim on a SQLite file, and on DynamoDB in two independent emulators. Then the
//! faults of files and of networks.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod broadcast;
mod claims;
mod clusters;
mod faults;
mod file;
mod many;
mod processes;
mod stores;

use stores::Table;
use testkit::emulator::Emulator;

/// Each claim is a test on SQLite. An emulator takes longer to start than most claims, so there all of them are one.
macro_rules! on_each_store {
    ($($claim:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test]
            async fn $claim() {
                super::claims::$claim(&*super::Table::sqlite().await.store).await;
            }
        )* }

        /// All claims but these, each on a table of its own.
        async fn every_claim_but(apart: &[&str], emulator: &Emulator) {
            $(
                if !apart.contains(&stringify!($claim)) {
                    eprintln!("{}", stringify!($claim));
                    claims::$claim(&stores::dynamodb(emulator, stringify!($claim)).await).await;
                }
            )*
        }
    };
}

on_each_store! {
    a_write_is_read_and_the_next_one_is_over_it
    of_two_writes_for_one_key_in_one_call_the_later_counts
    what_stands_is_not_written_anew
    of_two_bodies_the_greater_stands_whatever_came_first
    of_fifty_callers_the_greatest_body_stands
    only_one_of_fifty_callers_writes_anew
    answers_come_in_the_order_of_the_keys_and_a_missing_one_is_none
    a_range_is_read_in_pages_forwards_and_backwards
    a_range_of_many_small_items_is_read_whole
    a_page_begins_behind_a_key_that_need_not_be_there
    a_prefix_means_its_characters_and_nothing_more
    keys_are_in_the_order_of_their_bytes
    partitions_are_apart
    every_character_survives
    the_largest_items_fit_many_at_once
    what_does_not_fit_is_refused_by_name_and_nothing_is_written
    nothing_asked_is_nothing_done
    ten_thousand_items_are_there
}

#[tokio::test]
async fn every_claim_holds_on_dynamodb_as_ministack_has_it() {
    every_claim_but(&[], &stores::ministack().await).await;
}

/// moto answers requests on threads, and checks a condition in one step and writes in another.
const NEEDS_ATOMIC_WRITES: [&str; 2] =
    ["only_one_of_fifty_callers_writes_anew", "of_fifty_callers_the_greatest_body_stands"];

#[tokio::test]
async fn every_claim_holds_on_dynamodb_as_moto_has_it() {
    every_claim_but(&NEEDS_ATOMIC_WRITES, &stores::moto().await).await;
}
