//! The processes of a world: daemons and runs of `send`, each in a lane of its own.

use std::sync::Arc;

use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::daemon::{self, DaemonError, Served};
use notifier::pipeline::{Ctx, QueueName, StageName};
use notifier::queue::Queue;
use notifier::store::Store;
use testkit::stages::workers;
use tokio_util::sync::CancellationToken;

use crate::lane::Lane;
use crate::parts::ctx;
use crate::run::{QUEUES, Run};
use crate::store::Troubled;

/// A daemon in a lane of its own.
pub(crate) struct Daemon {
    pub(crate) lane: Lane,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: tokio::task::JoinHandle<Result<Served, DaemonError>>,
}

impl Run {
    /// Ends a process where it is.
    pub(crate) fn kill(&self, lane: Lane) {
        self.drive.forget(&lane);
        lane.end();
    }

    /// Starts a daemon, as a new process does: nothing is left of the one before but the queues and the ledger.
    pub(crate) fn daemon(&mut self) -> Daemon {
        let lane = self.drive.lane();
        let number = self.daemons;
        self.daemons += 1;
        let ctx = self.ctx(number);
        let (shutdown, aws) = (CancellationToken::new(), self.aws());
        let asked_to_end = shutdown.clone();
        let rng = Rng::seeded(self.world.seed ^ number as u64);
        let urls = QUEUES.map(|name| self.url(name));
        let served = lane.handle.spawn(async move {
            let aws = aws();
            let queues = urls.map(|url| Queue::at(aws.sqs.clone(), url, rng.clone()));
            let queues = QueueName::BROADCAST.into_iter().zip(queues).collect();
            let mut workers = workers(&Arc::new(ctx(&aws)), &queues, &StageName::BROADCAST);
            for worker in &mut workers {
                worker.work.rng = rng.clone();
            }
            daemon::serve(workers, asked_to_end).await
        });
        Daemon { lane, shutdown, served }
    }

    /// What makes the AWS clients of a process, in its own lane: connections belong to one.
    pub(crate) fn aws(&self) -> impl FnOnce() -> Aws + Send + 'static {
        let (url, cloud) = (self.sim.url(), self.ground.cloud.clone());
        move || {
            let aws = Aws::at(&url, "us-east-1");
            match cloud {
                Some(cloud) => {
                    let Aws { sqs, dynamodb, .. } = cloud.aws();
                    Aws { sqs, dynamodb, ..aws }
                }
                None => aws,
            }
        }
    }

    /// What makes the parts of a daemon, in its own lane.
    pub(crate) fn ctx(&self, number: usize) -> impl FnOnce(&Aws) -> Ctx + Send + 'static {
        let (world, ground, kept) = (self.world.clone(), self.ground.clone(), self.kept.clone());
        let (clock, drive, sim) = (self.clock(), self.drive.clone(), Arc::clone(&self.sim));
        let account = Arc::clone(&self.account);
        move |aws| {
            let drive = kept.works_outside().then_some(drive);
            let ledger = kept.store().map(|inner| {
                let faults = sim.faults().clone();
                let calls = Arc::new(move || sim.received_count());
                let clock = clock.clone();
                let store = Troubled { inner, faults, account, calls, daemon: number, drive, clock };
                Arc::new(store) as Arc<dyn Store>
            });
            ctx(aws, &world, &ground, ledger, clock)
        }
    }
}
