//! Task-definition revisions. A revision never changes, so each is fetched once.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use quick_cache::sync::Cache;

use crate::aws::ecs::{Ecs, EcsError};
use crate::model::Revision;

/// Revisions in the cache, of some hundred bytes each.
const REVISIONS_MAX: usize = 10_000;
/// Concurrent `DescribeTaskDefinition` calls.
const FETCHES_CONCURRENT_MAX: usize = 8;

/// A revision, or why ECS refuses it for good, for example because it was deleted.
pub(super) type RevisionResult = Result<Arc<Revision>, Arc<EcsError>>;

/// A cache of revisions.
#[derive(Debug)]
pub(super) struct RevisionCache(Cache<String, RevisionResult>);

impl Default for RevisionCache {
    fn default() -> Self {
        Self(Cache::new(REVISIONS_MAX))
    }
}

impl RevisionCache {
    /// The revisions of these ARNs, in their order. Concurrent callers for one revision share one call.
    ///
    /// # Errors
    ///
    /// Only transient errors. A revision that ECS refuses for good is an error in its [`RevisionResult`].
    pub(super) async fn get(&self, ecs: &Ecs, arns: &[String]) -> Result<Vec<RevisionResult>, EcsError> {
        // Owned names: a closure over borrowed ones would make the future not `Send`.
        stream::iter(arns.to_vec())
            .map(async |arn| self.0.get_or_insert_async(&arn, fetch(ecs, &arn)).await)
            .buffered(FETCHES_CONCURRENT_MAX)
            .try_collect()
            .await
    }
}

async fn fetch(ecs: &Ecs, arn: &str) -> Result<RevisionResult, EcsError> {
    match ecs.describe_task_definition(arn).await {
        Ok(revision) => Ok(Ok(Arc::new(revision))),
        Err(error) if error.is_final() => Ok(Err(Arc::new(error))),
        Err(error) => Err(error),
    }
}
