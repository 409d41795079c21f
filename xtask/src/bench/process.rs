//! The cost of a process: CPU time and memory from `/proc`, and the run time of its BPF
//! programs.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use anyhow::{Context, Result, ensure};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};
use fs_err as fs;

use super::stats::to_f64;

/// A pid, which is not reused while the handle of the child is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunTime {
    pub(crate) ns: u64,
    pub(crate) runs: u64,
}

impl Process {
    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }

    /// User and system time of its present threads, to the nanosecond.
    pub(crate) fn cpu_ns(self) -> Result<u64> {
        let mut sum = None;
        for task in fs::read_dir(self.path("task"))? {
            // The thread may have ended meanwhile.
            if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
                let ran: u64 = word(&text).context("schedstat has no run time")?;
                sum = Some(sum.unwrap_or(0) + ran);
            }
        }
        sum.context("no schedstat: needs a kernel with CONFIG_SCHED_INFO")
    }

    /// The most memory that it ever had.
    pub(crate) fn peak_rss_bytes(self) -> Result<u64> {
        let status = fs::read_to_string(self.path("status"))?;
        let peak: u64 = field(&status, "VmHWM:").context("status has no VmHWM")?;
        Ok(peak * 1024)
    }

    /// Run times of its BPF programs, by id. The kernel counts them only while
    /// [`count_run_times`] is in effect.
    fn run_times(self) -> Result<BTreeMap<u32, RunTime>> {
        let mut found = BTreeMap::new();
        for fdinfo in self.fdinfos()? {
            // A link names its program too, but without the times.
            let ns = field(&fdinfo, "run_time_ns:");
            let time = ns.zip(field(&fdinfo, "run_cnt:"));
            let time = time.map(|(ns, runs)| RunTime { ns, runs });
            found.extend(field(&fdinfo, "prog_id:").zip(time));
        }
        ensure!(!found.is_empty(), "process {} has no BPF program", self.0);
        Ok(found)
    }

    /// Whether it waits for several things at once, as a tracer does when it is attached.
    pub(crate) fn has_filled_epoll(self) -> bool {
        let fdinfos = self.fdinfos();
        fdinfos.is_ok_and(|all| all.iter().any(|fdinfo| fdinfo.contains("tfd:")))
    }

    fn fdinfos(self) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.path("fdinfo"))?;
        // A descriptor may be closed meanwhile.
        let read = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
        Ok(read.collect())
    }
}

/// Makes the kernel count run times while the result lives. The setting belongs to a
/// descriptor and not to a sysctl, so it ends with this process.
pub(crate) fn count_run_times() -> Result<impl Drop> {
    enable_stats(Stats::RunTime).context("count the run times of BPF programs (needs root, 5.8)")
}

/// The beginnings of the names of programs that run for an exit, of probe and of
/// exitsnoop. The kernel keeps 15 bytes of a name.
const AT_EXIT: [&str; 2] = ["exit_", "sched_process_e"];

/// The runs of a process's BPF programs during a load, by name.
///
/// Other processes exit meanwhile, and the programs run for them too. So the number of
/// exits is the number of runs of the programs at the exit.
pub(crate) struct KernelCost(pub(crate) BTreeMap<String, RunTime>);

impl KernelCost {
    /// Runs a load; [`count_run_times`] must be in effect.
    pub(crate) fn during(process: Process, load: impl FnOnce() -> Result<()>) -> Result<Self> {
        let programs = loaded_programs().filter_map(Result::ok);
        let names = programs.filter_map(|it| Some((it.id(), it.name_as_str()?.to_owned())));
        let names: BTreeMap<_, _> = names.collect();
        let before = process.run_times()?;
        load()?;
        let mut cost = BTreeMap::<String, RunTime>::new();
        for (id, after) in process.run_times()? {
            let before = before.get(&id).copied().unwrap_or_default();
            let name = names.get(&id).cloned().unwrap_or_else(|| id.to_string());
            let sum = cost.entry(name).or_default();
            sum.ns += after.ns - before.ns;
            sum.runs += after.runs - before.runs;
        }
        Ok(Self(cost))
    }

    pub(crate) fn exits(&self) -> u64 {
        let is_at_exit = |name: &str| AT_EXIT.iter().any(|start| name.starts_with(start));
        let at_exit = self.0.iter().filter(|(name, _)| is_at_exit(name));
        at_exit.map(|(_, it)| it.runs).sum()
    }

    /// The time of all programs for one exit.
    pub(crate) fn us_per_exit(&self) -> f64 {
        let ns: u64 = self.0.values().map(|it| it.ns).sum();
        to_f64(ns) / to_f64(self.exits()) / 1000.0
    }
}

fn field<T: FromStr>(text: &str, name: &str) -> Option<T> {
    word(text.lines().find_map(|line| line.strip_prefix(name))?)
}

fn word<T: FromStr>(text: &str) -> Option<T> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_first_word_after_its_name() {
        let status = "VmPeak:\t  9 kB\nVmHWM:\t    7312 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(7312_u64));
        assert_eq!(field::<u64>(status, "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let this = Process(std::process::id());
        assert!(this.cpu_ns().expect("schedstat") > 0);
        assert!(this.peak_rss_bytes().expect("status") > 0);
    }
}
