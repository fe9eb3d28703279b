//! Signed requests, verified by receivers and by the reference libraries.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use notifier::base::Clock;
use notifier::base::Environment;
use notifier::deliver::{Auth, AuthSettings, Deliverer, Signing};
use notifier::model::Outcome;
use notifier::model::Progress;
use notifier::secrets::{SecretRef, Vault};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wire::signature::{SignatureHeaders, SigningKeys, TOLERANCE, VerifyingKeys, key_pair};
use wire::{Broadcast, ContentMode, Data, Draft, Method};

use crate::server::{Seen, Server, reply};
use crate::support::{NOW, broadcast, deliver_all, deliver_to, deliverer, deliverer_at, endpoint, patient};

pub(crate) const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What these options come to, with these variables to refer to.
pub(crate) async fn trust(options: AuthSettings, variables: &[(&str, &str)]) -> Auth {
    let environment: Environment = variables.iter().copied().collect();
    Auth::load(&options, &Vault::new(environment, None)).await.unwrap()
}

fn by(references: &str) -> AuthSettings {
    let signing = Signing::By(SecretRef::list(references).unwrap());
    AuthSettings { signing, refresh: Duration::from_secs(1), ..AuthSettings::default() }
}

/// The event with what makes a difference on the way: order, digits, escapes.
fn rich() -> Broadcast {
    let mut rich = broadcast();
    let data = r#"{"b":1,"a":1.10,"big":123456789012345678901234567890,"é":"\u00e9\n"}"#;
    let mut draft = Draft::default();
    draft.data = Some(Data::from_json(data.to_owned()).unwrap());
    draft.subject = Some("a \"b\" 100%".into());
    rich.event = draft.complete(&rich.id, std::time::SystemTime::UNIX_EPOCH).unwrap();
    rich
}

async fn sent(trust: Auth, change: impl FnOnce(&mut notifier::model::Endpoint)) -> Seen {
    let server = Server::answering("202 Accepted").await;
    let mut endpoint = endpoint(server.address);
    change(&mut endpoint);
    let deliverer = deliverer(&patient()).with_auth(trust);
    let result = deliver_to(&deliverer, &rich(), endpoint).await;
    assert_eq!(result.outcome, Some(Outcome::Delivered), "{result:?}");
    server.seen().pop().unwrap()
}

fn verifies(seen: &Seen, keys: &str) -> bool {
    let header = |name| seen.header(name).unwrap_or_default();
    let now = i64::try_from(NOW).unwrap();
    let signed = SignatureHeaders::parse(
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
        now,
        TOLERANCE,
    );
    signed.is_ok_and(|signed| VerifyingKeys::parse(keys).unwrap().verify(&signed, &seen.body).is_ok())
}

#[tokio::test]
async fn a_request_is_signed_by_every_key() {
    let seen = sent(trust(by("env:NEW,env:OLD"), &[("NEW", NEW), ("OLD", OLD)]).await, |_| ()).await;
    assert_eq!(seen.header("webhook-signature").unwrap().split(' ').count(), 2);
    assert!(verifies(&seen, NEW) && verifies(&seen, OLD));
    let other = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    assert!(!verifies(&seen, other));
}

#[tokio::test]
async fn a_bare_get_is_signed_over_an_empty_body() {
    let seen = sent(trust(by("env:K"), &[("K", NEW)]).await, |endpoint| {
        Arc::make_mut(&mut endpoint.target).method = Method::Get;
    })
    .await;
    assert!(seen.body.is_empty() && verifies(&seen, NEW));
}

#[tokio::test]
async fn without_keys_nothing_claims_to_be_signed() {
    assert_eq!(sent(Auth::default(), |_| ()).await.header("webhook-signature"), None);
}

#[tokio::test]
async fn a_service_with_keys_of_its_own_gets_no_others() {
    let mut options = by("env:OLD");
    options.signing_of_services.insert("web".into(), vec![SecretRef::Env("NEW".into())]);
    let variables = [("NEW", NEW), ("OLD", OLD)];
    let seen = sent(trust(options.clone(), &variables).await, |_| ()).await;
    assert!(verifies(&seen, NEW) && !verifies(&seen, OLD));
    let seen = sent(trust(options, &variables).await, |endpoint| {
        Arc::make_mut(&mut endpoint.member).service = "api".into();
    })
    .await;
    assert!(verifies(&seen, OLD) && !verifies(&seen, NEW));
}

