//! Error answers, in the format of RFC 9457.

use serde::{Deserialize, Serialize};

/// Body of every answer with a status of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Always `about:blank`: the kind of the problem is the HTTP status.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the HTTP status.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// The error, and the part of the request that caused it.
    pub detail: String,
    /// How to avoid the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Media type of a [`Problem`].
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
