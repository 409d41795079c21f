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
    /// Directories with the state of container engines.
    pub engines: Vec<EngineObject>,
}

/// A directory with the state of a container engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineObject {
    /// The engine: `docker`, `containerd` ... `podman` also stands for CRI-O, which uses the
    /// same store.
    pub engine: &'static str,
    /// Path of the directory.
    pub location: String,
    /// What the state tells about a container.
    pub tells: &'static str,
    /// Number of containers with state there; `null` if the directory cannot be read.
    pub containers: Option<usize>,
    /// Why the directory cannot be read.
    pub error: Option<String>,
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