#[tokio::test]
async fn headers_of_a_secret_are_sent_along() {
    let options = AuthSettings { headers: Some(SecretRef::Env("H".into())), ..AuthSettings::default() };
    let trust = trust(options, &[("H", "Authorization: Bearer t0ken\nx-team: core")]).await;
    assert!(!format!("{trust:?}").contains("t0ken"));
    let seen = sent(trust, |_| ()).await;
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(seen.header("x-team"), Some("core"));
}

#[tokio::test]
async fn a_task_that_shows_the_headers_it_got_does_not_show_their_secrets_to_readers_of_reports() {
    let options = AuthSettings { headers: Some(SecretRef::Env("H".into())), ..AuthSettings::default() };
    let trust = trust(options, &[("H", "Authorization: Bearer t0ken-of-the-team")]).await;
    let echo = "DEBUG = True; authorization: Bearer t0ken-of-the-team";
    let server = Server::playing(vec![reply("403 Forbidden", echo)]).await;
    let deliverer = deliverer(&patient()).with_auth(trust);
    let endpoint = endpoint(server.address);
    let result = deliver_to(&deliverer, &rich(), endpoint).await;
    let reason = "answered 403 Forbidden: DEBUG = True; authorization: [secret]";
    assert_eq!(result.reason.as_deref(), Some(reason));
}

#[tokio::test]
async fn an_event_in_binary_mode_is_sent_unsigned_or_not_at_all() {
    let binary = |endpoint: &mut notifier::model::Endpoint| {
        Arc::make_mut(&mut endpoint.target).content_mode = ContentMode::Binary;
    };
    let seen = sent(Auth::default(), binary).await;
    assert_eq!(seen.body, rich().event.data().unwrap().as_json().as_bytes());
    assert_eq!(seen.header("content-type"), Some("application/json"));
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "b-1"),
        ("ce-subject", "a%20%22b%22%20100%25"),
        ("ce-ecscontainer", "app"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }

    let server = Server::answering("202 Accepted").await;
    let mut endpoint = endpoint(server.address);
    binary(&mut endpoint);
    let deliverer = deliverer(&patient()).with_auth(trust(by("env:K"), &[("K", NEW)]).await);
    let result = deliver_to(&deliverer, &rich(), endpoint).await;
    assert_eq!(result.outcome, Some(Outcome::Failed));
    let reason = "an event in binary mode cannot be signed: a signature would not cover its attributes";
    assert_eq!((result.reason.as_deref(), server.connections()), (Some(reason), 0));
}

/// A request as the scripts in `python/` take it, to be judged by this key.
fn call(seen: &Seen, kind: &str, key: &str) -> Value {
    let headers: HashMap<_, _> = seen.head.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
    json!({ kind: key, "headers": headers, "body": String::from_utf8_lossy(&seen.body) })
}

/// Passes requests to `python/judge.py`, and returns its result for each: an event, or an error.
fn judged(seen: &[&Seen], secrets: &[&str]) -> Vec<Value> {
    let calls: Vec<_> = seen.iter().zip(secrets).map(|(seen, secret)| call(seen, "secret", secret)).collect();
    serde_json::from_value(said_by("judge.py", &json!(calls))).unwrap()
}

