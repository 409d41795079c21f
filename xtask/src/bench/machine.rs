//! The facts without which a figure means nothing elsewhere.

use std::{collections::BTreeMap, fs, path::Path, process::Command, thread::available_parallelism};

use serde::Serialize;

use crate::command;

const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

/// `None` where the machine does not say.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    date: Option<String>,
    kernel: Option<String>,
    cpu: Option<String>,
    cores: usize,
    governor: Option<String>,
    /// By vulnerability, without those that the CPU does not have.
    mitigations: BTreeMap<String, String>,
    /// Since hypervisors hide the host's other guests.
    virtualised: bool,
    load_before: Option<String>,
    load_after: Option<String>,
    commit: Option<String>,
    peers: BTreeMap<&'static str, String>,
}

impl Machine {
    /// To be called before the measurements, [`Machine::finish`] after them.
    pub(crate) fn look(peers: &[&'static str]) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            date: said(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
            kernel: line("/proc/sys/kernel/osrelease"),
            cpu: value(&cpuinfo, "model name"),
            cores: available_parallelism().map_or(0, usize::from),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            mitigations: mitigations(),
            virtualised: value(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            load_before: line("/proc/loadavg"),
            load_after: None,
            commit: said(Command::new("git").args(["describe", "--always", "--dirty"])),
            peers: peers
                .iter()
                .filter_map(|&package| Some((package, version(package)?)))
                .collect(),
        }
    }

    pub(crate) fn finish(&mut self) {
        self.load_after = line("/proc/loadavg");
    }

    /// For the head of the table.
    pub(crate) fn lines(&self) -> Vec<String> {
        let known = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "?".to_owned());
        let mut lines = vec![
            format!(
                "{}, Linux {}, {} cores of {}{}, governor {}",
                known(&self.date),
                known(&self.kernel),
                self.cores,
                known(&self.cpu),
                if self.virtualised { " (virtual)" } else { "" },
                known(&self.governor)
            ),
            format!(
                "load average {} before, {} after",
                known(&self.load_before),
                known(&self.load_after)
            ),
        ];
        for (vulnerability, mitigation) in &self.mitigations {
            lines.push(format!("{vulnerability}: {mitigation}"));
        }
        lines
    }
}

fn mitigations() -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(VULNERABILITIES) else {
        return BTreeMap::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            Some((name, line(entry.path())?))
        })
        .filter(|(_, state)| state != "Not affected")
        .collect()
}

/// The version of a Debian package.
fn version(package: &str) -> Option<String> {
    said(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", package]))
}

fn said(command: &mut Command) -> Option<String> {
    let text = command::stdout(command).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn line(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn value(cpuinfo: &str, key: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
