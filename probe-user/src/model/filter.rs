//! Selects the records that a reader asks for.
//!
//! The conditions that the BPF programs can test become their [`config::Filter`]: a
//! record that does not meet them costs neither ring space nor a wake-up. The other
//! conditions are tested here, on records.

use std::path::PathBuf;

use glob::Pattern;
use probe_ebpf::config;

use super::{Exit, ExitStatus, Placed, Process, Record, Renamed};

/// A cgroup and its descendants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// 0 for v2.
    pub hierarchy: u32,
    /// Path below the root of the hierarchy.
    pub path: String,
}

/// A process as a target: the pid may belong to another process later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetProcess {
    /// Thread group id in the pid namespace of this process.
    pub pid: u32,
    /// The start of the process is at this time in `CLOCK_BOOTTIME` nanoseconds or later, by
    /// less than a clock tick, which is the unit of `/proc`.
    pub starts_ns: u64,
    /// The length of a clock tick in nanoseconds.
    pub tick_ns: u64,
}

impl TargetProcess {
    /// Whether a record is about this process. A record without a start is, if it has the pid.
    #[must_use]
    pub fn is(&self, process: &Process) -> bool {
        let is_start = |start: u64| {
            start
                .checked_sub(self.starts_ns)
                .is_some_and(|it| it < self.tick_ns)
        };
        process.tgid == self.pid && process.start_boottime_ns.is_none_or(is_start)
    }
}

/// Conditions for the records that a reader gets. A record has to be about one of the
/// targets, and to meet all other conditions.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent conditions, as the user gave them"
)]
pub struct Filter {
    /// Directories of target cgroups, by absolute path. They become `subtrees` when
    /// [`crate::ExitStream::open`] looks them up.
    pub directories: Vec<PathBuf>,
    /// Target cgroups. If there are neither `subtrees` nor `processes`, every process is a
    /// target.
    pub subtrees: Vec<Subtree>,
    /// Target processes, by thread group id in the pid namespace of this process. They become
    /// `processes` when [`crate::ExitStream::open`] looks them up.
    pub pids: Vec<u32>,
    /// Target processes.
    pub processes: Vec<TargetProcess>,
    /// Patterns of which the name of the process must match one; empty for any name.
    pub comms: Vec<Pattern>,
    /// Real uids of which the process must have one; empty for any user.
    pub uids: Vec<u32>,
    /// Only processes that ended otherwise than by `exit(0)`.
    pub failed: bool,
    /// Only processes that a signal ended.
    pub signaled: bool,
    /// Only out-of-memory victims.
    pub oom: bool,
    /// Least age in nanoseconds.
    pub min_age_ns: Option<u64>,
    /// Greatest age in nanoseconds.
    pub max_age_ns: Option<u64>,
    /// Also tasks that are not the last of their group.
    pub threads: bool,
}

impl Filter {
    /// Selects the processes that end in a cgroup, v1 or v2, or in its descendants.
    /// `path` is the absolute path of its directory.
    pub fn cgroup(path: impl Into<PathBuf>) -> Self {
        Self {
            directories: vec![path.into()],
            ..Self::default()
        }
    }

    /// Selects the end of the process that has this thread group id when the stream is opened.
    #[must_use]
    pub fn process(pid: u32) -> Self {
        Self {
            pids: vec![pid],
            ..Self::default()
        }
    }

    /// Whether the BPF programs can test the subtrees by themselves: v2 only, few
    /// enough, and no pids beside them, because all their tests must hold.
    #[must_use]
    pub fn kernel_tests_subtrees(&self) -> bool {
        !self.subtrees.is_empty()
            && self.processes.is_empty()
            && self.subtrees.len() <= config::CGROUP_SLOTS as usize
            && self.subtrees.iter().all(|subtree| subtree.hierarchy == 0)
    }

    /// Whether the BPF programs can test the pids by themselves: no subtrees beside
    /// them.
    #[must_use]
    pub fn kernel_tests_pids(&self) -> bool {
        !self.processes.is_empty() && self.subtrees.is_empty()
    }

    /// The v1 hierarchy for which records must have the cgroup. The caller refuses
    /// targets in more than one hierarchy.
    #[must_use]
    pub fn hierarchy(&self) -> Option<u32> {
        self.subtrees
            .iter()
            .map(|subtree| subtree.hierarchy)
            .find(|&hierarchy| hierarchy != 0)
    }

