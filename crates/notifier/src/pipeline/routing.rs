//! The routing rules of a process, reloaded in time.

use std::sync::Arc;
use std::time::Duration;

use crate::secrets::{Kept, Material, SecretError, SecretRef, Unusable, Vault};
use crate::sources::Routes;

/// The routing rules. The default has none. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Routing(Option<Kept<Routes>>);

impl Routing {
    /// Reads the rules for the first time. Rules in AWS are read again after `interval`, those of a file after a second; wrong
    /// rules are logged then, and the last ones stay in use.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or are wrong.
    pub async fn load(
        place: Option<&SecretRef>,
        interval: Duration,
        vault: &Vault,
    ) -> Result<Self, SecretError> {
        let Some(place) = place else { return Ok(Self::default()) };
        let rules = Kept::open(vault.clone(), vec![place.clone()], interval, rules).await?;
        Ok(Self(Some(rules)))
    }

    /// The current rules; `None` if none are set.
    pub(super) async fn current(&self) -> Option<Arc<Routes>> {
        match &self.0 {
            Some(rules) => Some(rules.current().await.value),
            None => None,
        }
    }
}

fn rules(texts: &[Material]) -> Result<Routes, Unusable> {
    let text = texts.first().map(Material::newest).unwrap_or_default();
    Ok(Routes::parse(text, "routes")?)
}
