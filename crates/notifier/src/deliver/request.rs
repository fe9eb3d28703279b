//! The request to one task: its constant part, and the part of each attempt. No I/O.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use serde_json::Value;
use wire::{Audience, Broadcast, ContentMode, Data, DeliveryId, Envelope, Scheme, headers};

use super::auth::Proof;
use super::error::AttemptError;
use crate::model::Endpoint;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ecs-task-notifier/", env!("CARGO_PKG_VERSION")));
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static(headers::CLOUDEVENTS_JSON);
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// The media type of data whose event names none.
const DATA_TYPE: &str = "application/json";

/// One delivery, ready to be sent as often as it takes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) address: SocketAddr,
    pub(super) scheme: Scheme,
    pub(super) server_name: Option<String>,
    /// Whose keys sign it.
    pub(super) service: String,
    method: Method,
    uri: Uri,
    host: HeaderValue,
    id: DeliveryId,
    mode: ContentMode,
    /// What the content is, and in binary mode the event's attributes.
    about: HeaderMap,
    body: Bytes,
}

impl Call {
    /// The request of `broadcast` to `endpoint`. The same two always have the same bytes.
    pub(super) fn new(broadcast: &Broadcast, endpoint: &Endpoint) -> Result<Self, AttemptError> {
        let Endpoint { member, address, target, .. } = endpoint;
        let id = DeliveryId::derive(&broadcast.id, &member.task, &member.container);
        let mut about = HeaderMap::new();
        let (method, body) = match target.method {
            wire::Method::Get => {
                // With them, the receiver checks by the signed id whether it is the recipient.
                for (name, value) in [
                    (headers::GET_BROADCAST, broadcast.id.as_str()),
                    (headers::GET_CONTAINER, &member.container),
                ] {
                    let value = HeaderValue::try_from(value).map_err(http::Error::from)?;
                    about.insert(HeaderName::from_static(name), value);
                }
                (Method::GET, Bytes::new())
            }
            wire::Method::Post => {
                let mut audience = Audience::new(&member.task, &member.container);
                audience.service.clone_from(&member.service);
                audience.cluster.clone_from(&member.cluster);
                audience.delivery = id.to_string();
                let body = match target.content_mode {
                    ContentMode::Structured => {
                        about.insert(CONTENT_TYPE, MEDIA_TYPE);
                        Envelope::body(&broadcast.event, &audience)?.into()
                    }
                    ContentMode::Binary => {
                        about = attributes(&Envelope::new(broadcast.event.clone(), audience))?;
                        let data = broadcast.event.data().map(Data::as_json).unwrap_or_default();
                        Bytes::copy_from_slice(data.as_bytes())
                    }
                };
                (Method::POST, body)
            }
        };
        // Formatted from address and port, because a peer must not see the zone of an IPv6 address.
        let host = match &target.server_name {
            // A server that finds another name here than in TLS would answer 421.
            Some(name) => format!("{name}:{}", address.port()),
            None => SocketAddr::new(address.ip(), address.port()).to_string(),
        };
        Ok(Self {
            address: *address,
            scheme: target.scheme,
            server_name: target.server_name.clone(),
            service: member.service.clone(),
            method,
            uri: Uri::try_from(target.path.as_str()).map_err(http::Error::from)?,
            host: HeaderValue::try_from(host).map_err(http::Error::from)?,
            id,
            mode: target.content_mode,
            about,
            body,
        })
    }

    /// The request of an attempt that is made at this time, in seconds since 1970, with its proof.
    ///
    /// Standard Webhooks signs the id, this time and the body, and no other header. In structured mode the body says
    /// everything; in binary mode a stranger could change what happened and whom it is for, so that is not signed at all
    /// rather than half.
    pub(super) fn request(
        &self,
        timestamp: i64,
        proof: &Proof,
    ) -> Result<Request<Full<Bytes>>, AttemptError> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let map = request.headers_mut();
        map.insert(HOST, self.host.clone());
        map.insert(USER_AGENT, AGENT);
        for (name, value) in &self.about {
            map.insert(name, value.clone());
        }
        let id = self.id.as_str();
        map.insert(headers::WEBHOOK_ID, HeaderValue::try_from(id).map_err(http::Error::from)?);
        map.insert(headers::WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
        if let Some(keys) = &proof.keys {
            if self.mode == ContentMode::Binary && self.method == Method::POST {
                return Err(AttemptError::BinarySigned);
            }
            let signature = keys.value.sign(id, timestamp, &self.body);
            let signature = HeaderValue::try_from(signature).map_err(http::Error::from)?;
            map.insert(headers::WEBHOOK_SIGNATURE, signature);
        }
        for (name, value) in proof.headers.iter().flat_map(|headers| headers.iter()) {
            map.insert(name, value.clone());
        }
        // One request per connection: tasks come and go faster than broadcasts do.
        map.insert(CONNECTION, CLOSE);
        Ok(request)
    }
}

/// The event's attributes as headers. Source: HTTP protocol binding for CloudEvents 1.0.2, section 3.1.
fn attributes(envelope: &Envelope) -> Result<HeaderMap, AttemptError> {
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, HeaderValue::from_static(DATA_TYPE));
    let Value::Object(members) = serde_json::to_value(envelope)? else { return Ok(map) };
    for (name, value) in members.iter().filter(|(name, _)| *name != "data") {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (name, value) = if name == "datacontenttype" {
            (CONTENT_TYPE, text)
        } else {
            (HeaderName::try_from(format!("ce-{name}")).map_err(http::Error::from)?, percent_encoded(&text))
        };
        map.insert(name, HeaderValue::try_from(value).map_err(http::Error::from)?);
    }
    Ok(map)
}

/// Encodes what the binding says: space, `"`, `%`, and all that is not printable ASCII.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            out.push(byte.into());
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the binding, and what else it names.
    #[test]
    fn attributes_are_encoded_as_the_binding_says() {
        assert_eq!(percent_encoded("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(percent_encoded("a\"b%c~!"), "a%22b%25c~!");
    }
}
