//! What `/proc` shows of one task, and the cause that it tells.

use super::{
    cause::{Cause, ProcessName},
    filesystem, frozen, fuse, memory,
    observer::Observer,
    quota,
    reason::Phase,
    survivor::reason_of,
};
use crate::{
    model::TaskState,
    proc::{
        directory::{Pids, ProcessDirectory},
        stat::Stat,
        status::Status,
    },
};

/// A child that has not executed a program since its fork (`PF_FORKNOEXEC`).
const PF_FORKNOEXEC: u32 = 0x40;

/// Most processes of a pid namespace that a cause lists.
const MAX_WAITED_FOR: usize = 64;

/// A task of a process.
pub(super) struct Task<'a> {
    pub(super) directory: &'a ProcessDirectory,
    /// Thread group id.
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) stat: Stat<'a>,
    pub(super) status: Status<'a>,
    /// Kernel functions, the innermost first: the stack if this process may read it, else at
    /// most the one in which the task sleeps.
    pub(super) stack: Vec<String>,
}

impl<'a> Task<'a> {
    /// Reads where the task sleeps. `ids` are its thread group and its own.
    pub(super) fn read(
        directory: &'a ProcessDirectory,
        [pid, tid]: [u32; 2],
        stat: Stat<'a>,
        status: Status<'a>,
    ) -> Self {
        let wchan = wchan(directory, tid);
        let mut task = Task {
            directory,
            pid,
            tid,
            stat,
            status,
            stack: wchan.into_iter().collect(),
        };
        // Reading the stack of each sleeping task would take most of the time.
        if task.stat.letter == 'D' || task.phase() != Phase::Living {
            let stack = stack(directory, tid);
            if !stack.is_empty() {
                task.stack = stack;
            }
        }
        task
    }

    pub(super) fn phase(&self) -> Phase {
        match self.stat.task_state() {
            TaskState::Zombie | TaskState::Dead => Phase::Exited,
            TaskState::Exiting => Phase::Exiting,
            _ if self.status.is_killed() => Phase::Killed,
            _ => Phase::Living,
        }
    }

    /// The kernel function in which the task sleeps.
    pub(super) fn wchan(&self) -> Option<&str> {
        self.stack.first().map(String::as_str)
    }

    /// Whether one of the functions is in the stack.
    pub(super) fn is_in(&self, functions: &[&str]) -> bool {
        self.stack.iter().any(|it| functions.contains(&it.as_str()))
    }

    /// The first function of the stack that begins with one of these words.
    pub(super) fn first_in(&self, prefixes: &[&str]) -> Option<&str> {
        let mut stack = self.stack.iter().map(String::as_str);
        stack.find(|it| prefixes.iter().any(|prefix| it.starts_with(prefix)))
    }

    /// What keeps the task; `None` for a task that executes its program, and for one that has
    /// exited.
    pub(super) fn cause(&self, observer: &Observer) -> Option<Cause> {
        let phase = self.phase();
        if phase == Phase::Exited {
            return None;
        }
        if self.status.is_dumping_core() {
            return Some(Cause::CoreDump {
                handler: core_handler(),
            });
        }
        // A cgroup that is freezing does not hold a task that sleeps elsewhere.
        if let Some(named) = self.named_sleep(observer) {
            return Some(named);
        }
        if let Some(cgroups) = frozen::by(self, observer) {
            return Some(Cause::Frozen { cgroups });
        }
        match self.stat.letter {
            'T' => return Some(Cause::Stopped),
            't' => {
                let tracer = self.status.tracer_pid().filter(|&pid| pid != 0);
                return Some(Cause::Traced {
                    tracer: tracer.map(Observer::name),
                });
            }
            _ => {}
        }
        self.other_sleep(observer, phase)
    }

    /// What a task waits for in the kernel, if the functions of its stack tell.
    fn named_sleep(&self, observer: &Observer) -> Option<Cause> {
        if self.is_in(&["zap_pid_ns_processes"]) {
            return Some(self.pid_namespace(observer));
        }
        if self.stat.letter == 'D'
            && self.is_in(&["kernel_clone", "wait_for_vfork_done", "_do_fork"])
        {
            return Some(Cause::Vfork {
                children: self.vfork_children(),
            });
        }
        fuse::cause(self, observer)
            .or_else(|| memory::cause(self, observer))
            .or_else(|| filesystem::cause(self, observer))
    }

