//! The budget of an installation: processes claim the tokens of a bucket in the table before they use them.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | reads and writes the claims |
//! | `lease` | the rule: which tokens may be claimed and used, and when (pure) |
//!
//! While the table does not answer, calls wait: tokens that nobody claimed are never used.

mod lease;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::{Item, Key, Range, Store, StoreError};
use crate::aws::budget::{AccountRegion, Group, Groups, SharedBudget, TokenSource};
use crate::aws::{Aws, identity};
use crate::base::text::chain;
use crate::base::{Backoff, Clock, Rng};
use lease::{Chunks, Lease, Micros, Step, Throttled};

/// The sort key of the last throttle. It is after those of chunks, which are digits.
const THROTTLED: &str = "throttled";
/// How long claims and throttles are kept. They are read for some seconds, or for a minute.
const LIFE_S: i64 = 600;
/// The most pages of one list: a page has 1,000 items, and a bucket has fewer chunks that can be used.
const PAGES_MAX: usize = 3;
/// Time limit for one request to the table. A claim whose answer is late is not used.
const STORE_TIME_MAX: Duration = Duration::from_secs(5);
/// Pauses while the table does not answer.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), most: Duration::from_secs(10) };
/// Time between two warnings of that.
const WARN_EVERY: Duration = Duration::from_mins(1);
/// Time limit for the account number of this process. In a subnet without a route to STS there is no answer.
const ACCOUNT_WAIT_MAX: Duration = Duration::from_secs(3);
/// Time before STS is asked again.
const ACCOUNT_AGAIN_AFTER: Duration = Duration::from_mins(5);
/// The account in keys while STS does not answer: that of all processes without STS.
const ACCOUNT_UNKNOWN: &str = "home";

/// The budget of the installation that has this table.
#[derive(Debug)]
pub struct InstallationBudget(Arc<Installation>);

#[derive(Debug)]
struct Installation {
    store: Arc<dyn Store>,
    clock: Clock,
    rng: Rng,
    sts: aws_sdk_sts::Client,
    region: String,
    account: Mutex<HomeAccount>,
    warned: Lock<Option<Instant>>,
}

/// What STS said about the account of this process.
#[derive(Debug, Default)]
struct HomeAccount {
    id: Option<String>,
    asked: Option<Instant>,
}

impl InstallationBudget {
    /// The budget in this table. All processes must have clocks that agree, and the same percentage: each percentage is a
    /// budget of its own.
    pub fn new(store: Arc<dyn Store>, aws: &Aws, rng: Rng) -> Self {
        Self(Arc::new(Installation {
            store,
            clock: aws.clock(),
            rng,
            sts: aws.sts.clone(),
            region: aws.region.clone().unwrap_or_default(),
            account: Mutex::default(),
            warned: Lock::default(),
        }))
    }
}

impl SharedBudget for InstallationBudget {
    fn tokens(&self, of: &AccountRegion, percent: f64) -> Arc<dyn TokenSource> {
        let bucket = |group: Group| Bucket {
            claims: Mutex::new(Claims {
                partition: String::new(),
                lease: Lease::new(Chunks::of(group.share(percent))),
            }),
            is_throttled: AtomicBool::new(false),
        };
        Arc::new(InstallationTokens {
            installation: Arc::clone(&self.0),
            of: of.clone(),
            percent,
            buckets: Groups::new(bucket),
        })
    }
}

/// The tokens of one account and region.
#[derive(Debug)]
struct InstallationTokens {
    installation: Arc<Installation>,
    of: AccountRegion,
    percent: f64,
    buckets: Groups<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    claims: Mutex<Claims>,
    /// AWS throttled a call since the last token was taken.
    is_throttled: AtomicBool,
}

#[derive(Debug)]
struct Claims {
    /// The partition that was listed last.
    partition: String,
    lease: Lease,
}

impl TokenSource for InstallationTokens {
    fn take(&self, group: Group) -> BoxFuture<'_, ()> {
        async move {
            let bucket = self.buckets.get(group);
            let mut claims = bucket.claims.lock().await;
            let mut failures = 0;
            // Ends with a token: the table gets new chunks all the time. While it does not answer, the caller's own limit
            // of time, or its cancellation, ends the wait.
            loop {
                if bucket.is_throttled.swap(false, Ordering::Relaxed) {
                    claims.lease.throttle();
                }
                match self.step(group, &mut claims).await {
                    Ok(true) => return,
                    Ok(false) => failures = 0,
                    Err(error) => {
                        failures += 1;
                        self.installation.warn(&error);
                        sleep(BACKOFF.full_jitter(failures, self.installation.rng.fraction())).await;
                    }
                }
            }
        }
        .boxed()
    }

    fn throttled(&self, group: Group) {
        self.buckets.get(group).is_throttled.store(true, Ordering::Relaxed);
    }
}

