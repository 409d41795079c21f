//! The line of `probe doctor`.

use serde::Serialize;

/// The backends and features that this machine offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// Always `doctor`.
    pub r#type: &'static str,
    /// Release of the kernel, as `uname -r` prints it.
    pub kernel: &'a str,
    /// Whether events wake waits; otherwise only a timer does.
    pub event_driven: bool,
    /// Backends, the best first.
    pub backends: Vec<CheckObject<'a>>,
    /// All other checks.
    pub checks: Vec<CheckObject<'a>>,
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckObject<'a> {
    /// Name of the check.
    pub name: &'a str,
    /// Whether the check passed.
    pub ok: bool,
    /// Finding of the check, for people.
    pub detail: &'a str,
    /// How to make a failed check pass.
    pub hint: Option<&'a str>,
}
