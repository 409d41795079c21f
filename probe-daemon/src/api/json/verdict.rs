//! The last line of `probe wait` and `probe kill`.

use probe_user::unstable::proc::survivors::{Migrant, Survivor};
use serde::Serialize;

use super::SubjectObject;

/// How a wait or a kill ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// `wait` or `kill`.
    pub r#type: &'static str,
    /// A word of [`Outcome`](crate::api::Outcome), or `not_removed`.
    pub outcome: &'static str,
    /// The condition, if it is the same for all targets.
    pub until: Option<&'static str>,
    /// The backend that served last.
    pub backend: &'static str,
    /// Every backend that served, in the order in which they joined.
    pub backends: Vec<&'static str>,
    /// The event that led to the last look; `None` if the first look was enough.
    pub woken_by: Option<&'static str>,
    /// Whether the answer is exact on this kernel.
    pub exact: bool,
    /// From the start of the command to the last look.
    pub elapsed_ns: u64,
    /// In the order of the command line.
    pub targets: Vec<TargetObject<'a>>,
    /// Exits that were reported meanwhile.
    pub exits: u64,
    /// Exits that were lost meanwhile.
    pub lost: u64,
    /// Processes that are still in a target.
    pub survivors: Vec<SurvivorObject<'a>>,
    /// Processes that left a target alive; `None`: unknown.
    pub migrated: Option<Vec<MigrantObject<'a>>>,
}

/// One target and its own outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetObject<'a> {
    /// Its names.
    #[serde(flatten)]
    pub subject: SubjectObject<'a>,
    /// The condition that was waited for.
    pub until: &'static str,
    /// A word of [`Outcome`](crate::api::Outcome).
    pub outcome: &'static str,
}

/// A process that left a target alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrantObject<'a> {
    /// Thread group id.
    pub pid: u32,
    /// Its name.
    pub comm: &'a str,
    /// Path of the cgroup that it is in now.
    pub cgroup: Option<&'a str>,
}

impl<'a> From<&'a Migrant> for MigrantObject<'a> {
    fn from(migrant: &'a Migrant) -> Self {
        Self {
            pid: migrant.pid,
            comm: &migrant.comm,
            cgroup: migrant.cgroup.as_deref(),
        }
    }
}

/// A process that is still in a target, and what keeps it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SurvivorObject<'a> {
    /// Thread group id.
    pub pid: u32,
    /// Its name.
    pub comm: &'a str,
    /// Letter of `/proc/PID/stat`.
    pub state: char,
    /// Kernel function that it sleeps in, where that may be read.
    pub wchan: Option<&'a str>,
    /// Time since its start.
    pub age_ns: Option<u64>,
    /// Why it does not die, where its state shows that.
    pub reason: Option<&'a str>,
}

impl<'a> From<&'a Survivor> for SurvivorObject<'a> {
    fn from(survivor: &'a Survivor) -> Self {
        Self {
            pid: survivor.pid,
            comm: &survivor.comm,
            state: survivor.state,
            wchan: survivor.wchan.as_deref(),
            age_ns: survivor.age_ns,
            reason: survivor.reason.as_deref(),
        }
    }
}
