//! The diagnosis of `probe why`.

use probe_user::unstable::diagnosis::{Obstacle, Survivor};
use serde::Serialize;

/// Why a target is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhyLine {
    /// Version of all line types.
    pub schema: u32,
    /// `why`.
    pub r#type: &'static str,
    /// The target as it was given; `None` for the whole machine.
    pub target: Option<String>,
    /// A sentence for people about the processes that are left.
    pub summary: String,
    /// What would free the process that the summary names.
    pub hint: Option<String>,
    /// The processes that are still there.
    pub survivors: Vec<Survivor>,
    /// What keeps the cgroups of the target, if no process does.
    pub obstacles: Vec<Obstacle>,
}
