//! The request of one attempt. No I/O.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, InvalidHeaderValue, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use wire::event::Extension;
use wire::{Audience, Broadcast, ContentMode, Data, DeliveryId, Envelope, headers};

use super::auth::Proof;
use super::error::AttemptError;
use crate::base::trace::TraceContext;
use crate::model::Endpoint;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ecs-task-notifier/", env!("CARGO_PKG_VERSION")));
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static(headers::CLOUDEVENTS_JSON);
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// The media type of data whose event names none.
const DATA_TYPE: &str = "application/json";
/// The headers of W3C Trace Context: the span of this request, and what vendors add.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// What is encoded in a header with an attribute, besides all that is not ASCII. Source: HTTP protocol binding for
/// CloudEvents 1.0.2, section 3.1.3.2.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The request of an attempt at this time, in seconds since 1970. The same broadcast and endpoint always have the same
/// body.
///
/// Standard Webhooks signs the id, this time and the body, and no other header. In structured mode the body says
/// everything; in binary mode a stranger could change what happened and whom it is for, so that is not signed at all
/// rather than half.
pub(super) fn request(
    broadcast: &Broadcast,
    endpoint: &Endpoint,
    timestamp: i64,
    proof: &Proof,
    span: TraceContext,
) -> Result<Request<Full<Bytes>>, AttemptError> {
    let Endpoint { member, target, .. } = endpoint;
    let id = DeliveryId::derive(&broadcast.id, &member.task, &member.container);
    let mut map = HeaderMap::new();
    map.insert(HOST, value(host(endpoint))?);
    map.insert(USER_AGENT, AGENT);
    let (method, body) = match target.method {
        wire::Method::Get => {
            // With them, the receiver checks by the signed id whether it is the recipient.
            map.insert(headers::GET_BROADCAST, value(broadcast.id.as_str())?);
            map.insert(headers::GET_CONTAINER, value(&*member.container)?);
            (Method::GET, Bytes::new())
        }
        wire::Method::Post => {
            let mut audience = Audience::new(&member.task, &member.container);
            audience.service.clone_from(&member.service);
            audience.cluster.clone_from(&member.cluster);
            audience.delivery = id.to_string();
            (Method::POST, content(broadcast, audience, target.content_mode, &mut map)?)
        }
    };
    map.insert(headers::WEBHOOK_ID, value(id.as_str())?);
    map.insert(headers::WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
    if let Some(keys) = &proof.keys {
        if target.content_mode == ContentMode::Binary && method == Method::POST {
            return Err(AttemptError::BinarySigned);
        }
        map.insert(headers::WEBHOOK_SIGNATURE, value(keys.value.sign(id.as_str(), timestamp, &body))?);
    }
    trace(broadcast, span, &mut map);
    for (name, value) in proof.headers.iter().flat_map(|headers| headers.iter()) {
        map.insert(name, value.clone());
    }
    // One request per connection: tasks come and go faster than broadcasts do.
    map.insert(CONNECTION, CLOSE);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(target.path.as_str()).map_err(http::Error::from)?;
    *request.headers_mut() = map;
    Ok(request)
}

/// The span of this request, beside the event's own `traceparent`, which names the start and stays as it is.
///
/// It is not signed: it steers nothing but where a span is shown.
fn trace(broadcast: &Broadcast, span: TraceContext, headers: &mut HeaderMap) {
    let parent = span.traceparent().and_then(|text| HeaderValue::from_bytes(&text).ok());
    headers.extend(parent.map(|parent| (TRACEPARENT, parent)));
    if let Some(Extension::Text(state)) = broadcast.event.extensions().get(TRACESTATE.as_str()) {
        headers.extend(HeaderValue::from_str(state).ok().map(|state| (TRACESTATE, state)));
    }
}

fn value<T>(text: T) -> Result<HeaderValue, http::Error>
where
    HeaderValue: TryFrom<T, Error = InvalidHeaderValue>,
{
    Ok(HeaderValue::try_from(text)?)
}

/// Formatted from address and port, because a peer must not see the zone of an IPv6 address.
fn host(Endpoint { address, target, .. }: &Endpoint) -> String {
    match &target.server_name {
        // A server that finds another name here than in TLS would answer 421.
        Some(name) => format!("{name}:{}", address.port()),
        None => SocketAddr::new(address.ip(), address.port()).to_string(),
    }
}

/// The event as the body, and the headers about it.
fn content(
    broadcast: &Broadcast,
    audience: Audience,
    mode: ContentMode,
    headers: &mut HeaderMap,
) -> Result<Bytes, AttemptError> {
    if mode == ContentMode::Structured {
        headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        return Ok(Envelope::body(&broadcast.event, &audience)?.into());
    }
    attributes(&Envelope::new(broadcast.event.clone(), audience), headers)?;
    let data = broadcast.event.data().map(Data::as_json).unwrap_or_default();
    Ok(Bytes::copy_from_slice(data.as_bytes()))
}

/// The event's attributes as headers. Source: HTTP protocol binding for CloudEvents 1.0.2, section 3.1.
fn attributes(envelope: &Envelope, headers: &mut HeaderMap) -> Result<(), AttemptError> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(DATA_TYPE));
    let Value::Object(members) = serde_json::to_value(envelope)? else { return Ok(()) };
    for (name, attribute) in members.iter().filter(|(name, _)| *name != "data") {
        let text = attribute.as_str().map_or_else(|| attribute.to_string(), str::to_owned);
        let (name, text) = if name == "datacontenttype" {
            (CONTENT_TYPE, text)
        } else {
            let text = utf8_percent_encode(&text, ENCODED).to_string();
            (HeaderName::try_from(format!("ce-{name}")).map_err(http::Error::from)?, text)
        };
        headers.insert(name, value(text)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the binding, and what else it names.
    #[test]
    fn attributes_are_encoded_as_the_binding_says() {
        assert_eq!(utf8_percent_encode("Euro € 😀", ENCODED).to_string(), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(utf8_percent_encode("a\"b%c~!", ENCODED).to_string(), "a%22b%25c~!");
    }
}
