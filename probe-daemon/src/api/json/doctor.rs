//! The line of `probe doctor`.

use serde::Serialize;

/// The backends and features that this machine offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorLine {
    /// Version of all line types.
    pub schema: u32,
    /// Always `doctor`.
    pub r#type: &'static str,
    /// Release of the kernel, as `uname -r` prints it.
    pub kernel: String,
    /// Whether events wake waits; otherwise only a timer does.
    pub event_driven: bool,
    /// Backends, the best first.
    pub backends: Vec<CheckObject>,
    /// All other checks.
    pub checks: Vec<CheckObject>,
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckObject {
    /// Name of the check.
    pub name: String,
    /// Whether the check passed.
    pub ok: bool,
    /// Finding of the check, for people.
    pub detail: String,
    /// How to make a failed check pass.
    pub hint: Option<&'static str>,
}
