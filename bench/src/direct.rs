//! The direct form as a library, with and without an audience: what watching a broadcast costs the whole process.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use notifier::aws::Aws;
use notifier::aws::budget::Budget;
use notifier::base::Environment;
use notifier::base::spans::Spans;
use notifier::deliver::Auth;
use notifier::model::Progress;
use notifier::secrets::Vault;
use notifier::settings::{Flags, Settings, Sources};
use notifier::telemetry::{Metrics, Tally};
use notifier::{Notifier, Parts};
use wire::ObserverMessage;

use crate::load::{self, CLUSTER, REGION};

/// Of the traces, one in this many is recorded: the default of the setting.
const ONE_IN: u32 = 100;

/// One broadcast, and who watches it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Direct {
    /// Endpoint of the simulated AWS
    #[arg(long)]
    url: String,
    /// Tasks of its fleet
    #[arg(long)]
    tasks: usize,
    /// Calls under way at the same time
    #[arg(long)]
    concurrency: u16,
    /// Count its progress for the metrics
    #[arg(long)]
    metrics: bool,
    /// Record its spans, as for a collector
    #[arg(long)]
    spans: bool,
}

/// Makes the broadcast with the library.
pub(crate) fn run(direct: &Direct) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let concurrency = direct.concurrency.to_string();
        let key = load::signing_key();
        let environment: Environment = [
            ("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8"),
            ("NOTIFIER_SIGNING_SECRET", "env:BENCH_SIGNING_KEY"),
            ("NOTIFIER_CONCURRENCY", concurrency.as_str()),
            ("NOTIFIER_TIMEOUT_MS", "10000"),
            ("NOTIFIER_ATTEMPTS", "1"),
            ("BENCH_SIGNING_KEY", key.as_str()),
        ]
        .into_iter()
        .collect();
        let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
        let (settings, _warnings) = Settings::load(sources)?;
        let aws = Aws { budget: Budget::percent(100.0), ..Aws::at(&direct.url, REGION) };
        let auth = Auth::load(&settings.auth, &Vault::new(environment, None)).await?;
        let metrics = Metrics::new(Tally::new(true));
        let progress = Progress::default();
        let progress = if direct.metrics { metrics.of(progress) } else { progress };
        let spans =
            if direct.spans { Spans::to(ONE_IN, |span| span.parent.is_some()) } else { Spans::default() };
        let parts = Parts { auth, progress, spans, ..Parts::default() };
        let notifier = Notifier::new(settings, aws, parts);
        anyhow::Ok(notifier.send(&ObserverMessage::new(CLUSTER), &load::broadcast()?).await?)
    })?;
    let delivered = report.counts().delivered;
    ensure!(delivered == direct.tasks, "{delivered} of {} tasks were notified", direct.tasks);
    Ok(ExitCode::SUCCESS)
}
