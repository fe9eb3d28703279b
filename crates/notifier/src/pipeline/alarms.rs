//! Reads the alarms of a pace from CloudWatch, and keeps what they say for some seconds.
//!
//! Many gates of one process ask at the same time, one for each service: they share one request.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::aws::AwsErrorKind;
use crate::aws::minimal::cloudwatch::CloudWatch;
use crate::base::text::chain;
use crate::rollout::Alarms;

/// How long an answer is used. CloudWatch evaluates most alarms once a minute, and an account has nine requests a second.
pub const ALARMS_KEPT: Duration = Duration::from_secs(15);
/// The longest wait for an answer, with all attempts. A function of stage 2 has two minutes for its message.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(45);
/// The most lists of alarms with a kept answer.
const LISTS_KEPT_MAX: usize = 64;

/// Reads alarms in the account and region of this process.
#[derive(Debug, Default)]
pub struct AlarmReader {
    client: Option<CloudWatch>,
    /// By the names that were asked; locked during a request.
    kept: Mutex<HashMap<Vec<String>, (Instant, Alarms)>>,
}

impl AlarmReader {
    /// Reads them with this client.
    pub fn new(client: CloudWatch) -> Self {
        Self { client: Some(client), kept: Mutex::default() }
    }

    /// What the alarms with these names say now, or said up to [`ALARMS_KEPT`] ago.
    pub async fn read(&self, names: &[String]) -> Alarms {
        if names.is_empty() {
            return Alarms::Quiet;
        }
        let mut kept = self.kept.lock().await;
        kept.retain(|_, (at, _)| at.elapsed() < ALARMS_KEPT);
        if let Some((_, alarms)) = kept.get(names) {
            return alarms.clone();
        }
        let alarms = self.ask(names).await;
        if kept.len() >= LISTS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(names.to_vec(), (Instant::now(), alarms.clone()));
        alarms
    }

    async fn ask(&self, names: &[String]) -> Alarms {
        let Some(client) = &self.client else {
            return Alarms::Unknown("this process has no client of CloudWatch".to_owned());
        };
        let error = match timeout(ANSWER_WAIT_MAX, client.states(names)).await {
            Ok(Ok(states)) => return Alarms::of(names, &states),
            Ok(Err(error)) => error,
            Err(_elapsed) => {
                return Alarms::Unknown(format!("CloudWatch did not answer within {ANSWER_WAIT_MAX:?}"));
            }
        };
        let allow = match error.kind {
            AwsErrorKind::AccessDenied => "allow the action cloudwatch:DescribeAlarms for all resources: ",
            _ => "",
        };
        Alarms::Unknown(format!("{allow}{}: {}", error.summary(), chain(&error)))
    }
}
