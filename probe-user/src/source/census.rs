//! How many processes live in which cgroup, as `/proc` shows it now.

use std::{collections::HashMap, fs, path::Path};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Processes that have not exited.
    pub processes: u64,
    /// The same by path of the cgroup that a record of their exit would name.
    pub by_cgroup: HashMap<String, u64>,
}

/// Counts. Who comes or goes meanwhile is counted or not.
#[must_use]
pub fn take() -> Census {
    let mut census = Census::default();
    let Ok(entries) = fs::read_dir("/proc") else {
        return census;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_pid = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if is_pid && let Some(cgroup) = cgroup_of_living(&entry.path()) {
            census.processes += 1;
            *census.by_cgroup.entry(cgroup).or_default() += 1;
        }
    }
    census
}

fn cgroup_of_living(process: &Path) -> Option<String> {
    let stat = fs::read(process.join("stat")).ok()?;
    if is_zombie(&stat)? {
        return None;
    }
    let cgroups = fs::read_to_string(process.join("cgroup")).ok()?;
    Some(best(&cgroups).to_owned())
}

/// The name stands between parentheses and may hold some itself.
fn is_zombie(stat: &[u8]) -> Option<bool> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let state = stat.get(end + 2)?;
    Some(matches!(state, b'Z' | b'X'))
}

/// v2 unless that is the root, then the first v1 hierarchy, in the order of
/// [`super::cgroupfs::rank`], that is not the root.
fn best(cgroups: &str) -> &str {
    const ORDER: [&str; 5] = ["", "pids", "memory", "freezer", "name=systemd"];
    cgroups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            let path = parts.next().filter(|&path| path != "/")?;
            let rank = controllers
                .split(',')
                .filter_map(|it| ORDER.iter().position(|&known| known == it))
                .min();
            Some((rank.unwrap_or(ORDER.len()), path))
        })
        .min_by_key(|(rank, _)| *rank)
        .map_or("/", |(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_that_says_most_is_taken() {
        assert_eq!(best("4:pids:/v1\n0::/v2\n"), "/v2");
        assert_eq!(best("9:cpu,cpuacct:/cpu\n4:pids:/v1\n0::/\n"), "/v1");
        assert_eq!(best("9:cpu:/cpu\n1:name=systemd:/s:d\n0::/\n"), "/s:d");
        assert_eq!(best("9:cpu:/cpu\n4:pids:/\n0::/\n"), "/cpu");
        assert_eq!(best("4:pids:/\n0::/\n"), "/");
    }

    #[test]
    fn a_name_cannot_pretend_to_be_a_state() {
        assert_eq!(is_zombie(b"7 (a) Z 1) S 1 7"), Some(false));
        assert_eq!(is_zombie(b"7 (a) Z 1 7"), Some(true));
        assert_eq!(is_zombie(b"7 (a)"), None);
    }

    #[test]
    fn we_live_ourselves() {
        let census = take();
        let own = fs::read_to_string("/proc/self/cgroup").expect("/proc");
        assert!(census.processes > 1);
        assert!(census.by_cgroup[best(&own)] >= 1);
    }
}
