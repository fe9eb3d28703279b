//! TLS to tasks: which certificates are trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notifier::deliver::{Auth, AuthSettings, DeliveryOptions};
use notifier::model::{Delivery, Outcome};
use notifier::secrets::SecretRef;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wire::Scheme;

use crate::server::{Act, Server};
use crate::signed::trust;
use crate::support::{broadcast, deliver_to, deliverer, deserted, endpoint, hasty, ms};

/// A certificate and its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for this name or address, changed before it is signed.
    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// A task with TLS that answers every request with 202, and counts requests.
struct Task {
    address: std::net::SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Task {
    /// With `clients`, requires a client certificate of this CA.
    async fn start(pair: &Pair, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut store = RootCertStore::empty();
                store.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let task = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = Arc::clone(&task.requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, requests) = (acceptor.clone(), Arc::clone(&requests));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut bytes = [0; 4096];
                    if stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                        requests.fetch_add(1, Ordering::SeqCst);
                        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(answer).await.unwrap();
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        task
    }
}

/// Auth in this authority alone, with a certificate to show if there is one.
async fn trusting(authority: &Authority, client: Option<&Pair>) -> Auth {
    let reference = |name: &str| SecretRef::Env(name.to_owned());
    let options = AuthSettings {
        tls_ca: Some(reference("CA")),
        tls_client: client.map(|_| (reference("CERTIFICATE"), reference("KEY"))),
        ..AuthSettings::default()
    };
    let mut variables = vec![("CA", authority.certificate.as_str())];
    if let Some(client) = client {
        variables.extend([("CERTIFICATE", client.certificate.as_str()), ("KEY", client.key.as_str())]);
    }
    trust(options, &variables).await
}

async fn call(trust: Auth, address: std::net::SocketAddr, name: Option<&str>) -> Delivery {
    call_with(
        &DeliveryOptions {
            timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(20),
            ..hasty()
        },
        trust,
        address,
        name,
    )
    .await
}

async fn call_with(
    options: &DeliveryOptions,
    trust: Auth,
    address: std::net::SocketAddr,
    name: Option<&str>,
) -> Delivery {
    let mut endpoint = endpoint(address);
    Arc::make_mut(&mut endpoint.target).scheme = Scheme::Https;
    Arc::make_mut(&mut endpoint.target).server_name = name.map(str::to_owned);
    let deliverer = deliverer(options).with_auth(trust);
    deliver_to(&deliverer, &broadcast(), endpoint).await
}

/// The task was not called, and the reason says why.
#[track_caller]
fn check_refused(result: &Delivery, task: &Task, says: &str) {
    let reason = result.reason.as_deref().unwrap_or_default();
    assert_eq!(result.outcome, Some(Outcome::Failed), "{reason}");
    assert!(reason.contains(says), "{reason}");
    assert_eq!(task.requests.load(Ordering::SeqCst), 0, "the event left this machine");
}

#[tokio::test]
async fn a_task_is_believed_by_its_address_or_by_the_name_of_its_label() {
    let authority = Authority::new();
    let by_address = Task::start(&authority.issue("127.0.0.1", |_| ()), None).await;
    let result = call(trusting(&authority, None).await, by_address.address, None).await;
    assert_eq!((result.outcome, result.status), (Some(Outcome::Delivered), Some(202)), "{result:?}");

    let by_name = Task::start(&authority.issue("web.internal", |_| ()), None).await;
    let result = call(trusting(&authority, None).await, by_name.address, Some("web.internal")).await;
    assert_eq!(result.outcome, Some(Outcome::Delivered), "{result:?}");
    assert_eq!(by_name.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_certificate_of_another_authority_name_or_time_is_not_believed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let task = Task::start(&other.issue("127.0.0.1", |_| ()), None).await;
    let result = call(trusting(&authority, None).await, task.address, None).await;
    check_refused(&result, &task, "invalid peer certificate");

    let task = Task::start(&authority.issue("web.internal", |_| ()), None).await;
    let result = call(trusting(&authority, None).await, task.address, Some("api.internal")).await;
    check_refused(&result, &task, "not valid for name");
    let result = call(trusting(&authority, None).await, task.address, None).await;
    check_refused(&result, &task, "not valid for name");

    let expired = authority.issue("127.0.0.1", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let task = Task::start(&expired, None).await;
    let result = call(trusting(&authority, None).await, task.address, None).await;
    check_refused(&result, &task, "expired");
}

#[tokio::test]
async fn the_authorities_of_the_system_do_not_vouch_for_a_private_one() {
    let task = Task::start(&Authority::new().issue("127.0.0.1", |_| ()), None).await;
    let result = call(trust(AuthSettings::default(), &[]).await, task.address, None).await;
    check_refused(&result, &task, "no TLS");
}

#[tokio::test]
async fn a_task_that_asks_who_calls_is_shown_a_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let pair = authority.issue("127.0.0.1", |_| ());
    let task = Task::start(&pair, Some(&clients)).await;
    let result = call(trusting(&authority, None).await, task.address, None).await;
    check_refused(&result, &task, "CertificateRequired");

    let stranger = Authority::new().issue("notifier", |_| ());
    let result = call(trusting(&authority, Some(&stranger)).await, task.address, None).await;
    check_refused(&result, &task, "received fatal alert");

    let client = clients.issue("notifier", |_| ());
    let result = call(trusting(&authority, Some(&client)).await, task.address, None).await;
    assert_eq!(result.outcome, Some(Outcome::Delivered), "{result:?}");
}

#[tokio::test]
async fn there_is_no_way_back_to_plain_http() {
    let plain = Server::answering("202 Accepted").await;
    let result = call(trusting(&Authority::new(), None).await, plain.address, None).await;
    assert_eq!(result.outcome, Some(Outcome::Failed));
    assert!(plain.seen().is_empty(), "nothing readable was sent");

    let unset = call(Auth::default(), deserted(), None).await;
    assert_eq!(unset.reason.as_deref(), Some("TLS is not configured in this process"));
}

#[tokio::test]
async fn a_task_that_never_ends_the_handshake_is_given_up_in_time() {
    let mute = Server::playing(vec![vec![Act::Hang]]).await;
    let options = DeliveryOptions { connect_timeout: ms(300), ..hasty() };
    let result = call_with(&options, trusting(&Authority::new(), None).await, mute.address, None).await;
    assert_eq!(result.reason.as_deref(), Some("no connection within 300ms"));
}