/// What a script in `python/` says to this.
fn said_by(script: &str, asked: &Value) -> Value {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut judge = Command::new(testkit::python::interpreter())
        .arg(root.join("tests/python").join(script))
        .env_clear()
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().unwrap().write_all(&serde_json::to_vec(asked).unwrap()).unwrap();
    let output = judge.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_reference_libraries_verify_and_parse_what_is_sent() {
    // The library compares with the clock of the machine.
    let keys = trust(by("env:NEW,env:OLD"), &[("NEW", NEW), ("OLD", OLD)]).await;
    let server = Server::answering("202 Accepted").await;
    let endpoint = endpoint(server.address);
    let deliverer = deliverer_at(&patient(), Clock::system());
    deliver_to(&deliverer.with_auth(keys), &rich(), endpoint).await;
    let signed = server.seen().pop().unwrap();
    let mut forged = signed.clone();
    forged.body = String::from_utf8(forged.body).unwrap().replace("b-1", "b-2").into_bytes();
    let binary = sent(Auth::default(), |endpoint| {
        Arc::make_mut(&mut endpoint.target).content_mode = ContentMode::Binary;
    })
    .await;

    let other = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    let verdicts = judged(&[&signed, &signed, &signed, &forged, &binary], &[NEW, OLD, other, NEW, ""]);
    for event in [&verdicts[0], &verdicts[1], &verdicts[4]] {
        assert_eq!(event["id"], "b-1", "{event}");
        assert_eq!(event["subject"], "a \"b\" 100%");
        assert!(event["ecstask"].as_str().unwrap().starts_with("arn:aws:ecs:"), "{event}");
        assert_eq!(event["data"]["é"], "é\n");
        assert_eq!(event["big"], "123456789012345678901234567890");
    }
    for complaint in [&verdicts[2], &verdicts[3]] {
        assert_eq!(complaint["error"], "WebhookVerificationError", "{complaint}");
    }
}

#[tokio::test]
async fn openssl_verifies_what_is_signed_by_a_private_key_and_signs_what_receivers_accept() {
    let pair = key_pair(&[7; 32]);
    let keys = trust(by("env:P,env:K"), &[("P", &pair.private), ("K", NEW)]).await;
    let signed = sent(keys, |_| ()).await;
    let mut changed = signed.clone();
    changed.body.push(b' ');
    let (id, body) = (signed.header("webhook-id").unwrap(), String::from_utf8_lossy(&signed.body));
    let said = said_by(
        "v1a.py",
        &json!({
            "verify": [
                call(&signed, "public", &pair.public),
                call(&changed, "public", &pair.public),
                call(&signed, "public", &key_pair(&[8; 32]).public),
            ],
            "sign": [{ "id": id, "timestamp": NOW, "body": body }],
        }),
    );
    assert_eq!(said["verify"], json!([true, false, false]));

    let [private, public, signature] =
        ["private", "public", "signature"].map(|part| said["sign"][0][part].as_str().unwrap());
    let now = i64::try_from(NOW).unwrap();
    let (timestamp, keys) = (NOW.to_string(), VerifyingKeys::parse(public).unwrap());
    let theirs = SignatureHeaders::parse(id, &timestamp, signature, now, TOLERANCE).unwrap();
    keys.verify(&theirs, &signed.body).unwrap();
    assert!(keys.verify(&theirs, &changed.body).is_err());
    // An Ed25519 signature has no chance in it: of one key and text there is one.
    assert_eq!(SigningKeys::parse(private).unwrap().sign(id, now, &signed.body), signature);
}

/// A task with one key at a time that answers 401 to everything else, like the receiver library.
struct Receiver {
    address: std::net::SocketAddr,
    key: Arc<Mutex<&'static str>>,
    refused: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
}

impl Receiver {
    async fn start(key: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self {
            address,
            key: Arc::new(Mutex::new(key)),
            refused: Arc::default(),
            accepted: Arc::default(),
        };
        let (key, refused, accepted) =
            (Arc::clone(&receiver.key), Arc::clone(&receiver.refused), Arc::clone(&receiver.accepted));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (key, refused, accepted) =
                    (Arc::clone(&key), Arc::clone(&refused), Arc::clone(&accepted));
                let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (key, refused, accepted) =
                        (Arc::clone(&key), Arc::clone(&refused), Arc::clone(&accepted));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let header = |name: &str| head.headers.get(name).map_or("", |v| v.to_str().unwrap());
                        let time = header("webhook-timestamp");
                        let now = time.parse().unwrap();
                        let signature = header("webhook-signature");
                        let signed =
                            SignatureHeaders::parse(header("webhook-id"), time, signature, now, TOLERANCE)
                                .unwrap();
                        let keys = VerifyingKeys::parse(*key.lock().unwrap()).unwrap();
                        let good = keys.verify(&signed, &body).is_ok();
                        if good { &accepted } else { &refused }.fetch_add(1, Ordering::SeqCst);
                        let status = if good { 202 } else { 401 };
                        Ok::<_, std::convert::Infallible>(
                            Response::builder().status(status).body(Full::new(Bytes::new())).unwrap(),
                        )
                    }
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
            }
        });
        receiver
    }

    fn counts(&self) -> (usize, usize) {
        (self.accepted.load(Ordering::SeqCst), self.refused.load(Ordering::SeqCst))
    }
}

