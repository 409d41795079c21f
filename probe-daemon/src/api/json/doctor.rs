//! The line of `probe doctor`.

use serde::Serialize;

/// What the machine offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// Always `doctor`.
    pub r#type: &'static str,
    /// `uname -r`.
    pub kernel: &'a str,
    /// Whether waits are woken by events.
    pub event_driven: bool,
    /// Backends, the best first.
    pub backends: Vec<CheckObject<'a>>,
    /// Everything else that was looked at.
    pub checks: Vec<CheckObject<'a>>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckObject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is there.
    pub ok: bool,
    /// What was found.
    pub detail: &'a str,
    /// How to get it, where it is missing.
    pub hint: Option<&'a str>,
}
