//! What is done with a message.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::warn;

use super::Failure;
use super::{Ctx, StageName};
use crate::base::text::chain;
use crate::queue::Message;

/// What work on a message comes to: the bodies for the next queue.
pub type Handled = Result<Vec<String>, Failure>;

/// What is done with a message. A function of a message and a deadline is one.
pub trait Handler: Send + Sync + 'static {
    /// Works on a message until the deadline at most.
    fn handle<'a>(&'a self, message: &'a Message, deadline: Instant) -> BoxFuture<'a, Handled>;

    /// Takes note that these bodies, which followed from a message, are on the next queue.
    fn published<'a>(&'a self, message: &'a Message, bodies: &'a [&'a str]) -> BoxFuture<'a, ()> {
        let _ = (message, bodies);
        async {}.boxed()
    }

    /// Takes note that a message is given up, before it goes to the dead letters.
    fn given_up<'a>(&'a self, message: &'a Message, failure: &'a Failure) -> BoxFuture<'a, ()> {
        let _ = (message, failure);
        async {}.boxed()
    }
}

impl<H> Handler for H
where
    H: for<'a> Fn(&'a Message, Instant) -> BoxFuture<'a, Handled> + Send + Sync + 'static,
{
    fn handle<'a>(&'a self, message: &'a Message, deadline: Instant) -> BoxFuture<'a, Handled> {
        self(message, deadline)
    }
}

/// A stage of the pipeline as a handler.
#[derive(Clone, Debug)]
pub struct StageHandler {
    /// What it needs.
    pub ctx: Arc<Ctx>,
    /// Which stage.
    pub name: StageName,
}

impl Handler for StageHandler {
    fn handle<'a>(&'a self, message: &'a Message, deadline: Instant) -> BoxFuture<'a, Handled> {
        async move { super::run(&self.ctx, self.name, message, Some(deadline)).await.map_err(Failure::from) }
            .boxed()
    }

    /// Without the note, a run that begins anew publishes these bodies once more: no reason to fail.
    fn published<'a>(&'a self, message: &'a Message, bodies: &'a [&'a str]) -> BoxFuture<'a, ()> {
        async move {
            if let Err(error) = super::published(&self.ctx, self.name, message, bodies).await {
                let (id, error) = (message.message_id.as_str(), chain(&error));
                let stage = self.name.as_str();
                warn!(stage, message.id = id, error, "The ledger did not take note of what was queued");
            }
        }
        .boxed()
    }

    /// What is known for good is in the ledger already; whatever else ended a message is noted now.
    fn given_up<'a>(&'a self, message: &'a Message, failure: &'a Failure) -> BoxFuture<'a, ()> {
        async move {
            if failure.is_recorded {
                return;
            }
            if let Err(error) = super::given_up(&self.ctx, self.name, message, &failure.reason).await {
                let (id, error) = (message.id.as_str(), chain(&error));
                warn!(
                    stage = self.name.as_str(),
                    message.id = id,
                    error,
                    "The ledger did not take note of it"
                );
            }
        }
        .boxed()
    }
}
