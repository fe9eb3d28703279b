//! The daemon's timer: requests the sweeps of the registry, and watches whether its queue is behind.
//!
//! A sweep is a message on the registry queue, as the schedule of the functions sends it. So any process makes it, and of
//! several daemons only one does.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use crate::base::text::chain;
use crate::fleet::registry::{Registry, RegistryRequest};
use crate::queue::{Queue, Trace};

/// Time between two looks at the queue. An empty queue proves that the events are processed.
const WATCH_EVERY: Duration = Duration::from_secs(20);
/// Time before a request is sent again that SQS did not accept.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Requests sweeps of all registered clusters at the start and at each interval. Does not end.
pub(crate) async fn request_sweeps(registry: &Registry, queue: &Queue) {
    let body = RegistryRequest::Sweep(vec!["*".to_owned()]).to_body();
    loop {
        let next = Instant::now() + registry.options().sweep;
        while let Err(error) = queue.publish(std::slice::from_ref(&body), &Trace::default()).await {
            warn!(
                queue = queue.name(),
                error = chain(&error),
                "The sweep of the registry was not requested; will retry"
            );
            sleep(AGAIN_AFTER).await;
        }
        while Instant::now() < next {
            sleep_until(next.min(Instant::now() + WATCH_EVERY)).await;
            if let Err(error) = registry.watch().await {
                debug!(error = chain(&error), "The registry did not take note of its empty queue");
            }
        }
    }
}
