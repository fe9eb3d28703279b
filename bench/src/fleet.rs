//! The simulator, in a process of its own: ECS for a fleet whose tasks all run on Fargate, each at a loopback address of its
//! own. Its containers do not listen, because the receivers do.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Result;
use simulator::{Fleet, Options, Simulator};

use crate::load::{ACCOUNT, CLUSTER, CONTAINER, PATH, REGION, SERVICE};
use crate::process;

/// Which fleet.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Simulated {
    /// Tasks of its one service
    #[arg(long)]
    tasks: u32,
    /// Port on which the receivers listen
    #[arg(long)]
    port: u16,
}

/// Answers until the input ends; prints the URL at the start.
pub(crate) fn run(Simulated { tasks, port }: &Simulated) -> Result<ExitCode> {
    process::pin(1);
    let fleet = Fleet::from_toml(&format!(
        r#"
        region = "{REGION}"
        account = "{ACCOUNT}"
        [[cluster]]
        name = "{CLUSTER}"
        [[cluster.service]]
        name = "{SERVICE}"
        launch_type = "FARGATE"
        tasks = {tasks}
        [[cluster.service.container]]
        name = "{CONTAINER}"
        ports = [{port}]
        labels = {{ NOTIFY_ME_CONTAINER_PORT = "{port}", NOTIFY_ME_API_URI = "{PATH}" }}
        refuse = true
        "#
    ))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let simulator = runtime.block_on(Simulator::start(fleet, Options::default()))?;
    println!("{}", simulator.url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(simulator.stop());
    Ok(ExitCode::SUCCESS)
}