    /// The conditions that the BPF programs test.
    #[must_use]
    pub fn kernel_filter(&self, stream_bytes: u32) -> config::Filter {
        let flag = |condition, flag| if condition { flag } else { 0 };
        let slots = if self.kernel_tests_subtrees() {
            self.subtrees.len()
        } else {
            0
        };
        config::Filter {
            flags: flag(self.threads, config::FILTER_THREADS)
                | flag(self.failed, config::FILTER_FAILED)
                | flag(self.signaled, config::FILTER_SIGNALED)
                | flag(self.oom, config::FILTER_OOM)
                | flag(self.uids.len() == 1, config::FILTER_UID)
                | flag(self.kernel_tests_pids(), config::FILTER_PIDS)
                | flag(
                    self.min_age_ns.or(self.max_age_ns).is_some(),
                    config::FILTER_AGE,
                ),
            uid: self.uids.first().copied().unwrap_or(0),
            cgroup_slots: u32::try_from(slots).unwrap_or(0),
            wake_bytes: stream_bytes / 4,
            min_age_ns: self.min_age_ns.unwrap_or(0),
            max_age_ns: self.max_age_ns.unwrap_or(u64::MAX),
            hierarchy: self.hierarchy().unwrap_or(probe_ebpf::event::UNKNOWN),
            // The loader sets that of the reader.
            pid_ns: config::INITIAL_PID_NS,
        }
    }

    /// Follows a v1 cgroup that was renamed: records name the new path from then on.
    pub fn rename(&mut self, renamed: &Renamed) {
        for subtree in &mut self.subtrees {
            if subtree.hierarchy == renamed.hierarchy
                && let Some(path) = renamed.path_of(&subtree.path)
            {
                subtree.path = path;
            }
        }
    }

    /// Whether a record meets the conditions that the BPF programs do not test.
    #[must_use]
    pub fn admits(&self, record: &Record) -> bool {
        match record {
            Record::Exit(exit) => {
                let tested = self.kernel_tests_subtrees() && !exit.what.task.is_apart;
                self.admits_oom(&exit.what) && self.admits_placed(exit, &exit.what.process, tested)
            }
            Record::Start(start) => self.admits_placed(start, &start.what.process, false),
            Record::Lost { .. } => true,
        }
    }

    /// Whether a record of a daemon's stream meets every condition but the targets, which
    /// the daemon has tested.
    #[must_use]
    pub fn admits_from_daemon(&self, record: &Record) -> bool {
        match record {
            Record::Exit(exit) => self.admits_exit(exit),
            Record::Start(start) => self.admits_process(&start.what.process),
            Record::Lost { .. } => true,
        }
    }

    /// Whether an exit meets every condition, and is one of a target. The cgroups of the record
    /// must name the hierarchies of the `subtrees`.
    #[must_use]
    pub fn admits_everywhere(&self, record: &Record) -> bool {
        let is_target = match record {
            Record::Exit(exit) => {
                self.is_target(&exit.what.process) || self.is_in_subtree(exit, false)
            }
            Record::Start(start) => {
                self.is_target(&start.what.process) || self.is_in_subtree(start, false)
            }
            Record::Lost { .. } => true,
        };
        is_target && self.admits_from_daemon(record)
    }

    /// Whether a live process is in a target: its pid, and the hierarchy and path of each of its
    /// cgroups.
    #[must_use]
    pub fn is_in_target<'a>(
        &self,
        pid: u32,
        mut places: impl Iterator<Item = (u32, &'a str)>,
    ) -> bool {
        let is_within = |hierarchy, path| {
            let mut subtrees = self.subtrees.iter();
            subtrees.any(|it| it.hierarchy == hierarchy && super::is_within(path, &it.path))
        };
        self.subtrees.is_empty() && self.processes.is_empty()
            || self.processes.iter().any(|it| it.pid == pid)
            || places.any(|(hierarchy, path)| is_within(hierarchy, path))
    }

    /// Whether an exit meets every condition but the targets.
    #[must_use]
    pub fn admits_exit(&self, exit: &Placed<Exit>) -> bool {
        // An unknown age or status passes, as in the BPF programs.
        let age_ns = exit.what.process.start_boottime_ns;
        let age_ns = age_ns.map(|start| exit.boottime_ns.saturating_sub(start));
        let status = exit.what.status;
        self.admits_process(&exit.what.process)
            && (self.threads || exit.what.group_dead)
            && (!self.failed || status.is_none_or(ExitStatus::is_failure))
            && (!self.signaled || status.is_none_or(ExitStatus::is_signaled))
            && self.admits_oom(&exit.what)
            && (self.min_age_ns.zip(age_ns)).is_none_or(|(least, age)| age >= least)
            && (self.max_age_ns.zip(age_ns)).is_none_or(|(most, age)| age <= most)
    }

