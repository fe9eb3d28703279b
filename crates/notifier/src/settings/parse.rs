//! Texts into values, each by what the table says the setting takes; mistakes are gathered, not thrown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;

use super::layers::Layers;
use super::mistake::{Mistake, Mistakes};
use super::table::{Kind, Setting};
use super::{Place, Settings};
use crate::deliver::Signing;
use crate::network::{Networks, NetworksError};
use crate::secrets::{REFERENCES_MAX, SecretRef};
use crate::text::quoted;

/// The most services with secrets of their own.
const SERVICES_MAX: usize = 1_000;

/// What a text is instead of a value.
enum Wrong {
    /// Not what the setting takes.
    Kind,
    /// Well-formed, and not usable for this reason.
    Because(String),
}

/// Reads settings one by one and keeps the mistakes.
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers<'a>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// Notes when a setting has no value.
    pub(super) fn need(&mut self, setting: &'static Setting) {
        if self.layers.get(setting).is_none() {
            self.mistakes.push(Mistake::Missing(setting));
        }
    }

    /// The value, or nothing when there is none or it is wrong.
    fn read<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let (text, origin) = self.layers.get(setting)?;
        let mistake = match parse(text.trim()) {
            Ok(value) => return Some(value),
            Err(Wrong::Kind) => {
                Mistake::Value { origin, value: quoted(text), expected: setting.kind.to_string() }
            }
            Err(Wrong::Because(problem)) => Mistake::Unusable { origin, problem },
        };
        self.mistakes.push(mistake);
        None
    }

    pub(super) fn queue_url(&mut self, setting: &'static Setting) -> Option<String> {
        self.read(setting, |text| {
            let uri: Uri = text.parse().map_err(|_| Wrong::Kind)?;
            let scheme = uri.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
            if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
                return Err(Wrong::Because("a queue URL carries no user name or password".to_owned()));
            }
            let named = uri.path().rsplit('/').next().is_some_and(|name| !name.is_empty());
            if scheme && uri.host().is_some() && named && uri.query().is_none() {
                Ok(text.to_owned())
            } else {
                Err(Wrong::Kind)
            }
        })
    }

    pub(super) fn ledger(&mut self, setting: &'static Setting) -> Place {
        let place = self.read(setting, |text| match text.split_once(':') {
            None if text == "none" => Ok(Place::None),
            Some(("dynamodb", table)) if !table.is_empty() => Ok(Place::DynamoDb(table.to_owned())),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Place::Sqlite(path.into())),
            _ => Err(Wrong::Kind),
        });
        place.unwrap_or_default()
    }

    pub(super) fn word<T>(
        &mut self,
        setting: &'static Setting,
        meaning: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(setting, |text| match setting.kind {
            Kind::Word(words) if words.contains(&text) => meaning(text).ok_or(Wrong::Kind),
            _ => Err(Wrong::Kind),
        })
    }

    pub(super) fn number(&mut self, setting: &'static Setting) -> u32 {
        let number = self.read(setting, |text| match (setting.kind, text.parse::<u32>()) {
            // `parse` alone would take `+5`.
            (Kind::Number { least, most }, Ok(number))
                if (least..=most).contains(&number) && !text.starts_with('+') =>
            {
                Ok(number)
            }
            _ => Err(Wrong::Kind),
        });
        number.unwrap_or_default()
    }

    pub(super) fn millis(&mut self, setting: &'static Setting) -> Duration {
        Duration::from_millis(self.number(setting).into())
    }

    pub(super) fn networks(&mut self, setting: &'static Setting) -> Networks {
        let networks = self.read(setting, |text| {
            text.parse().map_err(|wrong: NetworksError| Wrong::Because(wrong.to_string()))
        });
        networks.unwrap_or_default()
    }

    pub(super) fn listen(&mut self, setting: &'static Setting) -> Option<SocketAddr> {
        self.read(setting, |text| match text {
            "none" => Ok(None),
            _ => text.parse().map(Some).map_err(|_| Wrong::Kind),
        })
        .flatten()
    }

    /// No message repeats what was set: it may be the secret itself.
    pub(super) fn secret(&mut self, setting: &'static Setting) -> Option<SecretRef> {
        self.read(setting, |text| text.parse().map_err(because))
    }

    pub(super) fn signing(&mut self, setting: &'static Setting) -> Signing {
        let signing = self.read(setting, |text| match text {
            "none" => Ok(Signing::Off),
            _ => SecretRef::list(text).map(Signing::By).map_err(because),
        });
        signing.unwrap_or_default()
    }

    pub(super) fn secrets_of_services(
        &mut self,
        setting: &'static Setting,
    ) -> BTreeMap<String, Vec<SecretRef>> {
        let secrets = self.read(setting, |text| {
            let mut all = BTreeMap::<String, Vec<SecretRef>>::new();
            for (number, pair) in (1..).zip(text.split(',')) {
                let wrong = |problem: &str| Wrong::Because(format!("pair {number}: {problem}"));
                let (service, reference) =
                    pair.trim().split_once('=').ok_or_else(|| wrong("there is no `=` after a service"))?;
                let is_word = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
                // Source: ECS API reference, `CreateService`.
                if !(1..=255).contains(&service.len()) || !service.bytes().all(is_word) {
                    return Err(wrong("it does not begin with the name of a service"));
                }
                let reference =
                    reference.parse().map_err(|error: crate::secrets::RefError| wrong(&error.to_string()))?;
                let references = all.entry(service.to_owned()).or_default();
                references.push(reference);
                if references.len() > REFERENCES_MAX {
                    return Err(wrong("the service has too many"));
                }
                if all.len() > SERVICES_MAX {
                    return Err(wrong("there are too many services"));
                }
            }
            Ok(all)
        });
        secrets.unwrap_or_default()
    }

    /// The settings, unless there was a mistake.
    pub(super) fn finish(self, settings: Settings) -> Result<Settings, Mistakes> {
        if self.mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(self.mistakes)) }
    }
}

fn because(error: impl std::fmt::Display) -> Wrong {
    Wrong::Because(error.to_string())
}
