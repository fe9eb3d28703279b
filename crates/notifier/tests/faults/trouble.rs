//! Faults of the services that a daemon uses.

use std::time::Duration;

use simulator::faults::{Fault, When};

use crate::store::SLOW;
use crate::world::Draw;

/// The operations, and the possible faults of each.
const TROUBLE: [(&str, &[Fault]); 18] = [
    ("ReceiveMessage", &[Fault::DeliverTwice, Fault::LoseAnswer, Fault::Fail, Fault::Throttle, Fault::Reset]),
    (
        "SendMessageBatch",
        &[Fault::LoseAnswer, Fault::DropEntry, Fault::Throttle, Fault::Fail, Fault::Reset, DELAY],
    ),
    ("DeleteMessageBatch", &[Fault::LoseAnswer, Fault::DropEntry, Fault::Reset, Fault::Throttle, DELAY]),
    ("ChangeMessageVisibilityBatch", &[Fault::LoseAnswer, Fault::DropEntry, Fault::Reset, Fault::Fail]),
    ("GetQueueAttributes", &[Fault::Fail, Fault::Throttle, Fault::Reset, Fault::LoseAnswer]),
    ("GetQueueUrl", &[Fault::Fail, Fault::Throttle]),
    ("ListServices", &[Fault::Throttle, Fault::Fail, Fault::EmptyPage, Fault::Reset, DELAY]),
    ("DescribeServices", &[Fault::Throttle, Fault::LoseAnswer, Fault::DropEntry, Fault::Fail]),
    ("ListTasks", &[Fault::Throttle, Fault::Fail, Fault::EmptyPage, Fault::Reset, DELAY]),
    (
        "DescribeTasks",
        &[Fault::Throttle, Fault::Fail, Fault::Reset, Fault::DropEntry, Fault::LoseAnswer, DELAY],
    ),
    ("DescribeTaskDefinition", &[Fault::Throttle, Fault::Fail, Fault::Reset]),
    ("DescribeContainerInstances", &[Fault::Throttle, Fault::Fail, Fault::DropEntry]),
    ("DescribeInstances", &[Fault::Throttle, Fault::Fail, Fault::DropEntry, Fault::Reset, DELAY]),
    ("*", &[Fault::Throttle, Fault::Fail, Fault::Reset, DELAY]),
    ("LedgerPut", &[Fault::Fail, Fault::LoseAnswer, Fault::Delay(SLOW)]),
    ("LedgerPutNew", &[Fault::Fail, Fault::LoseAnswer, Fault::Delay(SLOW)]),
    ("LedgerGet", &[Fault::Fail, Fault::Delay(SLOW)]),
    ("LedgerList", &[Fault::Fail, Fault::Delay(SLOW)]),
];

/// The same of a table that keeps the ledger.
const TABLE_TROUBLE: [(&str, &[Fault]); 4] = [
    (
        "BatchWriteItem",
        &[Fault::DropEntry, Fault::LoseAnswer, Fault::Throttle, Fault::Fail, Fault::Reset, DELAY],
    ),
    (
        "BatchGetItem",
        &[Fault::DropEntry, Fault::LoseAnswer, Fault::Throttle, Fault::Fail, Fault::Reset, DELAY],
    ),
    ("PutItem", &[Fault::LoseAnswer, Fault::Throttle, Fault::Fail, Fault::Reset, DELAY]),
    ("Query", &[Fault::LoseAnswer, Fault::Throttle, Fault::Fail, Fault::Reset, DELAY]),
];

/// Longer than most waits, shorter than any limit of the AWS clients.
const DELAY: Fault = Fault::Delay(Duration::from_millis(2_500));

/// Calls that fail in an outage, at least: as many as an AWS client makes for one question.
pub(crate) const OUTAGE_LEAST: u64 = 10;

/// Orders of one world: none, or up to six.
pub(crate) fn draw(draw: &mut Draw, has_ledger: bool) -> Vec<(&'static str, When, Fault)> {
    let count = draw.weighted(&[10, 15, 20, 20, 15, 10, 10]);
    let mut orders = Vec::new();
    for _ in 0..count {
        let (operation, faults) = TROUBLE[draw.below(TROUBLE.len())];
        let fault = faults[draw.below(faults.len())];
        // What ECS and EC2 do not know is asked for a few times: no more than that may be missing.
        let is_missing = fault == Fault::DropEntry && operation.starts_with("Describe");
        let when = match draw.below(if is_missing { 2 } else { 3 }) {
            0 => When::Nth(draw.between(1, 6)),
            1 => When::First(draw.between(1, 3)),
            // Not more often: a stage makes half a dozen calls, and none would ever get through.
            _ => When::Every(draw.between(9, 15)),
        };
        if has_ledger || !operation.starts_with("Ledger") {
            orders.push((operation, when, fault));
        }
    }
    orders
}

/// Orders of one world for its table: up to four.
pub(crate) fn of_table(draw: &mut Draw) -> Vec<(&'static str, When, Fault)> {
    let orders = (0..draw.between(0, 4)).map(|_| {
        let (operation, faults) = TABLE_TROUBLE[draw.below(TABLE_TROUBLE.len())];
        let fault = faults[draw.below(faults.len())];
        // Whatever the table leaves undone, it is offered again: more often than anything else.
        let least = if fault == Fault::DropEntry { 2 } else { 5 };
        let when = match draw.below(3) {
            0 => When::Nth(draw.between(1, 6)),
            1 => When::First(draw.between(1, 7)),
            _ => When::Every(draw.between(least, 9)),
        };
        (operation, when, fault)
    });
    orders.collect()
}

/// ECS or EC2 away for longer than a client asks it again: discovery fails, and a later run finds the fleet.
pub(crate) fn outage(draw: &mut Draw) -> (&'static str, When, Fault) {
    const OPERATIONS: [&str; 4] =
        ["ListTasks", "DescribeTasks", "DescribeTaskDefinition", "DescribeContainerInstances"];
    let operation = OPERATIONS[draw.below(OPERATIONS.len())];
    (operation, When::First(draw.between(OUTAGE_LEAST, 25)), Fault::Fail)
}
