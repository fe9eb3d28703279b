//! `keygen`: signing keys, and permissions of their files.

use wire::signature::{SigningKeys, VerifyingKeys};

use crate::support::{notifier, redacted};

/// Whether one key accepts signatures of the other.
fn belong_together(signing: &str, verifying: &str) -> bool {
    let (signing, verifying) =
        (SigningKeys::parse(signing).unwrap(), VerifyingKeys::parse(verifying).unwrap());
    let header = signing.sign("id", 1, b"body");
    let signed =
        wire::signature::SignatureHeaders::parse("id", "1", &header, 1, std::time::Duration::ZERO).unwrap();
    verifying.verify(&signed, b"body").is_ok()
}

#[test]
fn stdout_has_only_the_secret_and_stderr_the_hints() {
    let run = notifier("keygen").run();
    let secret = run.stdout.trim_end();
    assert!(belong_together(secret, secret));
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(!run.stderr.contains("whsec_"));
    let _bound = redacted();
    insta::assert_snapshot!(run, @r#"
    exit 0
    --- stdout
    whsec_[secret]
    --- stderr
    hint: the notifier and every receiver need the secret: store it in Secrets Manager or as an SSM SecureString
    hint: receivers get it as NOTIFIER_VERIFYING_KEYS; for a rotation, add it beside the old key before the notifier gets the new key
    "#);
}

#[test]
fn a_pair_is_two_named_keys() {
    let run = notifier("keygen --kind ed25519").run();
    let keys: Vec<_> = run.stdout.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert!(belong_together(keys[0], keys[1]));
    let _bound = redacted();
    insta::assert_snapshot!(run, @r#"
    exit 0
    --- stdout
    private whsk_[secret]
    public  whpk_[public]
    --- stderr
    hint: only the notifier needs the private key: store it in Secrets Manager or as an SSM SecureString
    hint: receivers get the public key as NOTIFIER_VERIFYING_KEYS; for a rotation, add it beside the old key before the notifier gets the new key
    "#);
}

#[test]
fn no_two_runs_make_the_same_key() {
    assert_ne!(notifier("keygen").run().stdout, notifier("keygen").run().stdout);
}

#[cfg(unix)]
#[test]
fn a_file_with_the_secret_is_private_and_is_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("signing.key");
    let keygen = || notifier("keygen --kind ed25519 --out").arg(path.to_str().unwrap()).run();
    let run = keygen();
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(run.code, 0);
    assert!(belong_together(kept.trim_end(), run.stdout.trim_end()));
    assert!(!format!("{run}").contains("whsk_"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let again = keygen();
    assert_eq!((again.code, again.stdout.as_str()), (2, ""));
    assert!(again.stderr.contains("already exists"), "{again}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), kept);

    // The target of a link is not written either, even if it does not exist.
    let link = directory.path().join("link.key");
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
    assert_eq!(notifier("keygen --out").arg(link.to_str().unwrap()).run().code, 2);
    assert!(!directory.path().join("elsewhere").exists());

    let nowhere = notifier("keygen --out").arg("/nonexistent/signing.key").run();
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (2, ""));
}

#[test]
fn scripts_get_the_parts_by_name() {
    let run = notifier("keygen --kind ed25519 --format json --quiet").run();
    let made: serde_json::Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    let part = |name: &str| made[name].as_str().unwrap();
    assert!(belong_together(part("secret"), part("public")));
    assert_eq!((part("kind"), &made["file"], run.stderr.as_str()), ("ed25519", &serde_json::Value::Null, ""));
    let csv = notifier("keygen --format csv --quiet").run().stdout;
    assert!(csv.starts_with("kind,secret,public,file\nhmac,whsec_"), "{csv}");
}
