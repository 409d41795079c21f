//! Debian packages with the peers and runtimes that tests and benchmarks use.

use anyhow::{Context, Result};

use crate::{command, privilege::Privilege};

/// A package, and the program for which it is wanted.
pub(crate) struct Package {
    name: &'static str,
    program: &'static str,
    /// What is not done without it.
    purpose: &'static str,
}

/// A real container runtime.
pub(crate) const RUNC: Package = Package {
    name: "runc",
    program: "runc",
    purpose: "tests with real containers",
};

/// Another, which knows cgroups of v2 alone.
pub(crate) const CRUN: Package = Package {
    name: "crun",
    program: "crun",
    purpose: "tests with containers of crun",
};

/// Shows the system calls of a program.
pub(crate) const STRACE: Package = Package {
    name: "strace",
    program: "strace",
    purpose: "tests of what a backend calls",
};

/// The peer of the benchmark.
pub(crate) const EXITSNOOP: Package = Package {
    name: "libbpf-tools",
    program: "exitsnoop",
    purpose: "the benchmark's comparison with exitsnoop",
};

/// Prometheus' own opinion of metrics.
pub(crate) const PROMETHEUS: Package = Package {
    name: "prometheus",
    program: "promtool",
    purpose: "the test of what /metrics says",
};

/// The compiler of libFuzzer.
pub(super) const GXX: Package = Package {
    name: "g++",
    program: "g++",
    purpose: "fuzzing",
};

/// All that any command wants.
pub(super) const ALL: [Package; 6] = [RUNC, CRUN, STRACE, EXITSNOOP, PROMETHEUS, GXX];

/// Installs those whose program is missing, if it may; says whether it did.
/// Nothing fails for want of them, but what is left out is said.
pub(crate) fn packages(wanted: &[Package]) -> bool {
    let missing: Vec<_> = wanted.iter().filter(|package| !is_there(package)).collect();
    if missing.is_empty() {
        return false;
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    println!("{}: installing", names.join(", "));
    let installed = install(&names);
    for package in missing.iter().filter(|package| !is_there(package)) {
        println!(
            "MISSING: {} (Debian package {}): {} cannot run",
            package.program, package.name, package.purpose
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

fn is_there(package: &Package) -> bool {
    command::find(package.program).is_some()
}
