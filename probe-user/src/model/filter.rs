//! Which records somebody wants to see, and which side can tell.
//!
//! What the kernel half can decide becomes its [`config::Filter`]: a record that
//! nobody wants then costs neither ring space nor a wake-up. The rest is
//! decided here, on records.

use std::{path::PathBuf, sync::Arc};

use glob::Pattern;
use probe_ebpf::config;

use super::{Exit, ExitStatus, Placed, Process, Record, is_within};

/// A cgroup whose whole subtree is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// 0 for v2.
    pub hierarchy: u32,
    /// Path below the root of the hierarchy.
    pub path: String,
}

/// What is wanted. Targets add up, all else must hold together.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent conditions, as the user gave them"
)]
pub struct Filter {
    /// Directories of cgroups, by absolute path, whose subtrees are wanted. They
    /// become `subtrees` when [`crate::ExitStream::open`] looks them up.
    pub directories: Vec<PathBuf>,
    /// Subtrees; with `pids`, empty means everything.
    pub subtrees: Vec<Subtree>,
    /// Thread groups.
    pub pids: Vec<u32>,
    /// Name of the process; any of them.
    pub comms: Vec<Pattern>,
    /// Real uid; any of them.
    pub uids: Vec<u32>,
    /// Only what did not `exit(0)`.
    pub failed: bool,
    /// Only what a signal ended.
    pub signaled: bool,
    /// Only out-of-memory victims.
    pub oom: bool,
    /// Least age in nanoseconds.
    pub min_age_ns: Option<u64>,
    /// Greatest age in nanoseconds.
    pub max_age_ns: Option<u64>,
    /// Every task, not only the last of its group.
    pub threads: bool,
}

impl Filter {
    /// Everything that ends in a cgroup, v1 or v2, and in its descendants. `path`
    /// is the absolute path of its directory.
    pub fn cgroup(path: impl Into<PathBuf>) -> Self {
        Self {
            directories: vec![path.into()],
            ..Self::default()
        }
    }

    /// The end of one process, by its thread group id.
    #[must_use]
    pub fn process(pid: u32) -> Self {
        Self {
            pids: vec![pid],
            ..Self::default()
        }
    }

    /// Whether the kernel half can test the subtrees by itself: v2 only, few
    /// enough, and no pids beside them, because its tests all must hold.
    #[must_use]
    pub fn kernel_tests_subtrees(&self) -> bool {
        !self.subtrees.is_empty()
            && self.pids.is_empty()
            && self.subtrees.len() <= config::CGROUP_SLOTS as usize
            && self.subtrees.iter().all(|subtree| subtree.hierarchy == 0)
    }

    /// Likewise for the pids.
    #[must_use]
    pub fn kernel_tests_pids(&self) -> bool {
        !self.pids.is_empty() && self.subtrees.is_empty()
    }

    /// The v1 hierarchy in which the records must name their cgroup. Several
    /// are refused before it comes to this.
    #[must_use]
    pub fn hierarchy(&self) -> Option<u32> {
        self.subtrees
            .iter()
            .map(|subtree| subtree.hierarchy)
            .find(|&hierarchy| hierarchy != 0)
    }

