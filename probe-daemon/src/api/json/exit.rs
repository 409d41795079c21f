//! The line of an exit, and the record that is read back from it.

use std::{borrow::Cow, sync::Arc};

use probe_user::{
    model::{Comm, Exit, ExitingTask, Placed, Process, Usage},
    unstable::clock::WallClock,
};
use rustix::param::page_size;
use serde::{Deserialize, Serialize};

use super::{
    CgroupObject, ContainerObject, KilledByObject, LineType, NamespaceObject, SCHEMA, StatusObject,
    age_ns, number, time,
};

/// A process began to exit: its status is final, and it is still in its cgroup. With
/// `trace --threads` a single task has such a line, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "fields of a line")]
pub struct ExitLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// Type of the line.
    pub r#type: LineType,
    /// `boottime_ns` as wall-clock time: RFC 3339 in UTC with nine digits.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// When the kernel hook ran: nanoseconds in `CLOCK_BOOTTIME`.
    pub boottime_ns: u64,
    /// Thread group id in the pid namespace of probe, or of the daemon; `null` if the process
    /// has none there.
    pub pid: Option<u32>,
    /// Task id of the task that exits, in the same namespace.
    pub tid: Option<u32>,
    /// Thread group id of the real parent.
    pub ppid: Option<u32>,
    /// Real uid in the initial user namespace.
    pub uid: Option<u32>,
    /// Name of the group leader.
    #[serde(borrow)]
    pub comm: Cow<'a, str>,
    /// Start of the group leader; `pid` and start identify one process.
    pub start_boottime_ns: Option<u64>,
    /// Whether the last task of the process exits.
    pub group_dead: bool,
    /// Whether the task is the group leader.
    pub leader: bool,
    /// Exit status of the process or task.
    #[serde(borrow)]
    pub status: Option<StatusObject<'a>>,
    /// Time since the start of the group leader.
    pub age_ns: Option<u64>,
    /// The v2 cgroup unless that is the root, else the first v1 cgroup that is not the root.
    #[serde(borrow)]
    pub cgroup: Option<CgroupObject<'a>>,
    /// The container of that cgroup, else that of its cgroup in the first v1 hierarchy.
    #[serde(borrow)]
    pub container: Option<ContainerObject<'a>>,
    /// The sender of the signal that ended it.
    #[serde(borrow)]
    pub killed_by: Option<KilledByObject<'a>>,
    /// Whether `killed_by` is unknown because other processes had too many signals pending.
    #[serde(default)]
    pub killer_forgotten: bool,
    /// Whether the out-of-memory killer chose the process.
    pub oom: bool,
    /// Resources that the process used.
    pub usage: Option<UsageObject>,
    /// Its pid in its own pid namespace.
    pub ns: Option<NamespaceObject>,
    /// The task that exits, with `tid`.
    #[serde(borrow, default)]
    pub task: Option<TaskObject<'a>>,
}

/// The task that exits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskObject<'a> {
    /// Its name.
    #[serde(borrow)]
    pub comm: Cow<'a, str>,
    /// Start of the task.
    pub start_boottime_ns: Option<u64>,
    /// Time since the start of the task.
    pub age_ns: Option<u64>,
    /// Its cgroup, if it is not that of the group leader.
    #[serde(borrow)]
    pub cgroup: Option<CgroupObject<'a>>,
}

