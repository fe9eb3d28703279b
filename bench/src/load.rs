//! What both clients are asked to do: the same calls, with the same bytes.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::Result;
use notifier::model::labels::Target;
use notifier::model::{Endpoint, Member};
use time::OffsetDateTime;
use wire::{Broadcast, BroadcastId, ContentMode, Data, Draft, Method, Scheme};

/// Hosts that answer: 127.0.1.0 to 127.0.1.255, so that no pair of addresses runs out of ports.
pub(crate) const HOSTS: u8 = 255;
/// The host that accepts connections and never answers.
pub(crate) const HUNG_HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);

/// How many calls, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
    /// Port on which every host listens
    #[arg(long)]
    pub(crate) port: u16,
    /// Calls to make, one for each task
    #[arg(long)]
    pub(crate) count: u32,
    /// Calls under way at the same time
    #[arg(long)]
    pub(crate) concurrency: u16,
    /// Tasks of a hundred that never answer
    #[arg(long, default_value_t = 0)]
    pub(crate) hung_percent: u32,
    /// The longest that a call may take (the smallest client has no limit)
    #[arg(long, default_value_t = 10_000)]
    pub(crate) timeout_ms: u64,
}

impl Load {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn address(&self, n: u32) -> SocketAddrV4 {
        if n % 100 < self.hung_percent {
            return SocketAddrV4::new(HUNG_HOST, self.port);
        }
        let [.., low] = n.to_be_bytes();
        SocketAddrV4::new(host(low), self.port)
    }

    pub(crate) fn endpoint(&self, n: u32) -> Endpoint {
        Endpoint {
            member: Member {
                cluster: "prod".into(),
                service: "checkout".into(),
                task: task(n),
                task_definition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/checkout:42".into(),
                container: "app".into(),
            },
            address: self.address(n).into(),
            target: Target {
                port: NonZeroU16::MIN,
                path: "/v1.0/notify".into(),
                scheme: Scheme::Http,
                method: Method::Post,
                content_mode: ContentMode::Structured,
                server_name: None,
            },
            is_starting: false,
        }
    }
}

pub(crate) fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, n)
}

/// An ARN as long as ECS writes it.
pub(crate) fn task(n: u32) -> String {
    format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{n:032x}")
}

/// An event that makes a body of about a kilobyte.
pub(crate) fn broadcast() -> Result<Broadcast> {
    let id = BroadcastId::try_from("0197f0c2-5b7e-7cc1-9d2a-3f1c8a7b6e5d".to_owned())?;
    let data = format!(r#"{{"keys":["{}"]}}"#, vec!["catalog:price:0001"; 26].join("\",\""));
    let mut draft = Draft::new("com.example.cache.drop");
    draft.subject = Some("catalog".into());
    draft.data = Some(Data::from_json(data)?);
    Ok(Broadcast::new(draft.complete(&id, OffsetDateTime::UNIX_EPOCH)?))
}
