//! The two ways to write the same numbers, and who gets how many.

use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Somebody who may see the whole machine.
    Everything,
    /// Anybody else: nothing that names a container.
    Totals,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header prefers; Prometheus text unless it asks for
    /// another by name.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let mut prometheus = 0.0;
        let mut open_metrics = 0.0;
        for range in accept.unwrap_or_default().split(',').map(Range::parse) {
            let quality = match range.media_type.as_str() {
                "application/openmetrics-text" if range.is_version("1.0.0") => &mut open_metrics,
                "text/plain" if range.is_version("0.0.4") => &mut prometheus,
                "text/*" | "*/*" => &mut prometheus,
                _ => continue,
            };
            *quality = range.quality.max(*quality);
        }
        if open_metrics > 0.0 && open_metrics >= prometheus {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The media type of what [`crate::state::metrics::Metrics::render`] returns.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Only writing can fail, and a `String` takes everything.
    pub(super) fn write(self, registries: &[&Registry]) -> String {
        let mut written = String::new();
        for registry in registries {
            let _infallible = match self {
                Self::Prometheus => prometheus_text::encode(&mut written, registry),
                Self::OpenMetrics => text::encode_registry(&mut written, registry),
            };
        }
        if self == Self::OpenMetrics {
            let _infallible = text::encode_eof(&mut written);
        }
        written
    }
}

/// One of what an `Accept` header lists.
struct Range {
    media_type: String,
    version: Option<String>,
    quality: f32,
}

impl Range {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            media_type: parts.next().unwrap_or_default().to_ascii_lowercase(),
            version: None,
            quality: 1.0,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "q" => range.quality = value.trim().parse().unwrap_or(0.0),
                "version" => range.version = Some(value.trim().trim_matches('"').to_owned()),
                _ => {}
            }
        }
        range
    }

    /// Who does not say takes any.
    fn is_version(&self, version: &str) -> bool {
        self.version.as_deref().is_none_or(|asked| asked == version)
    }
}
