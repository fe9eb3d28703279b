//! Reads the states of CloudWatch alarms.
//!
//! One operation with a small answer: the SDK's client of CloudWatch is not used (`super::operation`). Of the protocols
//! of CloudWatch, it speaks JSON, as AWS's own command line does.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::error::metadata::ErrorMetadata;
use serde::Deserialize;
use serde_json::json;

use super::endpoint::{Rules, Service};
use super::operation::{Protocol, operation};
use crate::aws::calls::Calls;
use crate::aws::error::read_json;
use crate::aws::{AwsError, AwsService};

pub(super) const CLOUDWATCH: Service =
    Service { id: "CloudWatch", host: "monitoring", rules: Rules::AlwaysPlainInGovCloud };
const OPERATION: &str = "DescribeAlarms";

/// A client of CloudWatch for the states of alarms only. Clones share the connections.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    describe: Operation<String, Answer, ErrorMetadata>,
}

impl CloudWatch {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: Calls) -> Self {
        let protocol = Protocol {
            name: OPERATION,
            headers: &[
                ("content-type", "application/x-amz-json-1.0"),
                ("x-amz-target", "GraniteServiceVersion20100801.DescribeAlarms"),
            ],
            read: answer,
            read_error: read_json,
        };
        Self { describe: operation(CLOUDWATCH, &protocol, config, calls, None) }
    }

    /// The states of the metric alarms and composite alarms with these names, in CloudWatch's words. An unknown name is
    /// missing. At most a hundred names fit into a request.
    ///
    /// # Errors
    ///
    /// If CloudWatch does not answer, or refuses: the action `cloudwatch:DescribeAlarms` must be allowed for every alarm,
    /// since AWS hides composite alarms otherwise.
    pub async fn states(&self, names: &[String]) -> Result<BTreeMap<String, String>, AwsError> {
        // Without the types, only metric alarms are in the answer.
        let question = json!({ "AlarmNames": names, "AlarmTypes": ["CompositeAlarm", "MetricAlarm"] });
        let answer = self.describe.invoke(question.to_string()).await;
        let answer = answer.map_err(|error| AwsError::of(AwsService::CloudWatch, OPERATION, &error))?;
        let alarms = answer.composite_alarms.into_iter().chain(answer.metric_alarms);
        Ok(alarms.map(|alarm| (alarm.alarm_name, alarm.state_value)).collect())
    }
}

/// The answer, with the states only.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    composite_alarms: Vec<Alarm>,
    #[serde(default)]
    metric_alarms: Vec<Alarm>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Alarm {
    alarm_name: String,
    state_value: String,
}

fn answer(body: &[u8]) -> Result<Answer, BoxError> {
    Ok(serde_json::from_slice(body)?)
}
