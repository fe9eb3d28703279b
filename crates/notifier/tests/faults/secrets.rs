//! Secrets, searched for in everything that is written while everything goes wrong.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use notifier::base::Environment;
use notifier::base::text::chain;
use notifier::deliver::{Auth, AuthSettings, Signing};
use notifier::pipeline::{self, StageName};
use notifier::secrets::{SecretRef, Vault};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use testkit::needles::{PIECE, found, needles};

use crate::invariants;
use crate::kill::receive;
use crate::notes::Notes;
use crate::run::{self, Ground, Run, Seen};
use crate::world::{Form, World};

/// The text of all secrets, so that it can be found anywhere.
const HMAC: &[u8; 32] = b"MARK-hmac-4f1c92aa-MARK-hmac-b07";
const ED25519: &[u8; 32] = b"MARK-ed25519-77e0d3-MARK-ed-5c61";
const BEARER: &str = "MARK-bearer-90b1f5d2-MARK-bearer-38";
/// Worlds whose every word is searched.
const WORLDS: usize = 12;
/// Messages of each stage that are run by hand.
const BY_HAND: usize = 3;

/// The secrets as operators keep them.
struct Secrets {
    variables: Vec<(&'static str, String)>,
    /// The private key of the client's certificate.
    private_key: Vec<u8>,
}

impl Secrets {
    fn new() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate =
            CertificateParams::new(vec!["notifier".to_owned()]).unwrap().self_signed(&pair).unwrap();
        let variables = vec![
            ("HMAC", hmac_key()),
            ("ED25519", format!("whsk_{}", STANDARD.encode(ED25519))),
            ("HEADERS", format!("Authorization: Bearer {BEARER}")),
            ("CERTIFICATE", certificate.pem()),
            ("PRIVATE_KEY", pair.serialize_pem()),
        ];
        Self { variables, private_key: pair.serialize_der() }
    }

    fn vault(&self) -> Vault {
        let variables = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        Vault::new(variables.collect::<Environment>(), None)
    }

    async fn trust(&self) -> Auth {
        Auth::load(&options("env:HMAC,env:ED25519"), &self.vault()).await.unwrap()
    }

    fn needles(&self) -> Vec<String> {
        let seed = &self.private_key[self.private_key.len() - 32..];
        needles(&[&HMAC[..], ED25519, BEARER.as_bytes(), seed])
    }
}

fn options(signing: &str) -> AuthSettings {
    let env = |name: &str| SecretRef::Env(name.to_owned());
    AuthSettings {
        signing: Signing::By(SecretRef::list(signing).unwrap()),
        headers: Some(env("HEADERS")),
        tls_client: Some((env("CERTIFICATE"), env("PRIVATE_KEY"))),
        refresh: Duration::from_hours(24),
        ..AuthSettings::default()
    }
}

/// The signing keys of signed worlds.
pub(crate) async fn trust() -> Auth {
    Secrets::new().trust().await
}

/// The keys that verify them.
pub(crate) fn hmac_key() -> String {
    format!("whsec_{}", STANDARD.encode(HMAC))
}

/// Stages by hand on the first messages, for the errors that a daemon only shows as text; then a daemon as usual.
async fn by_hand(mut run: Run) -> Seen {
    run.begin().await;
    let notes = run.notes();
    let lane = run.drive.lane();
    for (stage, queue, next) in [
        (StageName::Services, "observer", "services"),
        (StageName::Tasks, "services", "tasks"),
        (StageName::Notify, "tasks", ""),
    ] {
        for _ in 0..BY_HAND {
            let Some((message, _)) = receive(&run, queue).await else { break };
            let (ctx, aws) = (run.ctx(usize::MAX), run.aws());
            let ran =
                lane.handle.spawn(async move { pipeline::run(&ctx(&aws()), stage, &message, None).await });
            // Some panic, like the observer of the progress.
            let ran = ran.await;
            notes.add(&format!("{ran:?}"));
            if let Ok(Ok(output)) = ran {
                for body in output.next.iter().take(BY_HAND) {
                    run.send(next, body).await;
                }
            }
        }
    }
    run.kill(lane);
    let daemon = run.daemon();
    run.finish(daemon).await
}

