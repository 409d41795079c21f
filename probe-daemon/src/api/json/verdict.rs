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
    pub targets: Vec<TargetObject<'a>>,
    /// Number of exits that were reported during the wait.
    pub exits: u64,
    /// Number of exits that were lost during the wait.
    pub lost: u64,
    /// Processes that are still in a target.
    pub survivors: Vec<SurvivorObject<'a>>,
    /// Processes that left a target alive; `None` if they are unknown.
    pub migrated: Option<Vec<MigrantObject<'a>>>,
}

/// One target and its own outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetObject<'a> {
    /// The target.
    #[serde(flatten)]
    pub subject: SubjectObject<'a>,
    /// The condition of the target.
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
    /// Path of its cgroup now.
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

/// A process that is still in a target, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SurvivorObject<'a> {
    /// Thread group id.
    pub pid: u32,
    /// Its name.
    pub comm: &'a str,
    /// State letter of `/proc/PID/stat`.
    pub state: char,
    /// Kernel function in which the process sleeps, if that may be read.
    pub wchan: Option<&'a str>,
    /// Time since its start.
    pub age_ns: Option<u64>,
    /// Reason why the process does not exit, if its state shows one.
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
