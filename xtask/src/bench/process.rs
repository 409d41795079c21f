//! What `/proc` says of a process: its CPU time, its memory, its BPF programs.

use std::{collections::BTreeMap, fs, io, path::PathBuf, str::FromStr};

use anyhow::{Context, Result, bail};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};

/// By its pid, which stays its own while its child handle is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

/// What a BPF program has cost since it was loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunTime {
    pub(crate) ns: u64,
    pub(crate) runs: u64,
}

/// By program id.
pub(crate) type RunTimes = BTreeMap<u32, RunTime>;

impl Process {
    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }

    /// User and system time of the threads that it has, to the nanosecond.
    pub(crate) fn cpu_ns(self) -> Result<u64> {
        let mut sum = None;
        for task in fs::read_dir(self.path("task")).context("list the threads")? {
            let path = task?.path().join("schedstat");
            let text = match fs::read_to_string(&path) {
                // A thread that ended meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.with_context(|| format!("read {}", path.display()))?,
            };
            let ran: u64 = word(&text, 0).context("schedstat has no run time")?;
            sum = Some(sum.unwrap_or(0) + ran);
        }
        sum.context("no schedstat: needs a kernel with CONFIG_SCHED_INFO")
    }

    /// The most memory it ever had.
    pub(crate) fn peak_rss_bytes(self) -> Result<u64> {
        let status = fs::read_to_string(self.path("status")).context("read its status")?;
        let peak: u64 = field(&status, "VmHWM:").context("status has no VmHWM")?;
        Ok(peak * 1024)
    }

    /// Run times of the BPF programs that it holds. They stand still while the
    /// kernel does not keep them, see [`keep_run_times`].
    pub(crate) fn run_times(self) -> Result<RunTimes> {
        let mut found = RunTimes::new();
        for fdinfo in self.fdinfos()? {
            let Some(id) = field(&fdinfo, "prog_id:") else {
                continue;
            };
            // A link names its program too, without the times.
            let ns = field(&fdinfo, "run_time_ns:");
            if let Some((ns, runs)) = ns.zip(field(&fdinfo, "run_cnt:")) {
                found.insert(id, RunTime { ns, runs });
            }
        }
        if found.is_empty() {
            bail!("process {} holds no BPF program", self.0);
        }
        Ok(found)
    }

    /// Whether it waits for several things at once, which a tracer does once it
    /// is attached.
    pub(crate) fn has_filled_epoll(self) -> bool {
        self.fdinfos()
            .is_ok_and(|all| all.iter().any(|fdinfo| fdinfo.contains("tfd:")))
    }

    fn fdinfos(self) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.path("fdinfo")).context("list its descriptors")?;
        // A descriptor may be closed meanwhile.
        Ok(entries
            .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
            .collect())
    }
}

/// Makes the kernel keep run times for as long as the result lives. It belongs
/// to a descriptor, not to a sysctl: however this process ends, it is over.
pub(crate) fn keep_run_times() -> Result<impl Drop> {
    enable_stats(Stats::RunTime).context("make the kernel keep BPF run times (needs root, 5.8)")
}

/// Names by program id, of all that are loaded.
pub(crate) fn program_names() -> BTreeMap<u32, String> {
    loaded_programs()
        .filter_map(|info| {
            let info = info.ok()?;
            Some((info.id(), info.name_as_str()?.to_owned()))
        })
        .collect()
}

fn field<T: FromStr>(text: &str, name: &str) -> Option<T> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    word(line, 0)
}

fn word<T: FromStr>(text: &str, at: usize) -> Option<T> {
    text.split_whitespace().nth(at)?.parse().ok()
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
