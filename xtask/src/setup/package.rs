//! Debian packages with the peers and runtimes that tests and benchmarks use.

use std::process::Command;

use crate::{checkout, command};

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

/// The peer of the benchmark.
pub(crate) const EXITSNOOP: Package = Package {
    name: "libbpf-tools",
    program: "exitsnoop",
    purpose: "the benchmark's comparison with exitsnoop",
};

/// All that any command wants.
pub(super) const ALL: [Package; 2] = [RUNC, EXITSNOOP];

/// Installs those whose program is missing, if it may; says whether it did.
/// Nothing fails for want of them, but what is left out is said.
pub(crate) fn packages(wanted: &[Package]) -> bool {
    let missing: Vec<_> = wanted.iter().filter(|package| !is_there(package)).collect();
    if missing.is_empty() {
        return false;
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    println!("{}: installing", names.join(", "));
    let installed = command::quiet(Command::new("apt-get").arg("update")).and_then(|()| {
        command::quiet(
            Command::new("apt-get")
                .args(["install", "--yes", "--no-install-recommends"])
                .args(&names)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    });
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

/// System administrators' directories are not on everybody's path.
fn is_there(package: &Package) -> bool {
    let path = checkout::variable("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(package.program).is_file())
}
