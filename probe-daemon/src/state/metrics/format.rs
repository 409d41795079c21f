//! The two text formats of the metrics, and the two scopes.

use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};

/// The series that a peer may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All series.
    Everything,
    /// The series that do not name a container.
    Totals,
}

/// Text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header prefers; Prometheus text unless the header
    /// names the other.
    #[must_use]
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        let mut prometheus = 0.0;
        let mut open_metrics = 0.0;
        for range in accept.unwrap_or_default().split(',').map(Range::parse) {
            let quality = match range.media_type.as_str() {
                "application/openmetrics-text" if range.accepts_version("1.0.0") => {
                    &mut open_metrics
                }
                "text/plain" if range.accepts_version("0.0.4") => &mut prometheus,
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

    /// The media type of the text of [`crate::state::metrics::Metrics::render`].
    #[must_use]
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes the registries. Writing to a `String` cannot fail.
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

/// One media range of an `Accept` header.
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

    /// Whether the range accepts this version. A range without a version accepts any.
    fn accepts_version(&self, version: &str) -> bool {
        self.version.as_deref().is_none_or(|it| it == version)
    }
}