    /// The part that the kernel half decides.
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
            reserved: 0,
        }
    }

    /// The part that is decided here. `path_of` gives the path of a cgroup of
    /// [`Filter::hierarchy`].
    pub fn admits(&self, record: &Record, path_of: impl Fn(u64) -> Option<Arc<str>>) -> bool {
        match record {
            Record::Exit(exit) => {
                let tested = self.kernel_tests_subtrees();
                self.admits_oom(&exit.what)
                    && self.admits_placed(exit, &exit.what.process, tested, path_of)
            }
            Record::Start(start) => self.admits_placed(start, &start.what.process, false, path_of),
            Record::Lost { .. } => true,
        }
    }

    /// The same for a record of a stream of which the targets were chosen
    /// elsewhere, and nothing else.
    #[must_use]
    pub fn admits_of_stream(&self, record: &Record) -> bool {
        let exit = match record {
            Record::Exit(exit) => exit,
            Record::Start(start) => return self.admits_process(&start.what.process),
            Record::Lost { .. } => return true,
        };
        // What is unknown passes, as in the kernel half.
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

    /// The kernel half lets those pass who may yet turn out to be victims.
    fn admits_oom(&self, exit: &Exit) -> bool {
        !self.oom || exit.oom || exit.status.is_none()
    }

    /// `tested`: the kernel half looked at the subtrees already.
    fn admits_placed<T>(
        &self,
        placed: &Placed<T>,
        process: &Process,
        tested: bool,
        path_of: impl Fn(u64) -> Option<Arc<str>>,
    ) -> bool {
        self.admits_process(process)
            && (self.is_target(process)
                || self.is_in_subtree(placed, tested)
                || self.is_in_wanted_v1(process, path_of))
    }

    fn admits_process(&self, process: &Process) -> bool {
        let comm = process.comm.to_str();
        (self.comms.is_empty() || self.comms.iter().any(|glob| glob.matches(&comm)))
            && (self.uids.is_empty() || process.uid.is_some_and(|uid| self.uids.contains(&uid)))
    }

    fn is_target(&self, process: &Process) -> bool {
        self.subtrees.is_empty() && self.pids.is_empty() || self.pids.contains(&process.tgid)
    }

    /// `tested`: the kernel half did it already, and by identity.
    fn is_in_subtree<T>(&self, placed: &Placed<T>, tested: bool) -> bool {
        // A record names one cgroup, and not the root of v2 if it has another:
        // but below a root everything is.
        if tested || self.subtrees.iter().any(|wanted| wanted.path == "/") {
            return true;
        }
        let cgroup = placed.cgroup.as_ref();
        let Some((id, path)) = cgroup.and_then(|it| Some((it.id, it.path.as_ref()?))) else {
            return false;
        };
        self.subtrees
            .iter()
            .any(|wanted| wanted.hierarchy == id.hierarchy && is_within(path, &wanted.path))
    }

    fn is_in_wanted_v1(
        &self,
        process: &Process,
        path_of: impl Fn(u64) -> Option<Arc<str>>,
    ) -> bool {
        let path = process.wanted_cgroup_id.and_then(path_of);
        path.is_some_and(|path| {
            self.subtrees.iter().any(|wanted| {
                Some(wanted.hierarchy) == self.hierarchy() && is_within(&path, &wanted.path)
            })
        })
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
    fn the_kernel_tests_what_it_can_and_no_more() {
        let mut wanted = Filter {
            subtrees: vec![subtree(0)],
            uids: vec![7],
            failed: true,
            ..Filter::default()
        };
        let filter = wanted.kernel_filter(4096);
        assert_eq!(filter.flags, config::FILTER_FAILED | config::FILTER_UID);
        assert_eq!((filter.cgroup_slots, filter.uid), (1, 7));

        wanted.pids = vec![1];
        wanted.uids.push(8);
        let filter = wanted.kernel_filter(4096);
        assert_eq!(filter.flags, config::FILTER_FAILED);
        assert_eq!(filter.cgroup_slots, 0);
    }

    #[test]
    fn everything_is_below_a_root_whatever_cgroup_its_record_names() {
        let mut root = subtree(8);
        root.path = "/".to_owned();
        let wanted = Filter {
            subtrees: vec![root],
            ..Filter::default()
        };
        let elsewhere = Placed {
            boottime_ns: 0,
            what: (),
            cgroup: None,
            container: None,
        };
        assert!(wanted.is_in_subtree(&elsewhere, false));
        assert!(!Filter::default().is_in_subtree(&elsewhere, false));
    }

    #[test]
    fn a_v1_subtree_makes_the_records_name_their_cgroup_there() {
        let wanted = Filter {
            subtrees: vec![subtree(8)],
            ..Filter::default()
        };
        let filter = wanted.kernel_filter(4096);
        assert_eq!((filter.cgroup_slots, filter.hierarchy), (0, 8));
    }

    #[test]
    fn ages_of_zero_are_a_bound_too() {
        let wanted = Filter {
            max_age_ns: Some(0),
            ..Filter::default()
        };
        let filter = wanted.kernel_filter(4096);
        assert_eq!(filter.flags, config::FILTER_AGE);
        assert_eq!((filter.min_age_ns, filter.max_age_ns), (0, 0));
    }
}
