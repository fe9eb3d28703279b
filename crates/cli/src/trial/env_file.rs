//! The file to `source`: every variable that a command in another terminal needs, and none of the user's own account.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use notifier::pipeline::QueueName;
use notifier::settings::{CONFIG_VARIABLE, table};
use zeroize::Zeroizing;

use super::{ACCESS_KEY, KEY_VARIABLE, NETWORKS, Simulated};
use crate::failure::Failure;

/// The first line. A file with another first line is not replaced.
const FIRST_LINE: &str =
    "# Variables of an ecs-task-notifier trial. Read them into another terminal with `source`.\n";
/// Variables that would take precedence over the endpoint and the credentials.
const PREFERRED: [&str; 4] =
    ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"];
/// The suffixes of the endpoint variables of the services in use.
const SERVICES: [&str; 7] = ["ECS", "SQS", "DYNAMODB", "EC2", "SECRETS_MANAGER", "SSM", "STS"];

/// Variables per `unset` line.
const UNSET_TOGETHER: usize = 3;
/// More than the usual length of the file.
const TEXT_BYTES: usize = 16 * 1024;

/// The values of the file.
#[derive(Debug)]
pub(super) struct Variables<'a> {
    pub(super) trial: &'a Simulated<'a>,
    pub(super) ledger: &'a str,
    /// The directory of this program, if it is not in the PATH of the other terminal.
    pub(super) program_folder: Option<&'a str>,
}

impl Variables<'_> {
    /// The whole file, for every POSIX shell.
    pub(super) fn to_sh(&self) -> Zeroizing<String> {
        let Self { trial: &Simulated { url, region, queues, key }, ledger, program_folder } = *self;
        // Capacity for the whole text, so that a reallocation does not leave a copy of the key in memory.
        let mut sh = Sh(Zeroizing::new(String::with_capacity(TEXT_BYTES + ledger.len())));
        sh.0.push_str(FIRST_LINE);
        sh.comment("To remove them, close that terminal. This file is deleted when the trial ends.");

        sh.section("AWS is simulated. SDKs read AWS_REGION; boto3 and older tools read AWS_DEFAULT_REGION.");
        sh.export("AWS_ENDPOINT_URL", url);
        sh.export("AWS_REGION", region);
        sh.export("AWS_DEFAULT_REGION", region);
        sh.comment("Any credentials are accepted. These belong to no account.");
        sh.export("AWS_ACCESS_KEY_ID", ACCESS_KEY);
        sh.export("AWS_SECRET_ACCESS_KEY", ACCESS_KEY);
        sh.comment("Tools do not ask the metadata service of an EC2 instance for credentials or a region.");
        sh.export("AWS_EC2_METADATA_DISABLED", "true");
        sh.comment(
            "A profile, a session token or the endpoint of a single service would take precedence over",
        );
        sh.comment("these variables: commands would fail, or reach a real account.");
        sh.unset(&PREFERRED.map(str::to_owned));
        sh.unset(&SERVICES.map(|service| format!("AWS_ENDPOINT_URL_{service}")));
        sh.comment("A proxy does not reach this machine's loopback addresses.");
        for name in ["NO_PROXY", "no_proxy"] {
            sh.line(&format!("export {name}=\"127.0.0.1,localhost${{{name}:+,${name}}}\""));
        }

        sh.section("Earlier settings of this terminal do not apply to the trial.");
        let settings = table::ALL.iter().map(|setting| setting.variable());
        sh.unset(&settings.chain([CONFIG_VARIABLE.to_owned()]).collect::<Vec<_>>());
        sh.comment("The containers listen on loopback, which must be allowed explicitly.");
        sh.export("NOTIFIER_ALLOW_NETWORKS", NETWORKS);
        for (name, url) in queues {
            sh.export(&table::queue(*name).variable(), url);
        }
        if queues.contains_key(&QueueName::Registry) {
            sh.export(&table::REGISTRY_CLUSTERS.variable(), "*");
        }
        sh.export("NOTIFIER_LEDGER", &format!("sqlite:{ledger}"));
        sh.comment("A delivery ends after its quick attempts. Unset it to see ten minutes of retries through the queue.");
        sh.export("NOTIFIER_HORIZON_MINUTES", "0");
        sh.comment("The key that signs the requests of this trial only.");
        sh.export("NOTIFIER_SIGNING_SECRET", &format!("env:{KEY_VARIABLE}"));
        sh.export(KEY_VARIABLE, key);

        if let Some(folder) = program_folder {
            sh.section("The directory of this program, if it is not installed.");
            sh.line(&format!("export PATH=\"$PATH\":{}", quoted(folder)));
        }
        sh.0
    }
}

/// Builds a shell script.
struct Sh(Zeroizing<String>);

impl Sh {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    fn section(&mut self, title: &str) {
        self.0.push('\n');
        self.comment(title);
    }

    fn export(&mut self, name: &str, value: &str) {
        self.0.extend(["export ", name, "="]);
        push_quoted(&mut self.0, value);
        self.0.push('\n');
    }

    fn unset(&mut self, names: &[String]) {
        for names in names.chunks(UNSET_TOGETHER) {
            self.line(&format!("unset {}", names.join(" ")));
        }
    }
}

