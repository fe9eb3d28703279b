//! The request that tells one task: what is the same over all attempts, and what each attempt adds. No I/O.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use wire::{Audience, Broadcast, DeliveryId, Envelope, Scheme, headers};

use super::error::AttemptError;
use crate::fleet::Endpoint;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ecs-task-notifier/", env!("CARGO_PKG_VERSION")));
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static(headers::CLOUDEVENTS_JSON);
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// One delivery, ready to be sent as often as it takes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) address: SocketAddr,
    method: Method,
    uri: Uri,
    host: HeaderValue,
    id: HeaderValue,
    body: Bytes,
}

impl Call {
    /// The call that tells `endpoint` of `broadcast`. The same two always make the same bytes.
    pub(super) fn new(broadcast: &Broadcast, endpoint: &Endpoint) -> Result<Self, AttemptError> {
        let Endpoint { member, address, target } = endpoint;
        if target.scheme == Scheme::Https {
            return Err(AttemptError::Https);
        }
        let id = DeliveryId::derive(&broadcast.id, &member.task, &member.container);
        let (method, body) = match target.method {
            wire::Method::Get => (Method::GET, Bytes::new()),
            wire::Method::Post => {
                let audience = Audience {
                    task: member.task.clone(),
                    container: member.container.clone(),
                    service: member.service.clone(),
                    cluster: member.cluster.clone(),
                    delivery: id.as_str().to_owned(),
                };
                let envelope = Envelope { event: broadcast.event.clone(), audience };
                (Method::POST, serde_json::to_vec(&envelope)?.into())
            }
        };
        // Written anew from address and port: an IPv6 address with a zone must not show the zone to its peer.
        let host = SocketAddr::new(address.ip(), address.port()).to_string();
        Ok(Self {
            address: *address,
            method,
            uri: Uri::try_from(target.path.as_str()).map_err(http::Error::from)?,
            host: HeaderValue::try_from(host).map_err(http::Error::from)?,
            id: HeaderValue::try_from(id.as_str()).map_err(http::Error::from)?,
            body,
        })
    }

    /// The request of an attempt that is made at this time, in seconds since 1970.
    ///
    /// What depends on the attempt is made here, so a signature belongs here too: Standard Webhooks signs the id, this
    /// timestamp and the body.
    pub(super) fn request(&self, timestamp: i64) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let map = request.headers_mut();
        map.insert(HOST, self.host.clone());
        map.insert(USER_AGENT, AGENT);
        if self.method == Method::POST {
            map.insert(CONTENT_TYPE, MEDIA_TYPE);
        }
        map.insert(headers::WEBHOOK_ID, self.id.clone());
        map.insert(headers::WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
        // One request per connection: tasks come and go faster than broadcasts do.
        map.insert(CONNECTION, CLOSE);
        request
    }
}