impl InstallationTokens {
    /// Takes the next step. Returns whether a token was taken.
    async fn step(&self, group: Group, claims: &mut Claims) -> Result<bool, String> {
        let Installation { store, rng, .. } = &*self.installation;
        match claims.lease.next(self.installation.now(), rng.fraction()) {
            Step::Go => return Ok(true),
            Step::Wait(time) => sleep(time).await,
            Step::List(first) => {
                let partition = self.partition(group).await;
                if claims.partition != partition {
                    claims.lease = Lease::new(Chunks::of(group.share(self.percent)));
                    claims.partition = partition;
                }
                let (now, partition) = (self.installation.now(), &claims.partition);
                let (taken, throttled) = answer(list(&**store, partition, first)).await?;
                claims.lease.listed(now, taken, throttled);
            }
            Step::Claim(chunk) => {
                let item = self.installation.item(&claims.partition, &sort_of(chunk), "{}".to_owned());
                // If this is dropped, or its answer is lost, the chunk is nobody's.
                let is_ours = answer(store.put_new(item)).await?;
                claims.lease.claimed(chunk, is_ours);
            }
            Step::Note(throttled) => {
                let body = serde_json::to_string(&throttled).map_err(|error| error.to_string())?;
                let item = self.installation.item(&claims.partition, THROTTLED, body);
                answer(store.put(vec![item])).await?;
                claims.lease.noted(throttled);
                tracing::warn!(
                    bucket = group.as_str(),
                    "AWS throttles calls within the budget: the installation uses {}/8 of its share, and more again in steps of 10 s",
                    throttled.eighths(self.installation.now())
                );
            }
        }
        Ok(false)
    }

    async fn partition(&self, group: Group) -> String {
        let account = match &self.of.account {
            Some(account) => account.clone(),
            None => self.installation.account().await,
        };
        let region = self.of.region.as_ref().unwrap_or(&self.installation.region);
        format!("budget#{account}#{region}#{}#{}", group.as_str(), self.percent)
    }
}

impl Installation {
    fn now(&self) -> Micros {
        u64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000).unwrap_or_default()
    }

    fn item(&self, partition: &str, sort: &str, body: String) -> Item {
        let key = Key { partition: partition.to_owned(), sort: sort.to_owned() };
        Item { key, body, expires: self.clock.unix_seconds().saturating_add(LIFE_S) }
    }

    /// The account of this process. If STS does not answer, it is asked again after some minutes.
    async fn account(&self) -> String {
        let mut account = self.account.lock().await;
        let is_due = account.asked.is_none_or(|asked| asked.elapsed() >= ACCOUNT_AGAIN_AFTER);
        if account.id.is_none() && is_due {
            let id = identity::account(&self.sts, ACCOUNT_WAIT_MAX).await;
            let id = id.inspect_err(|error| {
                tracing::info!(
                    error = chain(error),
                    "STS does not answer: the budget of AWS requests is shared with the processes without STS"
                );
            });
            *account = HomeAccount { id: id.ok(), asked: Some(Instant::now()) };
        }
        account.id.clone().unwrap_or_else(|| ACCOUNT_UNKNOWN.to_owned())
    }

    fn warn(&self, error: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            *warned = Some(Instant::now());
            tracing::warn!(
                error,
                "The budget of AWS requests cannot be read from the ledger: calls to AWS wait"
            );
        }
    }
}

/// The answer of the table, within a limit of time.
async fn answer<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match timeout(STORE_TIME_MAX, asked).await {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {STORE_TIME_MAX:?}")),
    }
}

/// The claims of a bucket from this chunk on, and the last throttle.
async fn list(
    store: &dyn Store,
    partition: &str,
    first: u64,
) -> Result<(BTreeSet<u64>, Option<Throttled>), StoreError> {
    let (mut taken, mut throttled) = (BTreeSet::new(), None);
    let mut after = first.checked_sub(1).map(sort_of);
    for _ in 0..PAGES_MAX {
        let range = Range { partition: partition.to_owned(), prefix: String::new(), backwards: false };
        let page = store.list(range, after).await?;
        for item in page.items {
            if item.key.sort == THROTTLED {
                // One that is not readable counts as none: it only makes the budget smaller.
                throttled = serde_json::from_str(&item.body).ok();
            } else if let Ok(chunk) = item.key.sort.parse() {
                taken.insert(chunk);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok((taken, throttled))
}

/// Twenty digits, so that the order of texts is that of numbers.
fn sort_of(chunk: u64) -> String {
    format!("{chunk:020}")
}

#[cfg(test)]
mod tests;