/// A deliverer that signs with the old key from a file, and a receiver with that key.
async fn by_file() -> (tempfile::TempDir, std::path::PathBuf, Deliverer, Receiver) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    std::fs::write(&path, OLD).unwrap();
    let keys = trust(by(&format!("file:{}", path.display())), &[]).await;
    let deliverer = deliverer(&patient()).with_auth(keys);
    (directory, path, deliverer, Receiver::start(OLD).await)
}

/// Calls `receiver` again and again while `rotate` runs; every call must be delivered. Returns how many there were.
async fn calls_during(deliverer: &Deliverer, receiver: &Receiver, rotate: impl Future<Output = ()>) -> usize {
    let mut rotate = std::pin::pin!(rotate);
    let (broadcast, progress) = (broadcast(), Progress::default());
    let mut calls = 0;
    loop {
        tokio::select! {
            () = &mut rotate => return calls,
            result = deliver_all(deliverer, &broadcast, vec![endpoint(receiver.address); 20], &progress) => {
                assert!(result.iter().all(|settled| settled.outcome == Some(Outcome::Delivered)), "{result:?}");
                calls += 20;
            }
        }
    }
}

#[tokio::test]
async fn a_key_in_a_file_rotates_while_a_broadcast_runs_and_no_call_is_refused() {
    let (directory, path, deliverer, receiver) = by_file().await;
    let write = |text: &str| {
        let next = directory.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, &path).unwrap();
    };
    let calls = calls_during(&deliverer, &receiver, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        write(&format!("{NEW}\n{OLD}\n"));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        *receiver.key.lock().unwrap() = NEW;
        tokio::time::sleep(Duration::from_millis(500)).await;
        write(NEW);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    })
    .await;
    let (accepted, refused) = receiver.counts();
    assert!(calls >= 100 && accepted >= calls, "{calls} {accepted}");
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn a_task_that_has_the_new_key_first_is_notified_all_the_same() {
    let (_directory, path, deliverer, receiver) = by_file().await;
    let endpoint = endpoint(receiver.address);
    let broadcast = broadcast();
    let tell = async || deliver_to(&deliverer, &broadcast, endpoint.clone()).await;
    assert_eq!(tell().await.outcome, Some(Outcome::Delivered));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // Read as old, and rotated before the second is over.
    assert_eq!(tell().await.outcome, Some(Outcome::Delivered));
    std::fs::write(&path, NEW).unwrap();
    *receiver.key.lock().unwrap() = NEW;
    let result = tell().await;
    // No refresh: the keys were read less than a second ago, and receivers cannot make the notifier read in a loop.
    assert_eq!((result.outcome, result.status), (Some(Outcome::Rejected), Some(401)));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(tell().await.outcome, Some(Outcome::Delivered));
}

#[tokio::test]
async fn keys_that_cannot_be_read_again_stay_in_use() {
    let (_directory, path, deliverer, receiver) = by_file().await;
    let endpoint = endpoint(receiver.address);
    for broken in [None, Some(""), Some("whsec_short"), Some("not a key")] {
        match broken {
            None => std::fs::remove_file(&path).unwrap(),
            Some(text) => std::fs::write(&path, text).unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let result = deliver_to(&deliverer, &broadcast(), endpoint.clone()).await;
        assert_eq!(result.outcome, Some(Outcome::Delivered), "{broken:?}");
    }
}

#[tokio::test]
async fn every_attempt_has_a_signature_of_its_own_time() {
    let server = Server::playing(vec![reply("500 x", ""), reply("200 OK", "")]).await;
    let read = AtomicUsize::new(0);
    let clock = Clock::from_fn(move || {
        let seconds = NOW + 60 * read.fetch_add(1, Ordering::SeqCst) as u64;
        std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    });
    let deliverer = deliverer_at(&patient(), clock).with_auth(trust(by("env:K"), &[("K", NEW)]).await);
    deliver_to(&deliverer, &rich(), endpoint(server.address)).await;
    let seen = server.seen();
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_ne!(seen[0].header("webhook-signature"), seen[1].header("webhook-signature"));
    assert!(seen.iter().all(|seen| verifies(seen, NEW)));
}
