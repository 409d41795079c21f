//! The last line of `probe wait` and `probe kill`.

use probe_user::{
    model::Until,
    unstable::{diagnosis::Survivor, proc::migrants::Migrant},
};
use serde::Serialize;

use super::SubjectObject;
use crate::api::Outcome;

/// The outcome of a kill if the wait succeeded, but a cgroup could not be removed.
pub const NOT_REMOVED: &str = "not_removed";

/// How a wait or a kill ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictLine {
    /// Version of all line types.
    pub schema: u32,
    /// `wait` or `kill`.
    pub r#type: &'static str,
    /// A word of [`Outcome`], or [`NOT_REMOVED`].
    pub outcome: &'static str,
    /// The condition, if it is the same for all targets.
    pub until: Option<Until>,
    /// The backend that was in use at the end.
    pub backend: &'static str,
    /// Every backend that was in use, in the order in which they joined.
    pub backends: Vec<&'static str>,
    /// The wake-up source that led to the last look; `None` if the first look was enough.
    pub woken_by: Option<&'static str>,
    /// Whether the verdict is exact on this kernel.
    pub exact: bool,
    /// Time from the start of the command to the last look.
    pub elapsed_ns: u64,
    /// The targets, in the order of the command line.
    pub targets: Vec<TargetObject>,
    /// Number of exits that were reported during the wait; `None` if none was, and processes may
    /// have exited unseen.
    pub exits: Option<u64>,
    /// Number of exits that are missing among them; `None` if it is unknown.
    pub lost: Option<u64>,
    /// Processes that are still in a target.
    pub survivors: Vec<Survivor>,
    /// Processes that left a target alive; `None` if they are unknown.
    pub migrated: Option<Vec<Migrant>>,
    /// Number of processes that a kill has signalled; `None` for a wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed: Option<u64>,
    /// Paths of the cgroups that a kill leaves behind and in which the kernel kills processes
    /// that are started directly in them; `None` for a wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kills_clones: Option<Vec<String>>,
}

/// One target and its own outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetObject {
    /// The target.
    #[serde(flatten)]
    pub subject: SubjectObject,
    /// The condition of the target.
    pub until: Until,
    /// The outcome for the target.
    pub outcome: Outcome,
}
