//! Fleets of the simulator: their descriptions, their queues, their start.

use std::time::Duration;

use notifier::base::Clock;
use notifier::pipeline::QueueName;
use simulator::{Fleet, Options, QueueSpec, Simulator};

/// Attempts to start a simulator. Another test may take the loopback addresses that were free before.
const START_ATTEMPTS: usize = 20;

/// Describes a Fargate service that wants its calls at `path`. `container` holds more lines for its container.
pub fn service(name: &str, tasks: usize, path: &str, container: &str) -> String {
    format!(
        "[[cluster.service]]
        name = '{name}'
        launch_type = 'FARGATE'
        tasks = {tasks}
        [[cluster.service.container]]
        name = 'app'
        ports = [8080]
        labels = {{ NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '{path}' }}
        {container}\n"
    )
}

/// Describes the cluster `prod` with these services.
pub fn fleet(services: &[String]) -> String {
    format!("[[cluster]]\nname = 'prod'\n{}", services.concat())
}

/// Returns the queues of the three stages, each with a dead-letter queue `NAME-dead` and these further attributes.
pub fn stage_queues(receives_max: u32, attributes: &[(&str, &str)]) -> Vec<QueueSpec> {
    let queues = QueueName::BROADCAST.map(|name| {
        let dead = format!("{}-dead", name.as_str());
        let policy = serde_json::json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:111122223333:{dead}"),
            "maxReceiveCount": receives_max,
        });
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let attributes = attributes.chain([("RedrivePolicy".to_owned(), policy.to_string())]).collect();
        [
            QueueSpec { name: dead, ..QueueSpec::default() },
            QueueSpec { name: name.as_str().to_owned(), attributes },
        ]
    });
    queues.into_iter().flatten().collect()
}

/// Starts a simulator with this fleet and these queues.
///
/// Its clock is the system's: a stage decides by the age of a message whether it tries again.
pub async fn start(fleet: &str, queues: Vec<QueueSpec>) -> Simulator {
    start_with(fleet, Options { queues, ..Options::default() }).await
}

/// The same with these options.
pub async fn start_with(fleet: &str, options: Options) -> Simulator {
    let fleet = Fleet::from_toml(fleet).unwrap();
    let epoch = Duration::from_secs(Clock::system().unix_seconds().unsigned_abs());
    let options = Options { epoch, ..options };
    for _ in 1..START_ATTEMPTS {
        if let Ok(simulator) = Simulator::start(fleet.clone(), options.clone()).await {
            return simulator;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Simulator::start(fleet, options).await.unwrap()
}