/// Quotes text for any POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    push_quoted(&mut quoted, text);
    quoted
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('\'');
    for part in text.split_inclusive('\'') {
        match part.strip_suffix('\'') {
            Some(before) => out.extend([before, "'\\''"]),
            None => out.push_str(part),
        }
    }
    out.push('\'');
}

/// A file to `source`, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct EnvFile {
    path: PathBuf,
    /// Open, so that no other file gets its inode.
    file: File,
}

impl EnvFile {
    /// Writes a new file that only its owner may read, or replaces one of an earlier trial.
    pub(super) fn write(path: &Path, text: &str) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let unwritable =
            |error: &io::Error| Failure::usage(format!("{shown} cannot be written")).because(error);
        // Another terminal has another working directory.
        let path = std::path::absolute(path).map_err(|error| unwritable(&error))?;
        if is_of_a_trial(&path) {
            std::fs::remove_file(&path).map_err(|error| unwritable(&error))?;
        }
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = created.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::usage(format!("{shown} already exists"))
                .hint("it is not the file of an earlier trial: choose a new file, or remove this one first"),
            _ => unwritable(&error),
        })?;
        let written = file.write_all(text.as_bytes());
        // An incomplete file is removed on drop.
        let made = Self { path, file };
        written.map(|()| made).map_err(|error| unwritable(&error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        // A later trial may have put its own file here. An error is ignored: the file is useless without the trial.
        let found = std::fs::symlink_metadata(&self.path);
        let is_ours = |found: Metadata| self.file.metadata().is_ok_and(|ours| ours.ino() == found.ino());
        if found.is_ok_and(is_ours) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Whether a trial that could not clean up left this file here.
fn is_of_a_trial(path: &Path) -> bool {
    let mut start = String::new();
    let limit = FIRST_LINE.len() as u64;
    // Only a regular file is opened: a pipe would block.
    path.is_file()
        && File::open(path).and_then(|file| file.take(limit).read_to_string(&mut start)).is_ok()
        && start == FIRST_LINE
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use notifier::settings::QueueUrls;

    use super::*;
    use crate::failure::Exit;

    fn text(url: &str, queues: &QueueUrls) -> Zeroizing<String> {
        let trial = Simulated { url, region: "eu-west-1", queues, key: "whsk_secret" };
        let program_folder = Some("/opt/it's here");
        Variables { trial: &trial, ledger: "/tmp/a b/ledger", program_folder }.to_sh()
    }

    #[test]
    fn every_export_is_one_line_that_a_shell_reads_as_it_was_meant() {
        let queues = QueueUrls::from([(QueueName::Observer, "http://a/1/o".to_owned())]);
        let text = text("http://127.0.0.1:1", &queues);
        let exports: Vec<&str> = text.lines().filter(|line| line.starts_with("export ")).collect();
        for line in [
            "export AWS_ENDPOINT_URL='http://127.0.0.1:1'",
            "export AWS_REGION='eu-west-1'",
            "export AWS_DEFAULT_REGION='eu-west-1'",
            "export NOTIFIER_OBSERVER_QUEUE_URL='http://a/1/o'",
            "export NOTIFIER_LEDGER='sqlite:/tmp/a b/ledger'",
            "export TRIAL_SIGNING_KEY='whsk_secret'",
            r#"export PATH="$PATH":'/opt/it'\''s here'"#,
        ] {
            assert!(exports.contains(&line), "{line}: {exports:#?}");
        }
        assert!(!text.contains("export NOTIFIER_TASKS_QUEUE_URL"), "there is no such queue");
    }

    #[test]
    fn whatever_it_sets_of_this_product_is_a_setting_and_every_other_setting_is_unset() {
        let queues = QueueUrls::from(QueueName::ALL.map(|name| (name, "http://a/1/q".to_owned())));
        let text = text("http://a", &queues);
        let known: Vec<String> = table::ALL.iter().map(|setting| setting.variable()).collect();
        let exports = text.lines().filter_map(|line| line.strip_prefix("export NOTIFIER_"));
        for name in exports.filter_map(|export| export.split('=').next()) {
            assert!(known.contains(&format!("NOTIFIER_{name}")), "{name}");
        }
        let unset: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("unset "))
            .flat_map(str::split_whitespace)
            .collect();
        assert!(known.iter().all(|name| unset.contains(&name.as_str())), "{unset:?}");
    }

    #[test]
    fn a_file_is_for_its_owner_alone_and_gone_with_the_trial() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        let file = EnvFile::write(&path, FIRST_LINE).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_an_earlier_trial_is_replaced_and_any_other_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        let earlier = EnvFile::write(&path, &format!("{FIRST_LINE}earlier\n")).unwrap();
        let later = EnvFile::write(&path, &format!("{FIRST_LINE}later\n")).unwrap();
        drop(earlier);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{FIRST_LINE}later\n"));
        drop(later);

        std::fs::write(&path, "DATABASE_PASSWORD=secret\n").unwrap();
        let refused = EnvFile::write(&path, FIRST_LINE).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "DATABASE_PASSWORD=secret\n");
    }
}