impl<'a> ExitLine<'a> {
    /// The line of a record; `clock` converts its time to wall-clock time.
    #[must_use]
    pub fn new(exit: &'a Placed<Exit>, clock: &WallClock) -> Self {
        let process = &exit.what.process;
        Self {
            schema: SCHEMA,
            r#type: LineType::Exit,
            time: time(clock.unix_ns(exit.boottime_ns)).into(),
            boottime_ns: exit.boottime_ns,
            pid: number(process.tgid),
            tid: number(process.tid),
            ppid: process.ppid,
            uid: process.uid,
            comm: process.comm.to_str(),
            start_boottime_ns: process.start_boottime_ns,
            group_dead: exit.what.group_dead,
            leader: exit.what.leader,
            status: exit.what.status.map(StatusObject::from),
            age_ns: age_ns(process.start_boottime_ns, exit.boottime_ns),
            cgroup: exit.cgroup.as_ref().map(CgroupObject::from),
            container: exit.container.as_deref().map(ContainerObject::from),
            killed_by: exit.what.killed_by.as_ref().map(KilledByObject::from),
            killer_forgotten: exit.what.killer_forgotten,
            oom: exit.what.oom,
            usage: exit.what.usage.map(UsageObject::from),
            ns: NamespaceObject::of(process),
            task: Some(TaskObject {
                comm: exit.what.task.comm.to_str(),
                start_boottime_ns: exit.what.task.start_boottime_ns,
                age_ns: age_ns(exit.what.task.start_boottime_ns, exit.boottime_ns),
                cgroup: exit.task_cgroup.as_deref().map(CgroupObject::from),
            }),
        }
    }

    /// The record of this line. Values that a line does not have are `None`.
    #[must_use]
    pub(crate) fn to_record(&self) -> Placed<Exit> {
        let cgroup = self.cgroup.as_ref().map(CgroupObject::to_cgroup);
        let status = self.status.as_ref().and_then(StatusObject::to_status);
        let container = self.container.as_ref();
        let task = self.task.as_ref();
        let task_cgroup = task.and_then(|it| it.cgroup.as_ref());
        let task_cgroup = task_cgroup.map(CgroupObject::to_cgroup);
        Placed {
            boottime_ns: self.boottime_ns,
            what: Exit {
                process: Process {
                    tid: self.tid.unwrap_or_default(),
                    tgid: self.pid.unwrap_or_default(),
                    initial_tgid: 0,
                    ppid: self.ppid,
                    uid: self.uid,
                    comm: Comm::from_text(&self.comm),
                    start_boottime_ns: self.start_boottime_ns,
                    cgroup: cgroup.as_ref().map(|cgroup| cgroup.id),
                    v1_cgroup_id: None,
                    ns_pid: self.ns.map(|ns| ns.pid),
                    pid_ns: self.ns.map(|ns| ns.pid_ns),
                    owners: None,
                },
                group_dead: self.group_dead,
                leader: self.leader,
                status,
                killed_by: self
                    .killed_by
                    .as_ref()
                    .and_then(|killed_by| killed_by.to_killed_by(status)),
                killer_forgotten: self.killer_forgotten,
                oom: self.oom,
                usage: self.usage.map(UsageObject::to_usage),
                task: task.map_or_else(ExitingTask::default, |task| ExitingTask {
                    comm: Comm::from_text(&task.comm),
                    start_boottime_ns: task.start_boottime_ns,
                    cgroup: task_cgroup.as_ref().map(|cgroup| cgroup.id),
                    ..ExitingTask::default()
                }),
            },
            cgroup,
            v1_cgroup: None,
            task_cgroup: task_cgroup.map(Box::new),
            container: container
                .and_then(ContainerObject::to_container)
                .map(Arc::new),
        }
    }
}

/// Resources that a process used: those of its threads, not those of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageObject {
    /// CPU time in user mode.
    pub user_ns: u64,
    /// CPU time in kernel mode.
    pub system_ns: u64,
    /// Largest resident set.
    pub max_rss_bytes: u64,
}

impl From<Usage> for UsageObject {
    fn from(usage: Usage) -> Self {
        Self {
            user_ns: usage.user_ns,
            system_ns: usage.system_ns,
            max_rss_bytes: usage.max_rss_pages.saturating_mul(page_size() as u64),
        }
    }
}

impl UsageObject {
    fn to_usage(self) -> Usage {
        Usage {
            user_ns: self.user_ns,
            system_ns: self.system_ns,
            max_rss_pages: self.max_rss_bytes / page_size() as u64,
        }
    }
}
