//! The broadcast that every client makes: to these tasks, with these bytes.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Result;
use time::OffsetDateTime;
use wire::signature::hmac_key;
use wire::{Audience, Broadcast, BroadcastId, Data, DeliveryId, Draft};

/// AWS's names for where the tasks run.
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const CLUSTER: &str = "prod";
pub(crate) const SERVICE: &str = "checkout";
pub(crate) const CONTAINER: &str = "app";
/// What is called at each task.
pub(crate) const PATH: &str = "/v1.0/notify";
/// The attributes of the event.
pub(crate) const KIND: &str = "com.example.cache.drop";
pub(crate) const SUBJECT: &str = "catalog";

/// Addresses used of each 256, as the simulator does.
const PER_SUBNET: u32 = 250;
/// The second number of the smallest client's first address: far from the simulator's.
const BLOCK: u32 = 200;

/// How many calls the smallest client makes, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
    /// Port on which every task listens
    #[arg(long)]
    pub(crate) port: u16,
    /// Calls to make, one for each task
    #[arg(long)]
    pub(crate) count: u32,
    /// Calls under way at the same time
    #[arg(long)]
    pub(crate) concurrency: u16,
}

impl Load {
    /// Where task number `n` listens: each has an address of its own.
    pub(crate) fn address(&self, n: u32) -> SocketAddrV4 {
        let low = n % PER_SUBNET + 1;
        let ip = Ipv4Addr::from((127 << 24) + (BLOCK << 16) + ((n / PER_SUBNET) << 8) + low);
        SocketAddrV4::new(ip, self.port)
    }
}

/// An ARN as long as ECS writes it.
pub(crate) fn task(n: u32) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{CLUSTER}/{n:032x}")
}

/// Data that makes a body of about a kilobyte.
pub(crate) fn data() -> String {
    format!(r#"{{"keys":["{}"]}}"#, vec!["catalog:price:0001"; 26].join("\",\""))
}

/// The event, as `send` makes it of the same attributes.
pub(crate) fn broadcast() -> Result<Broadcast> {
    let id = BroadcastId::try_from("0197f0c2-5b7e-7cc1-9d2a-3f1c8a7b6e5d".to_owned())?;
    let mut draft = Draft::default();
    draft.kind = Some(KIND.into());
    draft.subject = Some(SUBJECT.into());
    draft.data = Some(Data::from_json(data())?);
    let event = draft.complete(&id, OffsetDateTime::UNIX_EPOCH)?;
    Ok(Broadcast::new(event))
}

/// Whom a delivery of this broadcast to this task is for.
pub(crate) fn audience(broadcast: &Broadcast, task: String) -> Audience {
    let delivery = DeliveryId::derive(&broadcast.id, &task, CONTAINER).as_str().to_owned();
    let [container, service, cluster] = [CONTAINER, SERVICE, CLUSTER].map(str::to_owned);
    let mut audience = Audience::new(task, container);
    (audience.service, audience.cluster, audience.delivery) = (service, cluster, delivery);
    audience
}

/// The key that signs. Everybody may know it: nothing but the benchmark accepts it.
pub(crate) fn signing_key() -> String {
    hmac_key(&[7; 32]).as_str().to_owned()
}
