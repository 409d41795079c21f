//! Counters of the BPF programs and of the kernel: lost records, skipped runs, run time.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

use aya::programs::{Program, ProgramError};
use probe_ebpf::counter;

use super::{
    hook::Hook,
    load::{Attached, LoadError},
};

/// Runs of one program since it was loaded, as the kernel counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRuns {
    /// Name of the program.
    pub name: String,
    /// Number of runs; 0 unless `kernel.bpf_stats_enabled` is 1 (Linux 5.1).
    pub count: u64,
    /// Total time of all runs.
    pub run_time: Duration,
}

/// Losses of the stream since the load, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLosses {
    /// Exits and starts for which the ring had no room.
    pub dropped: u64,
    /// Runs of a program that the kernel skipped, see
    /// [`Attached::recursion_misses`].
    pub skipped: u64,
}

impl Attached {
    /// Losses of the stream until now.
    pub fn stream_losses(&self) -> Result<StreamLosses, LoadError> {
        Ok(StreamLosses {
            dropped: self.counter(counter::STREAM_DROPPED)?,
            skipped: self.recursion_misses(),
        })
    }

    /// Number and duration of the runs of each loaded program.
    #[must_use]
    pub fn program_runs(&self) -> Vec<ProgramRuns> {
        self.ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                Some(ProgramRuns {
                    name: name.to_owned(),
                    count: info.run_count(),
                    run_time: info.run_time(),
                })
            })
            .collect()
    }

    /// Sum over the CPUs of one slot of [`counter`].
    fn counter(&self, slot: u32) -> Result<u64, LoadError> {
        self.counters
            .get(&slot, 0)
            .map(|values| values.iter().sum())
            .map_err(LoadError::fill("COUNTERS"))
    }

    /// Records of watched cgroups for which the ring had no room.
    pub(crate) fn decisive_dropped(&self) -> Result<u64, LoadError> {
        self.counter(counter::DECISIVE_DROPPED)
    }

    /// Number of changes of `populated` that are missing in the map of watched cgroups;
    /// `None` if the counters cannot be read.
    pub(super) fn occupancy_lost(&self) -> Option<u64> {
        let unrecorded = self.counter(counter::OCCUPANCY_UNRECORDED).ok()?;
        Some(unrecorded + self.misses_of(Hook::CgroupPopulated)?)
    }

    /// Number of processes that may have entered a watched cgroup of this hierarchy without a
    /// record in the decisive ring; `None` if the programs that report them are not loaded.
    pub(crate) fn missed_entries(&self, hierarchy: u32) -> Option<u64> {
        if !self.knows_cgroups() {
            return None;
        }
        let dropped = self.counter(counter::DECISIVE_DROPPED).ok()?;
        let unrecorded = self.counter(counter::MEMBERS_UNRECORDED).ok()?;
        let forked = match hierarchy {
            0 => Hook::MemberForked,
            _ => Hook::MemberForkedV1,
        };
        let misses = self.misses_of(forked)? + self.misses_of(Hook::MemberMoved)?;
        Some(dropped + unrecorded + misses)
    }

    /// Runs of a program that the kernel skipped; `None` if the program is not loaded.
    fn misses_of(&self, hook: Hook) -> Option<u64> {
        self.misses(hook.as_str(), self.ebpf.program(hook.as_str())?)
    }

    fn misses(&self, name: &str, program: &Program) -> Option<u64> {
        // Only signals are sent in interrupts, and only classic tracepoints can be disabled.
        // Where another program cannot be preempted either (before 7.0), no run of it begins
        // during another one, so the kernel skips none.
        let types = self.types.as_ref();
        let is_preemptible = types.is_none_or(|types| types.tracepoints_are_preemptible);
        let is_raw = matches!(program, Program::RawTracePoint(_));
        if is_raw && !is_preemptible && name != Hook::Signal.as_str() {
            return program.fd().ok().map(|_loaded| 0);
        }
        // Before 6.1 the kernel skips no run and counts none.
        Some(field(&fdinfo(program).ok()?, MISSES).unwrap_or(0))
    }

    /// Runs that the kernel skipped because the same program was preempted on that CPU
    /// (raw tracepoints, Linux 7.0) or BPF was disabled there (classic tracepoints).
    /// Exits of single threads count too, so this is an upper bound of the missed
    /// processes. Before 6.1 the kernel skips no run and has no counter: then it is 0.
    #[must_use]
    pub fn recursion_misses(&self) -> u64 {
        let programs = self.ebpf.programs();
        let misses = programs.filter_map(|(name, program)| self.misses(name, program));
        misses.sum()
    }
}

/// More than the kernel prints about a program.
const FDINFO_BYTES: usize = 4096;

const MISSES: &str = "recursion_misses:";

fn fdinfo(program: &Program) -> Result<String, ProgramError> {
    let fd = program.fd()?.as_fd().as_raw_fd();
    let read = || {
        // The verdict of a wait comes after this: without a size the library would ask for one,
        // and read in small pieces.
        let mut text = String::with_capacity(FDINFO_BYTES);
        let file = File::open(format!("/proc/self/fdinfo/{fd}"))?;
        file.take(FDINFO_BYTES as u64).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(ProgramError::IOError)
}

fn field(fdinfo: &str, name: &str) -> Option<u64> {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|value| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_fdinfo_is_found_by_its_name() {
        let fdinfo = "prog_type:\t17\nrecursion_misses:\t46\nverified_insns:\t9\n";
        assert_eq!(field(fdinfo, MISSES), Some(46));
        assert_eq!(field(fdinfo, "run_cnt:"), None);
    }
}