    /// Why a task in the kernel takes long, if its stack does not tell.
    fn other_sleep(&self, observer: &Observer, phase: Phase) -> Option<Cause> {
        let is_uninterruptible = self.stat.letter == 'D';
        if phase != Phase::Living
            && self.stat.letter == 'R'
            && let Some(throttled) = quota::cause(self, observer)
        {
            return Some(throttled);
        }
        (is_uninterruptible || phase != Phase::Living).then(|| Cause::Kernel {
            wchan: self.wchan().map(str::to_owned),
            is_uninterruptible,
        })
    }

    fn vfork_children(&self) -> Vec<ProcessName> {
        let file = self
            .directory
            .content(format!("task/{}/children", self.tid));
        let file = file.unwrap_or_default();
        let text = String::from_utf8_lossy(&file);
        let pids = text
            .split_ascii_whitespace()
            .filter_map(|it| it.parse().ok());
        let has_not_executed = |&pid: &u32| {
            let file = ProcessDirectory::open(pid).and_then(|it| it.content("stat"));
            let file = file.unwrap_or_default();
            Stat::parse(&file).is_some_and(|it| it.flags & PF_FORKNOEXEC != 0)
        };
        pids.filter(has_not_executed).map(Observer::name).collect()
    }

    /// The processes in the pid namespace of this task, which is its init.
    fn pid_namespace(&self, observer: &Observer) -> Cause {
        let waits_for = self.others_in_namespace();
        let why = waits_for.first();
        let why = why.and_then(|first| reason_of(first.pid, observer));
        Cause::PidNamespace {
            waits_for,
            why: why.map(Box::new),
        }
    }

    fn others_in_namespace(&self) -> Vec<ProcessName> {
        let namespace = |directory: &ProcessDirectory| {
            rustix::fs::readlinkat(directory, "ns/pid", Vec::new()).ok()
        };
        let Some(own) = namespace(self.directory) else {
            return Vec::new();
        };
        let Ok(pids) = Pids::list() else {
            return Vec::new();
        };
        let others = pids.flatten().filter(|&pid| pid != self.pid);
        let is_in = |pid: &u32| {
            ProcessDirectory::open(*pid).is_ok_and(|it| namespace(&it).as_ref() == Some(&own))
        };
        let others = others.filter(is_in).take(MAX_WAITED_FOR);
        others.map(Observer::name).collect()
    }
}

/// The handler of core dumps.
fn core_handler() -> String {
    let file = std::fs::read("/proc/sys/kernel/core_pattern").unwrap_or_default();
    String::from_utf8_lossy(file.trim_ascii()).into_owned()
}

/// The kernel function in which a task sleeps; `None` if it runs, or if this process may not see
/// it.
pub(super) fn wchan(directory: &ProcessDirectory, tid: u32) -> Option<String> {
    let file = directory.content(format!("task/{tid}/wchan")).ok()?;
    let wchan = String::from_utf8_lossy(&file);
    (!wchan.is_empty() && wchan != "0").then(|| wchan.into_owned())
}

/// The kernel functions of a task, the innermost first; none without `CAP_SYS_ADMIN`.
fn stack(directory: &ProcessDirectory, tid: u32) -> Vec<String> {
    let file = directory.content(format!("task/{tid}/stack"));
    functions(&file.unwrap_or_default())
}

/// Parses `/proc/PID/stack`: lines such as `[<0>] do_wait+0x5b/0x110`.
fn functions(file: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(file);
    let lines = text.lines().filter_map(|line| {
        let (_, function) = line.split_once("] ")?;
        let name = function.split('+').next()?;
        Some(name.to_owned())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_its_functions() {
        let file = b"[<0>] request_wait_answer+0x1a/0x2b0\n[<0>] fuse_flush+0x10/0x20\n";
        assert_eq!(functions(file), ["request_wait_answer", "fuse_flush"]);
        assert!(functions(b"").is_empty());
    }
}
