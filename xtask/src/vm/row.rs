//! The kernels of the matrix, each with what it is there for.

use std::{fmt, path::Path};

use anyhow::{Context, Result};

use crate::apt::Kind;

/// A kernel, and what it runs in.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// What is different there.
    pub(super) purpose: &'a str,
    pub(super) origin: Origin<'a>,
    pub(super) machine: Machine,
    /// More of the kernel's command line: what it is to be told, and pid 1.
    pub(super) words: &'a str,
}

/// Where a kernel is from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Package(Package),
    /// What a boot loader loads, and somebody has.
    Image(&'a Path),
}

/// A kernel, as Debian packages it.
#[derive(Clone, Copy)]
pub(super) struct Package {
    /// What it was last run with.
    pub(super) name: &'static str,
    /// How packages begin that would do as well, of which the newest is taken
    /// if the one above is gone; `None` where the version is the point.
    pub(super) line: Option<&'static str>,
    pub(super) suite: &'static str,
    pub(super) archive: Kind,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(package) => out.pad(package.name),
            Self::Image(path) => out.pad(&path.to_string_lossy()),
        }
    }
}

impl<'a> Row<'a> {
    /// One that is none of [`ROWS`], called as its file is: `vmlinuz-6.6` is 6.6.
    pub(super) fn of(image: &'a Path) -> Result<Self> {
        let name = image.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("no name for a kernel: {}", image.display()))?;
        Ok(Self {
            name: name.strip_prefix("vmlinuz-").unwrap_or(name),
            purpose: "given as a file",
            origin: Origin::Image(image),
            machine: Machine::Qemu,
            words: "",
        })
    }

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
pub(super) const ROWS: [Row<'static>; 12] = [
    Row {
        name: "5.10",
        purpose: "memlock, no cgroup.kill",
        origin: Origin::Package(Package {
            name: "linux-image-5.10.0-46-cloud-amd64",
            line: Some("linux-image-5.10.0-"),
            suite: "bullseye-security",
            archive: Kind::Security,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "5.10-lockdown",
        purpose: "no reading of kernel memory",
        origin: Origin::Package(Package {
            name: "linux-image-5.10.0-46-cloud-amd64",
            line: Some("linux-image-5.10.0-"),
            suite: "bullseye-security",
            archive: Kind::Security,
        }),
        machine: Machine::Qemu,
        words: "lockdown=confidentiality",
    },
    Row {
        name: "6.1",
        purpose: "no EPOLLHUP of a pidfd",
        origin: Origin::Package(Package {
            name: "linux-image-6.1.0-56-cloud-amd64",
            line: Some("linux-image-6.1.0-"),
            suite: "bookworm-security",
            archive: Kind::Security,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "6.12",
        purpose: "pidfs, the exit tracepoint after exit_mm",
        origin: Origin::Package(Package {
            name: "linux-image-6.12.117+deb13-cloud-amd64",
            line: Some("linux-image-6.12."),
            suite: "trixie",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "6.12-hybrid",
        purpose: "v1 controllers beside v2, as systemd mounts them",
        origin: Origin::Package(Package {
            name: "linux-image-6.12.117+deb13-cloud-amd64",
            line: Some("linux-image-6.12."),
            suite: "trixie",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "probe.v1=name=systemd,pids,memory,freezer,cpu,cpuset,devices",
    },
    Row {
        name: "6.18",
        purpose: "the exit tracepoint before exit_mm",
        origin: Origin::Package(Package {
            name: "linux-image-6.18.15+deb13-cloud-amd64",
            line: Some("linux-image-6.18."),
            suite: "trixie-backports",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "6.19.6",
        purpose: "rmdir is EBUSY after waitpid",
        origin: Origin::Package(Package {
            name: "linux-binary-6.19.6+deb13-cloud-amd64",
            line: None,
            suite: "trixie-backports",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.0",
        purpose: "preemptible tracepoints, rmdir may block",
        origin: Origin::Package(Package {
            name: "linux-binary-7.0.13+deb13-cloud-amd64",
            line: Some("linux-binary-7.0."),
            suite: "trixie-backports",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.1",
        purpose: "rmdir comes before populated 0",
        origin: Origin::Package(Package {
            name: "linux-binary-7.1.13+deb13-cloud-amd64",
            line: Some("linux-binary-7.1."),
            suite: "trixie-backports",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.3",
        purpose: "the newest",
        origin: Origin::Package(Package {
            name: "linux-binary-7.3.4+deb13-cloud-amd64",
            line: Some("linux-binary-7."),
            suite: "trixie-backports",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "",
    },
    Row {
        name: "7.3-lockdown",
        purpose: "no reading of kernel memory",
        origin: Origin::Package(Package {
            name: "linux-binary-7.3.4+deb13-cloud-amd64",
            line: Some("linux-binary-7."),
            suite: "trixie-backports",
            archive: Kind::Main,
        }),
        machine: Machine::Qemu,
        words: "lockdown=confidentiality",
    },
    Row {
        name: "UML",
        purpose: "no tracing at all",
        origin: Origin::Package(Package {
            name: "user-mode-linux",
            line: None,
            suite: "trixie",
            archive: Kind::Main,
        }),
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
    fn a_file_gives_its_kernel_the_name() {
        let name = |path: &str| {
            let row = Row::of(Path::new(path)).ok();
            row.map(|row| row.name.to_owned())
        };
        assert_eq!(name("/boot/vmlinuz-6.6.30").as_deref(), Some("6.6.30"));
        assert_eq!(name("bzImage").as_deref(), Some("bzImage"));
        assert_eq!(name("/boot/.."), None);
    }

    #[test]
    fn no_two_rows_have_one_name() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(ROWS[index + 1..].iter().all(|it| it.name != row.name));
        }
    }
}