    /// Whether the record is about an out-of-memory victim, if only those are selected.
    /// The BPF programs also pass records of processes that may be marked later.
    fn admits_oom(&self, exit: &Exit) -> bool {
        !self.oom || exit.oom || exit.status.is_none()
    }

    /// `tested` says whether the BPF programs have tested the subtrees.
    fn admits_placed<T>(&self, placed: &Placed<T>, process: &Process, tested: bool) -> bool {
        self.admits_process(process)
            && (self.is_target(process) || self.is_in_subtree(placed, tested))
    }

    fn admits_process(&self, process: &Process) -> bool {
        let is_named = || {
            let comm = process.comm.to_str();
            self.comms.iter().any(|glob| glob.matches(&comm))
        };
        (self.comms.is_empty() || is_named())
            && (self.uids.is_empty() || process.uid.is_some_and(|uid| self.uids.contains(&uid)))
    }

    fn is_target(&self, process: &Process) -> bool {
        self.subtrees.is_empty() && self.processes.is_empty()
            || self.processes.iter().any(|it| it.is(process))
    }

    /// `tested` says whether the BPF programs have tested the subtrees, by their identity.
    fn is_in_subtree<T>(&self, placed: &Placed<T>, tested: bool) -> bool {
        // Every process is below the root of each hierarchy, although a record names
        // at most two cgroups.
        if tested || self.subtrees.iter().any(|subtree| subtree.path == "/") {
            return true;
        }
        let mut subtrees = self.subtrees.iter();
        subtrees.any(|subtree| placed.is_within(subtree.hierarchy, &subtree.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subtree(hierarchy: u32) -> Subtree {
        Subtree {
            hierarchy,
            path: "/a".to_owned(),
        }
    }

    #[test]
    fn the_bpf_programs_test_v2_subtrees_and_a_single_uid() {
        let mut filter = Filter {
            subtrees: vec![subtree(0)],
            uids: vec![7],
            failed: true,
            ..Filter::default()
        };
        let in_kernel = filter.kernel_filter(4096);
        assert_eq!(in_kernel.flags, config::FILTER_FAILED | config::FILTER_UID);
        assert_eq!((in_kernel.cgroup_slots, in_kernel.uid), (1, 7));

        filter.processes = vec![TargetProcess {
            pid: 1,
            starts_ns: 0,
            tick_ns: 10,
        }];
        filter.uids.push(8);
        let in_kernel = filter.kernel_filter(4096);
        assert_eq!(in_kernel.flags, config::FILTER_FAILED);
        assert_eq!(in_kernel.cgroup_slots, 0);
    }

    #[test]
    fn a_later_process_with_the_pid_of_a_target_is_no_target() {
        let filter = Filter {
            processes: vec![TargetProcess {
                pid: 7,
                starts_ns: 100,
                tick_ns: 10,
            }],
            ..Filter::default()
        };
        let is_target = |tgid, start_boottime_ns| {
            filter.is_target(&Process {
                tgid,
                start_boottime_ns,
                ..Process::default()
            })
        };
        assert!(is_target(7, Some(100)) && is_target(7, Some(109)) && is_target(7, None));
        assert!(!is_target(7, Some(110)) && !is_target(7, Some(99)));
        assert!(!is_target(8, Some(100)) && !is_target(0, None));
    }

    #[test]
    fn a_root_contains_records_of_every_cgroup() {
        let mut root = subtree(8);
        root.path = "/".to_owned();
        let filter = Filter {
            subtrees: vec![root],
            ..Filter::default()
        };
        let elsewhere = Placed {
            boottime_ns: 0,
            what: (),
            cgroup: None,
            v1_cgroup: None,
            task_cgroup: None,
            container: None,
        };
        assert!(filter.is_in_subtree(&elsewhere, false));
        assert!(!Filter::default().is_in_subtree(&elsewhere, false));
    }

    #[test]
    fn a_v1_subtree_adds_its_hierarchy_to_the_records() {
        let filter = Filter {
            subtrees: vec![subtree(8)],
            ..Filter::default()
        };
        let in_kernel = filter.kernel_filter(4096);
        assert_eq!((in_kernel.cgroup_slots, in_kernel.hierarchy), (0, 8));
    }

    #[test]
    fn an_age_of_zero_is_a_bound() {
        let filter = Filter {
            max_age_ns: Some(0),
            ..Filter::default()
        };
        let in_kernel = filter.kernel_filter(4096);
        assert_eq!(in_kernel.flags, config::FILTER_AGE);
        assert_eq!((in_kernel.min_age_ns, in_kernel.max_age_ns), (0, 0));
    }
}
