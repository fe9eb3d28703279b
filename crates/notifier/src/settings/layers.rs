//! The three layers of values: flags, environment, file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{SettingError, unknown};
use super::table::{self, Kind, PREFIX, Setting};
use crate::base::text::{printable, quoted};
use crate::base::{Environment, input};

/// The most characters of an error about invalid TOML, which may repeat a part of the file.
const MESSAGE_CHARS_MAX: usize = 300;
/// The variable with the path of the file.
pub const CONFIG_VARIABLE: &str = "NOTIFIER_CONFIG";
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A warning for each variable with the prefix that is not a setting.
pub(super) fn unknown_variables(environment: &Environment) -> Vec<String> {
    // Without the prefix, which would make all names similar.
    let known: Vec<&str> = table::ALL.iter().map(|setting| setting.name).chain(["config"]).collect();
    let warning = |name: &str| {
        let short = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
        let likely = table::likely(&short, known.iter().copied());
        let likely = likely.map(|name| format!("{PREFIX}{}", name.to_ascii_uppercase()));
        (!known.contains(&short.as_str())).then(|| format!("{name}: {}", unknown(likely)))
    };
    environment.iter().filter_map(|(name, _)| warning(name)).collect()
}

/// The values of the command line, by the settings' names.
pub type Flags = BTreeMap<&'static str, String>;

/// The settings of a file, as text, by key.
#[derive(Debug, Default)]
pub(super) struct File {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

impl File {
    /// Reads the file of `flag` or of the environment, if any.
    pub(super) fn load(flag: Option<&Path>, environment: &Environment) -> (Self, Vec<SettingError>) {
        let (path, origin) = match (flag, environment.get(CONFIG_VARIABLE)) {
            (Some(path), _) => (path, "--config"),
            (None, Some(path)) => (Path::new(path), CONFIG_VARIABLE),
            (None, None) => return (Self::default(), Vec::new()),
        };
        let table = contents(path)
            .and_then(|text| text.parse::<toml::Table>().map_err(|error| summary(&error, &text)));
        match table {
            Ok(table) => Self::read(path.to_owned(), table),
            Err(problem) => {
                let problem = format!("{} cannot be read: {problem}", path.display());
                (Self::default(), vec![SettingError::Wrong { origin: origin.to_owned(), problem }])
            }
        }
    }

    pub(super) fn read(path: PathBuf, table: toml::Table) -> (Self, Vec<SettingError>) {
        let mut file = Self { path, values: BTreeMap::new() };
        let mut errors = Vec::new();
        for (key, value) in table {
            let problem = match table::find(&key) {
                None => unknown(table::likely(&key, table::ALL.iter().map(|setting| setting.name))),
                Some(setting) => match text(&value, setting.kind) {
                    Some(text) => {
                        file.values.insert(key, text);
                        continue;
                    }
                    None => setting.kind.mismatch(&value.to_string()),
                },
            };
            errors.push(SettingError::Wrong { origin: file.origin(&key), problem });
        }
        (file, errors)
    }

    fn origin(&self, key: &str) -> String {
        format!("{} in {}", quoted(key), self.path.display())
    }
}

/// The text of a file, up to the limit.
fn contents(path: &Path) -> Result<String, String> {
    let read = std::fs::File::open(path).and_then(|file| input::text(file, FILE_BYTES_MAX));
    read.map_err(|error| error.to_string())
}

/// A string, a number, or a list of strings, as the other layers would write it.
fn text(value: &toml::Value, kind: Kind) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) if kind == Kind::Percent => Some(number.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        _ => None,
    }
}

/// A TOML error in one line.
fn summary(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line}: {}", printable(&error.message().replace('\n', "; "), MESSAGE_CHARS_MAX))
}

/// All layers, the strongest first.
pub(super) struct Layers<'a> {
    pub(super) flags: &'a Flags,
    pub(super) environment: &'a Environment,
    pub(super) file: &'a File,
}

impl Layers<'_> {
    /// The values of a setting in all layers with their origin, the strongest first; the default if there is none.
    pub(super) fn all(&self, setting: &'static Setting) -> Vec<(&str, String)> {
        let Setting { name, default, .. } = *setting;
        let flag = self.flags.get(name).map(|value| (value.as_str(), format!("--{}", setting.flag())));
        let variable = self.environment.get(&setting.variable()).map(|value| (value, setting.variable()));
        let key = self.file.values.get(name).map(|value| (value.as_str(), self.file.origin(name)));
        let mut all: Vec<_> = [flag, variable, key].into_iter().flatten().collect();
        if all.is_empty() && !default.is_empty() {
            all.push((default, format!("the default of {name}")));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_device_without_end_is_too_large_whatever_size_it_claims() {
        let endless = Path::new("/dev/zero");
        assert_eq!(std::fs::metadata(endless).unwrap().len(), 0);
        assert_eq!(contents(endless), Err("it is larger than 1048576 bytes".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_to_its_end() {
        use std::io::Write;
        use std::os::fd::AsRawFd;

        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"timeout_ms = 7").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(contents(Path::new(&path)).as_deref(), Ok("timeout_ms = 7"));
    }

    #[test]
    fn a_file_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut text = "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap());
        std::fs::write(file.path(), &text).unwrap();
        assert_eq!(contents(file.path()).as_ref(), Ok(&text));
        text.push('#');
        std::fs::write(file.path(), &text).unwrap();
        assert!(contents(file.path()).is_err());
    }
}
