//! [`Survivor`]: a process that is still there, and why.

use std::io;

use serde::Serialize;

use super::{
    cause::Cause,
    observer::Observer,
    reason::{Phase, Reason},
    signals,
    task::{self, Task},
};
use crate::{
    clock::boottime_ns,
    model::{Signal, TaskState},
    proc::{directory::ProcessDirectory, send::exists, stat::Stat, status::Status},
};

/// The signal that is usually sent first.
const SIGTERM: Signal = Signal(15);
/// Most threads of a process that are looked at.
const MAX_THREADS: usize = 512;
/// Limit: further threads with a reason.
const MAX_REASONS: usize = 8;

/// A process that outlived a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survivor {
    /// Thread group id.
    pub pid: u32,
    /// Name; `?` if `/proc` does not show it.
    pub comm: String,
    /// Letter of `/proc/PID/stat`: `R`, `S`, `D`, `Z`, `T`, `t`, …, or `?` if `/proc` does not
    /// show it.
    pub state: char,
    /// State of its thread group leader.
    #[serde(skip)]
    pub leader: TaskState,
    /// Kernel function in which its leader sleeps; `None` without the privilege to see it.
    pub wchan: Option<String>,
    /// Time since its start.
    pub age_ns: Option<u64>,
    /// Why the process is still there; `None` if nothing keeps it from its end: it executes its
    /// program.
    pub reason: Option<Reason>,
    /// The reasons of further threads, at most eight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<Reason>,
}

/// Describes the process of each pid; processes that are gone meanwhile are left out.
#[must_use]
pub fn describe(pids: &[u32], observer: &Observer) -> Vec<Survivor> {
    let one = |&pid| {
        survivor(pid, observer)
            .ok()
            .or_else(|| Survivor::hidden(pid))
    };
    pids.iter().filter_map(one).collect()
}

/// Why a process is still there.
pub(super) fn reason_of(pid: u32, observer: &Observer) -> Option<Reason> {
    survivor(pid, observer).ok()?.reason
}

impl Survivor {
    /// A process of which `/proc` shows nothing to this one; `None` if it is gone.
    fn hidden(pid: u32) -> Option<Self> {
        exists(pid).then(|| Self {
            pid,
            comm: "?".to_owned(),
            state: '?',
            leader: TaskState::Running,
            wchan: None,
            age_ns: None,
            reason: Some(Reason::new(Cause::Hidden, None, Phase::Living)),
            threads: Vec::new(),
        })
    }

    /// The reason for people.
    #[must_use]
    pub fn why(&self) -> &str {
        self.reason.as_ref().map_or("is alive", |it| &it.text)
    }
}

fn survivor(pid: u32, observer: &Observer) -> io::Result<Survivor> {
    let directory = ProcessDirectory::open(pid)?;
    let file = directory.content("stat")?;
    let stat = Stat::read(&file)?;
    let status = directory.content("status").unwrap_or_default();
    let status = Status::new(&status);
    let wchan = task::wchan(&directory, pid);
    let mut reasons = if stat.is_kernel_thread() {
        vec![Reason::new(Cause::KernelThread, None, Phase::Living)]
    } else {
        reasons(&directory, (stat, status), observer)
    };
    if reasons.is_empty() {
        reasons.extend(of_process(&stat, status, observer));
    }
    let reason = (!reasons.is_empty()).then(|| reasons.remove(0));
    let is_frozen = matches!(&reason, Some(it) if matches!(it.cause, Cause::Frozen { .. }));
    reasons.truncate(MAX_REASONS);
    Ok(Survivor {
        pid,
        comm: String::from_utf8_lossy(stat.comm).into_owned(),
        state: stat.letter,
        leader: status.task_state(&stat, is_frozen),
        wchan,
        age_ns: Some(boottime_ns().saturating_sub(stat.start_ns())),
        reason,
        threads: reasons,
    })
}

/// The reasons of all threads, that of the process first.
fn reasons(
    directory: &ProcessDirectory,
    (stat, status): (Stat<'_>, Status<'_>),
    observer: &Observer,
) -> Vec<Reason> {
    let pid = stat.pid;
    if stat.threads <= 1 {
        let leader = Task::read(directory, [pid, pid], stat, status);
        return of_task(&leader, observer).into_iter().collect();
    }
    let tids = directory.tids().unwrap_or_default();
    let of_thread = |tid: u32| {
        let stat = directory.content(format!("task/{tid}/stat")).ok()?;
        let status = directory.content(format!("task/{tid}/status")).ok()?;
        let (stat, status) = (Stat::parse(&stat)?, Status::new(&status));
        of_task(&Task::read(directory, [pid, tid], stat, status), observer)
    };
    let tids = tids.into_iter().take(MAX_THREADS);
    let mut reasons: Vec<_> = tids.filter_map(of_thread).collect();
    reasons.sort_by_key(|it| (it.cause.rank(), it.tid));
    reasons
}

fn of_task(task: &Task<'_>, observer: &Observer) -> Option<Reason> {
    let thread = (task.tid != task.pid).then_some(task.tid);
    if task.stat.letter != 'Z' {
        return Some(Reason::new(task.cause(observer)?, thread, task.phase()));
    }
    let tracer = task.status.tracer_pid().filter(|&tracer| tracer != 0);
    // The tracer of a zombie that is its parent, too, is told as that.
    let tracer = tracer.filter(|&tracer| tracer != task.stat.ppid)?;
    let cause = Cause::TracedZombie {
        tracer: Observer::name(tracer),
    };
    Some(Reason::new(cause, thread, Phase::Exited))
}

/// The reason of a process of which no thread is kept.
fn of_process(stat: &Stat<'_>, status: Status<'_>, observer: &Observer) -> Option<Reason> {
    if matches!(stat.letter, 'Z' | 'X' | 'x') {
        if stat.threads > 1 {
            let count = stat.threads - 1;
            return Some(Reason::new(Cause::Threads { count }, None, Phase::Living));
        }
        let parent = (stat.ppid != 0).then(|| Observer::name(stat.ppid));
        return Some(Reason::new(Cause::Zombie { parent }, None, Phase::Exited));
    }
    let signal = observer.sent.unwrap_or(SIGTERM);
    let fate = signals::fate(status, signal, observer.sent.is_some())?;
    let signal = signal.name();
    Some(Reason::new(
        Cause::Signal { signal, fate },
        None,
        Phase::Living,
    ))
}
