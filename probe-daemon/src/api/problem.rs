//! Problems, in the form of RFC 9457.

use serde::{Deserialize, Serialize};

/// Body of every answer from 400 on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Always `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the status.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was wrong, and where.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Media type of a [`Problem`].
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
