//! `keygen`: makes a signing key.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use notifier::base;
use serde::Serialize;
use wire::signature::{hmac_key, key_pair};
use zeroize::Zeroizing;

use crate::args::Format;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::records;

/// Make a signing key in the format of Standard Webhooks
///
/// hmac is one secret, which the notifier and every receiver have. ed25519 is a pair: the notifier signs with the private
/// key, and receivers verify with the public key, which is not secret and cannot sign.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct KeygenArgs {
    /// Kind of key: hmac or ed25519
    #[arg(long, value_enum, default_value_t, value_name = "KIND", hide_possible_values = true)]
    kind: Kind,
    /// Write the secret to this new file instead of stdout; only its owner may read the file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  A secret in a file, and then in Secrets Manager:
    ecs-task-notifier keygen --out signing.key
    aws secretsmanager create-secret --name notifier/signing --secret-string file://signing.key

  A pair: the private key in a file, the public one on stdout:
    ecs-task-notifier keygen --kind ed25519 --out private.key > public.key

  Without a file:
    ecs-task-notifier keygen --format json | jq -r 'select(.secret).secret'";

/// Schemes of Standard Webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// `v1`: HMAC-SHA256, 32 random bytes.
    #[default]
    Hmac,
    /// `v1a`.
    Ed25519,
}

/// A new key, as scripts read it.
#[derive(Debug, Default, Serialize)]
struct Made<'a> {
    kind: &'static str,
    /// The signing key; `None` if it is in the file.
    secret: Option<&'a str>,
    /// The verifying key of a pair.
    public: Option<&'a str>,
    file: Option<&'a Path>,
}

pub(crate) fn run(args: &KeygenArgs, console: &mut Console) -> Result<Exit, Failure> {
    let bytes = base::key_bytes()
        .map_err(|error| Failure::failed("the system's random generator failed").because(&error))?;
    let (kind, secret, public) = match args.kind {
        Kind::Hmac => ("hmac", hmac_key(&bytes), None),
        Kind::Ed25519 => {
            let pair = key_pair(&bytes);
            ("ed25519", pair.private, Some(pair.public))
        }
    };
    let (public, file) = (public.as_deref(), args.out.as_deref());
    if let Some(path) = file {
        keep(path, &secret)?;
    }
    let secret = file.is_none().then_some(secret.as_str());
    if console.format == Format::Text {
        let text = text(secret, public);
        console.out().write_all(text.as_bytes()).map_err(Failure::output)?;
    } else {
        let (format, made) = (console.format, Made { kind, secret, public, file });
        let summary = serde_json::json!({ "made": 1 });
        records::write(console.out(), format, [made], &summary).map_err(Failure::output)?;
    }
    advise(file, public.is_some(), console);
    Ok(Exit::Done)
}

/// The output on stdout: a single key without a name, so that it can be piped, or two keys with their names.
fn text(secret: Option<&str>, public: Option<&str>) -> Zeroizing<String> {
    Zeroizing::new(match (secret, public) {
        (Some(private), Some(public)) => format!("private {private}\npublic  {public}\n"),
        (Some(one), None) | (None, Some(one)) => format!("{one}\n"),
        (None, None) => String::new(),
    })
}

/// Writes the secret to a new file that only its owner can read.
fn keep(path: &Path, secret: &str) -> Result<(), Failure> {
    let shown = path.display();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::usage(format!("{shown} already exists"))
            .hint("it may have a key that is in use: choose a new file, or remove this one first"),
        _ => Failure::usage(format!("{shown} cannot be created")).because(&error),
    })?;
    let written = file.write_all(secret.as_bytes()).and_then(|()| file.write_all(b"\n"));
    written.and_then(|()| file.sync_all()).map_err(|error| {
        // An incomplete file is of no use, and would stop the next run.
        drop(std::fs::remove_file(path));
        Failure::failed(format!("{shown} cannot be written")).because(&error)
    })
}

/// Where to store each key.
fn advise(file: Option<&Path>, is_pair: bool, console: &mut Console) {
    let (secret, owners, receivers) = if is_pair {
        ("private key", "only the notifier needs", "the public key")
    } else {
        ("secret", "the notifier and every receiver need", "it")
    };
    let place = file.map(|path| format!(" in {}", path.display())).unwrap_or_default();
    console.hint(&format!(
        "{owners} the {secret}{place}: store it in Secrets Manager or as an SSM SecureString"
    ));
    console.hint(&format!(
        "receivers get {receivers} as NOTIFIER_VERIFYING_KEYS; for a rotation, add it beside the old key before the \
         notifier gets the new key"
    ));
}
