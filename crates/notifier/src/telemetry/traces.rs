//! The export of traces, if the settings name a collector.

use std::time::Duration;

use crate::base::spans::Spans;
use crate::secrets::{SecretError, Vault};
use crate::settings::TraceSettings;

#[cfg(feature = "otel")]
use super::otlp::Exporter;

/// Exports the spans of a process. The default exports none.
#[derive(Debug, Default)]
pub struct Traces {
    #[cfg(feature = "otel")]
    exporter: Option<Exporter>,
}

impl Traces {
    /// Begins to export spans to the collector of these settings; without one, no span is made. The function's name is an
    /// attribute of its spans. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the secret with the collector's headers cannot be read, or its certificate authorities.
    #[cfg(feature = "otel")]
    pub async fn start(
        settings: &TraceSettings,
        refresh: Duration,
        vault: &Vault,
        function: Option<&str>,
    ) -> Result<Self, SecretError> {
        Ok(Self { exporter: Exporter::start(settings, refresh, vault, function).await? })
    }

    /// The settings name no collector in a build without the feature `otel`.
    #[cfg(not(feature = "otel"))]
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub async fn start(
        _settings: &TraceSettings,
        _refresh: Duration,
        _vault: &Vault,
        _function: Option<&str>,
    ) -> Result<Self, SecretError> {
        Ok(Self::default())
    }

    /// Where finished spans go.
    pub fn spans(&self) -> Spans {
        #[cfg(feature = "otel")]
        if let Some(exporter) = &self.exporter {
            return exporter.spans();
        }
        Spans::default()
    }

    /// Waits until the spans so far are exported, up to `limit`. Call it before a process is frozen or ends.
    #[cfg_attr(not(feature = "otel"), expect(clippy::unused_async, reason = "as with the feature"))]
    pub async fn flush(&self, limit: Duration) {
        #[cfg(feature = "otel")]
        if let Some(exporter) = &self.exporter {
            exporter.flush(limit).await;
        }
        #[cfg(not(feature = "otel"))]
        let _ = limit;
    }
}