/// Everything that a run wrote.
fn written(seen: &Seen, notes: &Notes) -> String {
    notes.add(&seen.ledger);
    for dead in &seen.dead {
        notes.add(&dead.text);
    }
    for recorded in seen.recorded.iter().flatten() {
        notes.add(&format!("{recorded:?}"));
        notes.add(&serde_json::to_string(&recorded.report.lines()).unwrap());
        notes.add(&serde_json::to_string(&recorded.report.summary()).unwrap());
    }
    notes.take()
}

/// The errors of invalid secrets.
async fn wrong_secrets(notes: &Notes, secrets: &Secrets) {
    let mut wrong = Secrets { variables: secrets.variables.clone(), private_key: Vec::new() };
    for (_, value) in &mut wrong.variables {
        value.push('!');
    }
    for (options, variables) in [
        (options("env:HMAC"), &wrong),
        (options("env:ED25519"), &wrong),
        (AuthSettings { signing: Signing::Off, ..options("env:HMAC") }, &wrong),
        (options("env:BEARER"), secrets),
        (options("env:PRIVATE_KEY"), secrets),
    ] {
        match Auth::load(&options, &variables.vault()).await {
            Ok(trust) => notes.add(&format!("{trust:?}")),
            Err(error) => {
                notes.add(&format!("{error} {error:?} {}", chain(&error)));
            }
        }
    }
    for (_, value) in &secrets.variables {
        if let Err(error) = SecretRef::list(value) {
            notes.add(&format!("{error} {error:?}"));
        }
    }
}

#[test]
fn no_secret_is_in_anything_that_is_written() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let secrets = Secrets::new();
    let notes = Notes::default();
    notes.listen();
    let trust = runtime.block_on(secrets.trust());
    runtime.block_on(wrong_secrets(&notes, &secrets));
    let needles = secrets.needles();
    let (mut bytes, mut calls, mut panics) = (0, 0, 0);
    let is_meant = |world: &World| world.form == Form::Queues && world.is_signed && world.tasks.len() > 3;
    let worlds = (0..).map(World::draw).filter(is_meant);
    for world in worlds.take(WORLDS) {
        let ground = Ground { trust: trust.clone(), notes: Some(notes.clone()), cloud: None };
        let seen = run::play(&world, ground, by_hand).expect("a world that ends");
        let broken = invariants::broken(&world, &seen);
        let text = written(&seen, &notes);
        let found = found(&needles, &text);
        let is_logged = text.contains("Started processing the queue");
        if !found.is_empty() || !broken.is_empty() || !is_logged {
            // The text of a panic is noted, not shown.
            eprintln!("seed {}: found {found:?}, logged: {is_logged}, broken: {broken:#?}", world.seed);
            panic!("a secret was found, or the world is broken");
        }
        bytes += text.len();
        calls += seen.calls.len();
        panics += text.matches("panic: ").count();
        let signed = seen.calls.iter().filter(|call| call.header("webhook-signature").is_some()).count();
        assert_eq!(signed, seen.calls.len());
    }
    eprintln!(
        "{} needles not found in {bytes} bytes of {WORLDS} worlds, {calls} signed calls, {panics} panics",
        needles.len()
    );
    assert!(calls > 100 && panics > 0 && bytes > 1_000_000);
}

#[test]
fn the_search_finds_a_secret_in_any_form() {
    let secrets = Secrets::new();
    let needles = secrets.needles();
    let mut planted: Vec<String> = secrets.variables.iter().map(|(_, value)| value.clone()).collect();
    planted.remove(3);
    planted.push(format!("{HMAC:?}"));
    planted.push(serde_json::to_string(&HMAC.to_vec()).unwrap());
    planted.push(STANDARD.encode(format!("Authorization: Bearer {BEARER}")));
    planted.push(URL_SAFE.encode(format!("a{BEARER}")));
    planted.push(ED25519.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat());
    planted.push(String::from_utf8_lossy(&ED25519[..PIECE]).into_owned());
    planted.push(form_urlencoded::byte_serialize(planted[0].as_bytes()).collect());
    for text in planted {
        assert!(!found(&needles, &format!("x{text}y")).is_empty(), "{text}");
    }
    assert!(found(&needles, "MARK and whsec_ are no secrets").is_empty());
}
