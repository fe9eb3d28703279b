//! Keys in Secrets Manager and Systems Manager, as MiniStack has them: written by AWS's own Python client, read by ours.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::error::Error;
use std::time::Duration;

use notifier::aws::{Aws, AwsOptions};
use notifier::base::Environment;
use notifier::secrets::{Kept, Material, SECRET_BYTES_MAX, SecretError, SecretRef, Vault, signing_keys};
use serde_json::json;
use testkit::boto::{Boto, ministack};
use testkit::emulator::Emulator;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use wire::signature::SigningKeys;

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const THIRD: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// Longer than a test takes: what is kept so long is read once.
const LONG: Duration = Duration::from_secs(3600);
/// Shorter than what a test does next: what is kept so long is read each time.
const SHORT: Duration = Duration::from_millis(1);
/// Longest wait for something that happens within seconds, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// MiniStack, whoever writes to it, and our clients of it.
struct Setup {
    emulator: Emulator,
    boto: Boto,
    aws: Aws,
}

impl Setup {
    async fn new(auth: bool) -> Self {
        let emulator = ministack(auth).await;
        let (boto, aws) = (Boto::start(&emulator.url), Aws::at(&emulator.url, "us-east-1"));
        Self { emulator, boto, aws }
    }

    fn vault(&self) -> Vault {
        Vault::new(Environment::default(), Some(self.aws.secrets.clone()))
    }

    async fn keys(&self, references: &str, interval: Duration) -> Kept<SigningKeys> {
        let references = SecretRef::list(references).unwrap();
        Kept::open(self.vault(), references, interval, signing_keys).await.unwrap()
    }

    /// Why there are no keys there: the error with its causes, and all that `Debug` shows of it.
    async fn complaint(&self, reference: &str) -> String {
        let opened = Kept::open(self.vault(), SecretRef::list(reference).unwrap(), LONG, signing_keys).await;
        let error = opened.expect_err(reference);
        format!("{}\n{error:?}", words(&error))
    }

    fn requests(&self, operation: &str) -> u64 {
        let counts = self.aws.calls.snapshot();
        counts.iter().filter(|count| count.operation == operation).map(|count| count.requests).sum()
    }

    async fn parameter(&mut self, name: &str, kind: &str, value: &str) {
        let put = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        self.boto.call("ssm", "put_parameter", put).await;
    }
}

/// What an error says, causes included.
fn words(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

/// By which keys, in order, a request would be signed now.
async fn signed_by(keys: &Kept<SigningKeys>) -> Vec<&'static str> {
    let header = keys.current().await.value.sign("dlv_1", 1, b"{}");
    let name = |signature: &str| {
        let signs = |key: &&str| SigningKeys::parse(key).unwrap().sign("dlv_1", 1, b"{}") == signature;
        *[FIRST, SECOND, THIRD].iter().find(|&key| signs(key)).expect("a key of this test")
    };
    header.split(' ').map(name).collect()
}

