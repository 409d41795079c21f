//! The report of `probe run`.

use probe_user::unstable::run::RunUsage;
use serde::Serialize;

use super::{KilledByObject, StatusObject};
use crate::api::quantity::nanoseconds;

/// How a command ended, and what was left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// `run`.
    pub r#type: &'static str,
    /// `done`, `timeout`, `leftovers` or `stuck`.
    pub outcome: &'static str,
    /// The exit code of `probe run`.
    pub exit_code: u8,
    /// Pid of the command.
    pub pid: u32,
    /// How the command ended; `None` if it is stuck.
    pub status: Option<StatusObject<'static>>,
    /// The sender of the signal that ended the command, if exits were recorded.
    pub killed_by: Option<KilledByObject<'a>>,
    /// Time from the start of the command to its end.
    pub command_ns: Option<u64>,
    /// Time from the start of the command to the end of its last process.
    pub elapsed_ns: u64,
    /// Path of the cgroup below the root of v2; `None` if the run had none.
    pub cgroup: Option<String>,
    /// The processes that outlived the command, or were killed with it.
    pub leftovers: Vec<LeftoverObject<'a>>,
    /// What the processes have used.
    #[serde(flatten)]
    pub usage: UsedObject,
}

/// A process that the command left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftoverObject<'a> {
    /// Its pid; `None` if it has none in this pid namespace.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: String,
    /// `killed`, `ended` or `stuck`.
    pub action: &'static str,
    /// The sender of the signal that ended it, if exits were recorded.
    pub killed_by: Option<KilledByObject<'a>>,
}

/// What the processes of a run have used, of which a value is `None` if the cgroup does not count
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsedObject {
    /// CPU time.
    pub cpu: Option<CpuObject>,
    /// Most memory at a time.
    pub memory_peak_bytes: Option<u64>,
    /// Processes that the out-of-memory killer ended.
    pub oom_kills: Option<u64>,
}

/// CPU time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields of a line name their unit"
)]
pub struct CpuObject {
    /// Both of the others.
    pub usage_ns: u64,
    /// In userspace.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
}

impl From<RunUsage> for UsedObject {
    fn from(usage: RunUsage) -> Self {
        Self {
            cpu: usage.cpu.map(|cpu| CpuObject {
                usage_ns: nanoseconds(cpu.usage),
                user_ns: nanoseconds(cpu.user),
                system_ns: nanoseconds(cpu.system),
            }),
            memory_peak_bytes: usage.memory_peak_bytes,
            oom_kills: usage.oom_kills,
        }
    }
}
