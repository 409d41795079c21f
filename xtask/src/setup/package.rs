//! Debian packages with the peers and runtimes that tests and benchmarks use.

use anyhow::{Context, Result};

use crate::{command, privilege::Privilege};

/// Packages, and the program for which they are wanted.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    names: &'static [&'static str],
    program: &'static str,
    /// What is not done without it.
    purpose: &'static str,
}

impl Package {
    /// The program.
    pub(crate) const fn program(&self) -> &'static str {
        self.program
    }
}

/// A real container runtime.
pub(crate) const RUNC: Package = Package {
    names: &["runc"],
    program: "runc",
    purpose: "tests with real containers",
};

/// Another, which knows cgroups of v2 alone.
pub(crate) const CRUN: Package = Package {
    names: &["crun"],
    program: "crun",
    purpose: "tests with containers of crun",
};

/// Shows the system calls of a program.
pub(crate) const STRACE: Package = Package {
    names: &["strace"],
    program: "strace",
    purpose: "tests of what a backend calls",
};

/// The peer of the benchmark.
pub(crate) const EXITSNOOP: Package = Package {
    names: &["libbpf-tools"],
    program: "exitsnoop",
    purpose: "the benchmark's comparison with exitsnoop",
};

/// Prometheus' own opinion of metrics.
pub(crate) const PROMETHEUS: Package = Package {
    names: &["prometheus"],
    program: "promtool",
    purpose: "the test of what /metrics says",
};

/// The compiler of libFuzzer.
pub(super) const GXX: Package = Package {
    names: &["g++"],
    program: "g++",
    purpose: "fuzzing",
};

/// Links for arm64.
pub(crate) const ARM64_GCC: Package = Package {
    names: &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    program: "aarch64-linux-gnu-gcc",
    purpose: "tests on arm64",
};

/// Links for a machine of the other byte order.
pub(crate) const S390X_GCC: Package = Package {
    names: &["gcc-s390x-linux-gnu", "libc6-dev-s390x-cross"],
    program: "s390x-linux-gnu-gcc",
    purpose: "tests in the other byte order",
};

/// Runs what was linked for them.
pub(crate) const QEMU_USER: Package = Package {
    names: &["qemu-user"],
    program: "qemu-s390x",
    purpose: "tests on arm64 and in the other byte order",
};

/// All that any command wants.
pub(super) const ALL: [Package; 9] = [
    RUNC, CRUN, STRACE, EXITSNOOP, PROMETHEUS, GXX, ARM64_GCC, S390X_GCC, QEMU_USER,
];

/// Installs those whose program is missing, if it may; says whether it did.
/// Nothing fails for want of them, but what is left out is said.
pub(crate) fn packages(wanted: &[Package]) -> bool {
    let missing: Vec<_> = wanted.iter().filter(|package| !is_there(package)).collect();
    if missing.is_empty() {
        return false;
    }
    let names: Vec<_> = missing.iter().flat_map(|it| it.names).copied().collect();
    println!("{}: installing", names.join(", "));
    let installed = install(&names);
    for package in missing.iter().filter(|package| !is_there(package)) {
        println!(
            "MISSING: {} (Debian package {}): {} cannot run",
            package.program,
            package.names.join(", "),
            package.purpose
        );
    }
    if let Err(error) = &installed {
        println!("apt-get could not install: {error:#}");
    }
    installed.is_ok()
}

fn install(names: &[&str]) -> Result<()> {
    let apt_get = || {
        Privilege::own()
            .root("apt-get")
            .context("only root installs packages")
    };
    command::quiet(apt_get()?.arg("update"))?;
    command::quiet(
        apt_get()?
            .args(["install", "--yes", "--no-install-recommends"])
            .args(names)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Whether its program can be run.
pub(crate) fn is_there(package: &Package) -> bool {
    command::find(package.program).is_some()
}
