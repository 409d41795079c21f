//! Facts about the machine, without which figures cannot be compared.

use std::{collections::BTreeMap, path::Path, thread::available_parallelism};

use fs_err as fs;
use serde_json::{Value, json};

use crate::command;

const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

/// The facts before the measurements, with the versions of these Debian packages; `null`
/// where the machine does not tell.
pub(crate) fn facts(packages: &[&'static str]) -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    let version = |package: &&'static str| {
        let query = format!("dpkg-query --show --showformat=${{Version}} {package}");
        Some((*package, output(&query)?))
    };
    json!({
        "date": output("date -u +%Y-%m-%dT%H:%M:%SZ"),
        "kernel": line("/proc/sys/kernel/osrelease"),
        "cpu": field("model name"),
        "cores": available_parallelism().map_or(0, usize::from),
        "governor": line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "mitigations": mitigations(),
        // A hypervisor hides the host's other guests.
        "virtualised": flags.split(' ').any(|flag| flag == "hypervisor"),
        "load_before": load(),
        "commit": output("git describe --always --dirty"),
        "peers": packages.iter().filter_map(version).collect::<BTreeMap<_, _>>(),
    })
}

pub(crate) fn load() -> Option<String> {
    line("/proc/loadavg")
}

/// The state of each vulnerability that the CPU has.
fn mitigations() -> BTreeMap<String, String> {
    let entries = fs::read_dir(VULNERABILITIES)
        .into_iter()
        .flatten()
        .flatten();
    let states = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((name, line(entry.path())?))
    });
    states
        .filter(|(_, state)| state != "Not affected")
        .collect()
}

fn output(line: &str) -> Option<String> {
    let text = command::stdout(&mut command::new(line)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn line(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path.as_ref()).ok()?.trim().to_owned())
}
