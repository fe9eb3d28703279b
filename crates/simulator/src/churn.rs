//! A fleet that changes by itself: rolling deployments, and tasks that start, stop and hand on addresses.

use std::time::Duration;

use crate::Simulator;
use crate::chance::Draw;
use crate::fleet::Container;
use crate::world::ChangeError;

/// A rolling deployment of a service: its tasks are replaced, the new ones first.
#[derive(Clone, Debug)]
pub struct Rolling {
    /// The new revision; its family must not have it yet.
    pub revision: u32,
    /// The new containers; those of the deployment before when absent.
    pub containers: Option<Vec<Container>>,
    /// How many tasks start, and then how many stop, at once. At least 1.
    pub batch: u32,
    /// How long to wait after each batch.
    pub pause: Duration,
}

/// Changes of the first fleet by chance. The same fleet and seed give the same changes.
///
/// The three numbers are weights: with 2, 1 and 1, half of the changes are starts.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// What everything is drawn from.
    pub seed: u64,
    /// A task of a service starts.
    pub starts: u32,
    /// A running task stops.
    pub stops: u32,
    /// A running task stops, and one that starts right after has its address.
    pub moves: u32,
}

impl Churn {
    /// As many starts as stops, and a tenth of moves.
    pub fn new(seed: u64) -> Self {
        Self { seed, starts: 9, stops: 9, moves: 2 }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changed {
    /// The task with this ARN has started.
    Started(String),
    /// The task with this ARN has stopped.
    Stopped(String),
    /// A task has stopped, and another has started at its address.
    Moved {
        /// ARN of the one that has stopped.
        from: String,
        /// ARN of the one that has started.
        to: String,
    },
    /// There was no task to stop, or no place for another one.
    Nothing,
}

impl Simulator {
    /// Makes change number `number` of the churn.
    ///
    /// # Errors
    ///
    /// A container cannot listen.
    pub async fn change(&self, churn: &Churn, number: u64) -> Result<Changed, ChangeError> {
        let mut draw = Draw::nth(churn.seed, number);
        let [starts, stops, moves] = [churn.starts, churn.stops, churn.moves].map(|it| it as usize);
        let kind = draw.below(starts + stops + moves);
        if kind < starts {
            return Ok(self.start_any(&mut draw).await?.map_or(Changed::Nothing, Changed::Started));
        }
        let Some(from) = self.change_home(|world| Ok(world.draw_running(&mut draw)))? else {
            return Ok(Changed::Nothing);
        };
        if kind < starts + stops {
            self.stop_task(&from).await?;
            return Ok(Changed::Stopped(from));
        }
        let Some(to) = self.start_any(&mut draw).await? else { return Ok(Changed::Nothing) };
        match self.move_address(&from, &to).await {
            Ok(()) => Ok(Changed::Moved { from, to }),
            Err(ChangeError::OtherNetwork { .. } | ChangeError::NoPlace(_)) => Ok(Changed::Started(to)),
            Err(error) => Err(error),
        }
    }

    /// Makes the first `changes` changes of the churn, spread evenly over this time.
    ///
    /// # Errors
    ///
    /// A container cannot listen.
    pub async fn churn(
        &self,
        churn: &Churn,
        changes: u32,
        over: Duration,
    ) -> Result<Vec<Changed>, ChangeError> {
        let mut made = Vec::new();
        for number in 0..changes {
            made.push(self.change(churn, number.into()).await?);
            tokio::time::sleep(over / changes).await;
        }
        Ok(made)
    }

    /// Carries out a rolling deployment of a service of the first fleet, and returns the ARNs of the new tasks.
    ///
    /// # Errors
    ///
    /// No such service, a revision that there was before, no room for the new tasks, or no way for them to listen.
    pub async fn deploy(
        &self,
        cluster: &str,
        service: &str,
        rolling: &Rolling,
    ) -> Result<Vec<String>, ChangeError> {
        let Rolling { revision, containers, batch, pause } = rolling;
        let desired =
            self.change_home(|world| world.deploy(cluster, service, *revision, containers.as_deref()))?;
        let (batch, mut new) = ((*batch).max(1), Vec::new());
        for first in (0..desired).step_by(usize::try_from(batch).unwrap_or(usize::MAX)) {
            for _ in first..desired.min(first.saturating_add(batch)) {
                new.push(self.start_task(cluster, service).await?);
            }
            self.stop_outdated(cluster, service, usize::try_from(batch).unwrap_or(usize::MAX)).await?;
            tokio::time::sleep(*pause).await;
        }
        // Tasks that were started beside the desired number.
        self.stop_outdated(cluster, service, usize::MAX).await?;
        self.change_home(|world| world.end_deployment(cluster, service))?;
        Ok(new)
    }

    async fn stop_outdated(&self, cluster: &str, service: &str, max: usize) -> Result<(), ChangeError> {
        for arn in self.change_home(|world| world.outdated(cluster, service, max))? {
            self.stop_task(&arn).await?;
        }
        Ok(())
    }

    /// Starts a task of any service; `None` where there is none, or no room.
    async fn start_any(&self, draw: &mut Draw) -> Result<Option<String>, ChangeError> {
        let service = self.change_home(|world| Ok(world.draw_service(draw)))?;
        let Some((cluster, service)) = service else { return Ok(None) };
        match self.start_task(&cluster, &service).await {
            Ok(arn) => Ok(Some(arn)),
            Err(ChangeError::NoPlace(_) | ChangeError::NoService { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
