//! Describes single tasks a hundred at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::aws::ecs::{Described, Ecs, EcsError, NotDescribed};
use crate::base::batcher::{self, BatchLimits, Batcher};
use crate::model::TaskState;
use crate::model::arn::TaskArn;

/// Tasks that are looked up together: the maximum of one `DescribeTasks`.
const BATCHING: BatchLimits =
    BatchLimits { items_max: 100, at_once_max: 4, linger: Duration::from_millis(20), waiting_max: 4_096 };

/// A cluster and the ARN of a task.
type Question = (String, String);

/// The task, or why ECS did not describe it; the outer error is that of its call.
type Answer = Result<Result<TaskState, NotDescribed>, Arc<EcsError>>;

/// Account and region of an ARN.
type Location<'a> = (&'a str, &'a str);

/// Looks tasks up a hundred at a time.
pub(super) type Lookup = Batcher<batcher::Question<Question, Answer, EcsError>>;

pub(super) fn lookup(ecs: &Ecs) -> Lookup {
    let ecs = ecs.clone();
    Batcher::answering(BATCHING, move |questions| describe(ecs.clone(), questions))
}

/// One call for each cluster, account and region: ECS refuses a whole call for an ARN of another account or region.
async fn describe(ecs: Ecs, questions: Vec<Question>) -> Result<Vec<Answer>, EcsError> {
    let mut calls = BTreeMap::<(&str, Location<'_>), Vec<String>>::new();
    for (cluster, task) in &questions {
        calls.entry((cluster, location(task))).or_default().push(task.clone());
    }
    let (mut answers, mut refused) = (HashMap::new(), HashMap::new());
    for (call, mut tasks) in calls {
        tasks.sort_unstable();
        tasks.dedup();
        match ecs.describe_tasks(call.0, &tasks).await {
            Ok(Described { found, failed }) => {
                answers.extend(found.into_iter().map(|task| (task.arn.clone(), Ok(task))));
                answers.extend(failed.into_iter().map(|(task, why)| (task, Err(why))));
            }
            Err(error) => drop(refused.insert(call, Arc::new(error))),
        }
    }
    let other = || Err(NotDescribed::Unexplained("the answer is about another task".to_owned()));
    let answer = |(cluster, task): &Question| match refused.get(&(cluster.as_str(), location(task))) {
        Some(error) => Err(Arc::clone(error)),
        None => Ok(answers.get(task).cloned().unwrap_or_else(other)),
    };
    Ok(questions.iter().map(answer).collect())
}

/// The account and region in a task's ARN.
fn location(task: &str) -> Location<'_> {
    TaskArn::parse(task).map(|TaskArn { arn, .. }| (arn.account, arn.region)).unwrap_or_default()
}