/// Waits until requests are signed by these keys.
async fn until_signed_by(keys: &Kept<SigningKeys>, expected: &[&str]) {
    let come_to_that = async {
        while signed_by(keys).await != expected {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(SOON, come_to_that).await.is_ok(), "{:?}", signed_by(keys).await);
}

#[tokio::test]
async fn a_secret_is_read_once_however_often_it_is_used() {
    let mut setup = Setup::new(false).await;
    let arn = setup.boto.secret("prod/notifier", FIRST).await;
    setup.parameter("/prod/notifier", "SecureString", SECOND).await;
    let keys = setup.keys("secretsmanager:prod/notifier,ssm:/prod/notifier", LONG).await;
    for _ in 0..50 {
        assert_eq!(signed_by(&keys).await, [FIRST, SECOND]);
    }
    assert_eq!((setup.requests("GetSecretValue"), setup.requests("GetParameter")), (2, 1));
    // By its ARN, too.
    assert_eq!(signed_by(&setup.keys(&format!("secretsmanager:{arn}"), LONG).await).await, [FIRST]);
}

#[tokio::test]
async fn a_rotated_secret_signs_by_its_newest_version_and_the_one_before() {
    let mut setup = Setup::new(false).await;
    setup.boto.secret("k", FIRST).await;
    let (kept, fresh) =
        (setup.keys("secretsmanager:k", LONG).await, setup.keys("secretsmanager:k", SHORT).await);

    let pending = setup.boto.put_pending("k", SECOND).await;
    let before = setup.requests("GetSecretValue");
    sleep(SHORT).await;
    assert_eq!(signed_by(&fresh).await, [FIRST], "what is pending signs nothing");
    assert_eq!(setup.requests("GetSecretValue"), before + 2, "and it was read");

    setup.boto.finish("k", &pending).await;
    until_signed_by(&fresh, &[SECOND, FIRST]).await;
    setup.boto.rotate("k", THIRD).await;
    until_signed_by(&fresh, &[THIRD, SECOND]).await;
    assert_eq!(signed_by(&kept).await, [FIRST], "not read before its time");
    assert!(
        kept.newer_than(1).await.is_none(),
        "nor when a receiver says no, within five seconds of reading"
    );
}

#[tokio::test]
async fn a_parameter_has_no_version_before_and_its_text_may_hold_both_keys() {
    let mut setup = Setup::new(false).await;
    setup.parameter("k", "SecureString", FIRST).await;
    let keys = setup.keys("ssm:k", SHORT).await;
    setup.parameter("k", "SecureString", &format!("{SECOND} {FIRST}")).await;
    until_signed_by(&keys, &[SECOND, FIRST]).await;
    setup.parameter("k", "SecureString", THIRD).await;
    until_signed_by(&keys, &[THIRD]).await;
    for (reference, expected) in [
        ("ssm:k:1", vec![FIRST]),
        ("ssm:k:2", vec![SECOND, FIRST]),
        ("ssm:arn:aws:ssm:us-east-1:000000000000:parameter/k", vec![THIRD]),
    ] {
        assert_eq!(signed_by(&setup.keys(reference, LONG).await).await, expected, "{reference}");
    }
}

#[tokio::test]
async fn a_secret_that_is_no_longer_handed_out_stays_in_use_and_is_read_again_when_it_is() {
    let mut setup = Setup::new(false).await;
    setup.boto.secret("k", FIRST).await;
    let keys = setup.keys("secretsmanager:k", SHORT).await;
    let named = json!({ "SecretId": "k" });
    setup.boto.call("secretsmanager", "delete_secret", named.clone()).await;
    assert!(setup.complaint("secretsmanager:k").await.contains("InvalidRequestException"));
    for _ in 0..3 {
        sleep(SHORT).await;
        assert_eq!(signed_by(&keys).await, [FIRST]);
    }
    setup.boto.call("secretsmanager", "restore_secret", named).await;
    setup.boto.rotate("k", SECOND).await;
    until_signed_by(&keys, &[SECOND, FIRST]).await;
}

#[tokio::test]
async fn what_is_no_key_is_refused_by_its_name_and_never_repeated() {
    let mut setup = Setup::new(false).await;
    let value = FIRST.trim_start_matches("whsec_");
    let long = "MfKQ".repeat(SECRET_BYTES_MAX / 4 + 1);
    for (name, text) in [
        ("json", format!(r#"{{"key":"{FIRST}"}}"#)),
        ("bare", value.to_owned()),
        ("half", "whsec_MfKQ".to_owned()),
        ("blank", " \n".to_owned()),
        ("long", long.clone()),
    ] {
        setup.boto.secret(name, &text).await;
        setup.parameter(name, "SecureString", &text).await;
    }
    let binary = json!({ "Name": "binary", "SecretBinary": FIRST });
    setup.boto.call("secretsmanager", "create_secret", binary).await;

    let no_key = ": it cannot be used: key 1 does not start with `whsec_` or `whsk_`";
    let mut cases = vec![(
        "secretsmanager:missing",
        ": AWS did not return it: Secrets Manager refused GetSecretValue: ResourceNotFoundException: \
         Secrets Manager can't find the specified secret.",
    )];
    cases.push(("ssm:missing", ": AWS did not return it: SSM refused GetParameter: ParameterNotFound"));
    cases.push(("secretsmanager:binary", ": AWS did not return it: Secrets Manager has no text value there"));
    for kind in ["secretsmanager", "ssm"] {
        for (name, says) in [
            ("json", no_key),
            ("bare", no_key),
            ("half", ": it cannot be used: key 1 has 3 bytes instead of 24 to 64"),
            ("blank", ": it is empty"),
            ("long", ": it is longer than 65536 bytes"),
        ] {
            cases.push((&*format!("{kind}:{name}").leak(), says));
        }
    }
    for (reference, says) in cases {
        let complaint = setup.complaint(reference).await;
        assert!(complaint.starts_with(&format!("{reference}{says}")), "{complaint}");
        assert!(!complaint.contains("MfKQ"), "{complaint}");
        assert!(complaint.len() < 2048, "{complaint}");
    }
}

#[tokio::test]
async fn a_version_before_that_is_no_key_harms_nobody() {
    let mut setup = Setup::new(false).await;
    setup.boto.secret("k", "to be made").await;
    setup.boto.rotate("k", FIRST).await;
    let keys = setup.keys("secretsmanager:k", SHORT).await;
    assert_eq!(signed_by(&keys).await, [FIRST]);
    // The other way round, the last keys stay in use.
    setup.boto.rotate("k", "made by mistake").await;
    sleep(SHORT).await;
    assert_eq!(signed_by(&keys).await, [FIRST]);
    assert!(setup.complaint("secretsmanager:k").await.contains("key 1 does not start with"));
}

/// Holds what the child is to read: `URL REFERENCE`. Without it the child does nothing.
const ASK: &str = "NOTIFIER_TEST_SECRET";

/// Reads a secret with the keys of its environment, and says how that went.
#[tokio::test]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "how a process tells its child what to do")]
    let Ok(ask) = std::env::var(ASK) else { return };
    let (url, reference) = ask.split_once(' ').unwrap();
    let aws =
        Aws::load(AwsOptions { endpoint_url: Some(url.to_owned()), ..AwsOptions::default() }).await.unwrap();
    let vault = Vault::new(Environment::default(), Some(aws.secrets));
    let read: Result<Material, SecretError> = vault.read(&reference.parse().unwrap()).await;
    match read {
        Ok(material) => println!("found {} characters", material.newest().len()),
        Err(error) => println!("{}\n{error:?}", words(&error)),
    }
}

#[tokio::test]
async fn whoever_may_not_read_a_secret_is_told_so_and_not_what_it_is() {
    let mut setup = Setup::new(true).await;
    setup.boto.secret("k", FIRST).await;
    setup.parameter("k", "SecureString", FIRST).await;
    setup.boto.call("iam", "create_user", json!({ "UserName": "u" })).await;
    let key = setup.boto.call("iam", "create_access_key", json!({ "UserName": "u" })).await;
    let part = |name: &str| key["AccessKey"][name].as_str().unwrap().to_owned();
    let url = setup.emulator.url.clone();
    let read = async |reference: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["child", "--exact", "--nocapture"]).env_clear();
        child.envs([
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("HOME", "/nonexistent"),
            ("AWS_REGION", "us-east-1"),
        ]);
        child.env("AWS_ACCESS_KEY_ID", part("AccessKeyId"));
        child.env("AWS_SECRET_ACCESS_KEY", part("SecretAccessKey"));
        let output = child.env(ASK, format!("{url} {reference}")).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for (reference, call) in [
        ("secretsmanager:k", "Secrets Manager refused GetSecretValue"),
        ("ssm:k", "SSM refused GetParameter"),
    ] {
        let said = read(reference).await;
        let refused = format!("{reference}: AWS did not return it: {call}: AccessDeniedException: User: ");
        assert!(said.contains(&refused) && !said.contains("MfKQ"), "{said}");
    }

    let may = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "ssm:GetParameter"], "Resource": "*" }] });
    let policy = json!({ "UserName": "u", "PolicyName": "p", "PolicyDocument": may.to_string() });
    setup.boto.call("iam", "put_user_policy", policy).await;
    for reference in ["secretsmanager:k", "ssm:k"] {
        let said = read(reference).await;
        assert!(said.contains(&format!("found {} characters", FIRST.len())), "{said}");
    }
}
