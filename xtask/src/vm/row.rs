//! The kernels of the matrix, each with what it is there for.

use crate::apt::Kind;

/// A kernel, as Debian packages it.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What is different there.
    pub(super) purpose: &'static str,
    /// The package that it was last run with.
    pub(super) package: &'static str,
    /// How packages begin that would do as well, of which the newest is taken
    /// if the one above is gone; `None` where the version is the point.
    pub(super) line: Option<&'static str>,
    pub(super) suite: &'static str,
    pub(super) archive: Kind,
    pub(super) machine: Machine,
    /// More of the kernel's command line: what it is to be told, and pid 1.
    pub(super) words: &'static str,
}

impl Row {
    /// Whether hierarchies of v1 are what it is there for.
    pub(super) fn has_v1(&self) -> bool {
        self.words.starts_with("probe.v1=")
    }
}

/// What runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    Qemu,
    /// It is a program, in a guest of QEMU.
    Uml,
}

/// From the oldest to the newest.
pub(super) const ROWS: [Row; 12] = [
    Row {
        name: "5.10",
        purpose: "memlock, no cgroup.kill",
        package: "linux-image-5.10.0-46-cloud-amd64",
        line: Some("linux-image-5.10.0-"),
        suite: "bullseye-security",
        archive: Kind::Security,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "5.10-lockdown",
        purpose: "no reading of kernel memory",
        package: "linux-image-5.10.0-46-cloud-amd64",
        line: Some("linux-image-5.10.0-"),
        suite: "bullseye-security",
        archive: Kind::Security,
        machine: Machine::Qemu,
        words: "lockdown=confidentiality",
    },
    Row {
        name: "6.1",
        purpose: "no EPOLLHUP of a pidfd",
        package: "linux-image-6.1.0-56-cloud-amd64",
        line: Some("linux-image-6.1.0-"),
        suite: "bookworm-security",
        archive: Kind::Security,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "6.12",
        purpose: "pidfs, the exit tracepoint after exit_mm",
        package: "linux-image-6.12.117+deb13-cloud-amd64",
        line: Some("linux-image-6.12."),
        suite: "trixie",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "6.12-hybrid",
        purpose: "v1 controllers beside v2, as systemd mounts them",
        package: "linux-image-6.12.117+deb13-cloud-amd64",
        line: Some("linux-image-6.12."),
        suite: "trixie",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "probe.v1=name=systemd,pids,memory,freezer,cpu,cpuset,devices",
    },
    Row {
        name: "6.18",
        purpose: "the exit tracepoint before exit_mm",
        package: "linux-image-6.18.15+deb13-cloud-amd64",
        line: Some("linux-image-6.18."),
        suite: "trixie-backports",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "6.19.6",
        purpose: "rmdir is EBUSY after waitpid",
        package: "linux-binary-6.19.6+deb13-cloud-amd64",
        line: None,
        suite: "trixie-backports",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.0",
        purpose: "preemptible tracepoints, rmdir may block",
        package: "linux-binary-7.0.13+deb13-cloud-amd64",
        line: Some("linux-binary-7.0."),
        suite: "trixie-backports",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.1",
        purpose: "rmdir comes before populated 0",
        package: "linux-binary-7.1.13+deb13-cloud-amd64",
        line: Some("linux-binary-7.1."),
        suite: "trixie-backports",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.3",
        purpose: "the newest",
        package: "linux-binary-7.3.4+deb13-cloud-amd64",
        line: Some("linux-binary-7."),
        suite: "trixie-backports",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.3-lockdown",
        purpose: "no reading of kernel memory",
        package: "linux-binary-7.3.4+deb13-cloud-amd64",
        line: Some("linux-binary-7."),
        suite: "trixie-backports",
        archive: Kind::Main,
        machine: Machine::Qemu,
        words: "lockdown=confidentiality",
    },
    Row {
        name: "UML",
        purpose: "no tracing at all",
        package: "user-mode-linux",
        line: None,
        suite: "trixie",
        archive: Kind::Main,
        machine: Machine::Uml,
        words: "",
    },
];

/// The newest package of a line: numbers count, not letters.
pub(super) fn newest<'a>(names: &'a [String], line: &str) -> Option<&'a str> {
    names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with(line) && name.ends_with("-cloud-amd64"))
        .max_by_key(|name| numbers(name))
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_told_by_numbers() {
        let names = ["7.3.10", "7.3.9", "7.10.1", "6.99.1"]
            .map(|version| format!("linux-binary-{version}+deb13-cloud-amd64"));
        let newest = |line| newest(&names, line);
        assert_eq!(newest("linux-binary-7.3."), Some(&*names[0]));
        assert_eq!(newest("linux-binary-7."), Some(&*names[2]));
        assert_eq!(newest("linux-image-"), None);
    }

    #[test]
    fn no_two_rows_have_one_name() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(ROWS[index + 1..].iter().all(|it| it.name != row.name));
        }
    }
}
