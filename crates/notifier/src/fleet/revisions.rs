//! Task-definition revisions. A revision never changes, so each is described once for the installation, if it has a table
//! for facts; else once for each process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use quick_cache::sync::Cache;

use super::facts::Facts;
use crate::aws::ecs::{Ecs, EcsError};
use crate::model::{Revision, TaskDefinition};

/// Revisions in the cache, of some hundred bytes each.
const REVISIONS_MAX: usize = 10_000;
/// Concurrent `DescribeTaskDefinition` calls.
const FETCHES_CONCURRENT_MAX: usize = 8;
/// Revisions that are described before they are kept: what a process that ends half-way has learned is not lost.
const KEPT_AT_ONCE: usize = 50;

/// A revision, or why ECS refuses it for good, for example because it was deleted.
pub(super) type RevisionResult = Result<Arc<Revision>, Arc<EcsError>>;

/// A cache of revisions, in front of the facts of the installation.
#[derive(Debug)]
pub(super) struct RevisionCache {
    known: Cache<String, RevisionResult>,
    facts: Arc<Facts>,
}

impl RevisionCache {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self { known: Cache::new(REVISIONS_MAX), facts }
    }

    /// The revisions of these ARNs, in their order. Concurrent callers for one revision share one call.
    ///
    /// # Errors
    ///
    /// Only transient errors. A revision that ECS refuses for good is an error in its [`RevisionResult`].
    pub(super) async fn get(&self, ecs: &Ecs, arns: &[String]) -> Result<Vec<RevisionResult>, EcsError> {
        let mut results: HashMap<String, RevisionResult> = HashMap::with_capacity(arns.len());
        let mut unknown = HashSet::new();
        for arn in arns {
            match self.known.get(arn) {
                Some(result) => drop(results.insert(arn.clone(), result)),
                None => drop(unknown.insert(arn)),
            }
        }
        let mut unknown: Vec<String> = unknown.into_iter().cloned().collect();
        for (arn, definition) in self.facts.revisions(&unknown).await {
            let result: RevisionResult = Ok(Arc::new(definition.revision()));
            self.known.insert(arn.clone(), result.clone());
            results.insert(arn, result);
        }
        unknown.retain(|arn| !results.contains_key(arn));
        for arns in unknown.chunks(KEPT_AT_ONCE) {
            results.extend(self.describe(ecs, arns.to_vec()).await?);
        }
        Ok(arns.iter().filter_map(|arn| results.get(arn).cloned()).collect())
    }

    /// Describes these revisions, and keeps what ECS says of them. After an error, those described before it are kept.
    async fn describe(
        &self,
        ecs: &Ecs,
        arns: Vec<String>,
    ) -> Result<Vec<(String, RevisionResult)>, EcsError> {
        let described = Mutex::new(Vec::new());
        // Owned names: a closure over borrowed ones would make the future not `Send`.
        let results: Result<Vec<_>, EcsError> = stream::iter(arns)
            .map(async |arn| {
                let fetch = fetch(ecs, &arn, &described);
                let result = self.known.get_or_insert_async(&arn, fetch).await?;
                Ok((arn, result))
            })
            .buffered(FETCHES_CONCURRENT_MAX)
            .try_collect()
            .await;
        let described = described.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.facts.keep_revisions(&described).await;
        results
    }
}

type DescribedRevisions = Mutex<Vec<(String, TaskDefinition)>>;

async fn fetch(ecs: &Ecs, arn: &str, described: &DescribedRevisions) -> Result<RevisionResult, EcsError> {
    match ecs.describe_task_definition(arn).await {
        Ok(definition) => {
            let revision = Arc::new(definition.revision());
            described.lock().unwrap_or_else(PoisonError::into_inner).push((arn.to_owned(), definition));
            Ok(Ok(revision))
        }
        // Not kept: a permission or an endpoint of this process may be the cause.
        Err(error) if error.is_final() => Ok(Err(Arc::new(error))),
        Err(error) => Err(error),
    }
}
