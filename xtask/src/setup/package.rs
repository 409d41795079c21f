//! Debian packages with the tools, peers, emulators and linkers that tests and
//! benchmarks use. They are unpacked below `target/tools` with all their dependencies,
//! because apt may have to change installed packages to install them.

use std::{env::consts, fs::Permissions, os::unix::fs::PermissionsExt, path::Path, path::PathBuf};

use anyhow::{Context, Result, anyhow};
use fs_err as fs;

use crate::{
    apt::{self, Apt},
    checkout, command,
};

/// Groups of packages that are unpacked together.
pub(super) const GROUPS: &str =
    "tools engines exitsnoop pidwait prometheus g++ cross-gcc qemu-user qemu-system";

/// On each line: the group, the origin, the packages, the programs in them, and what is not
/// done without them. The origin is this machine and otherwise its release, always the
/// release, or the backports of the release. crun supports only v2; ip brings up the
/// loopback of a virtual machine; promtool checks metrics. A package with a question mark is not
/// in every release: since Debian 13 the client of Docker has its own.
const PACKAGES: &str = "\
tools       | machine   | runc         | runc                 | tests with containers of runc
tools       | machine   | crun         | crun                 | tests with containers of crun
tools       | machine   | podman jq    | podman conmon jq     | tests with containers of podman
tools       | machine   | strace       | strace               | tests of system calls
tools       | machine   | curl         | curl                 | tests of the examples of the API
tools       | machine   | procps       | kill ps              | the test of kill(1)
tools       | machine   | iproute2     | ip                   | tests of TCP on other kernels
tools       | machine   | systemd      | systemd-analyze systemd-socket-activate \
    systemd-sysusers | tests of the units
tools       | machine   | zsh          | zsh                  | tests of completion in zsh
tools       | machine   | fish         | fish                 | tests of completion in fish
engines     | machine   | docker.io docker-cli? containerd | dockerd docker ctr | \
    tests with Docker and containerd
engines     | machine   | lxc          | lxc-start            | tests with LXC
engines     | machine   | systemd-container | systemd-nspawn  | tests with systemd-nspawn
engines     | machine   | uidmap       | newuidmap            | tests with podman of a user
engines     | release   | busybox-static | busybox            | tests with images
exitsnoop   | machine   | libbpf-tools | exitsnoop            | the comparison with exitsnoop
pidwait     | machine   | procps       | pidwait              | the comparison with pidwait
prometheus  | machine   | prometheus   | promtool             | the test of /metrics
g++         | machine   | g++          | g++                  | fuzzing
cross-gcc   | release   | gcc-aarch64-linux-gnu libc6-dev-arm64-cross | \
    aarch64-linux-gnu-gcc | tests on arm64
cross-gcc   | release   | gcc-s390x-linux-gnu libc6-dev-s390x-cross | \
    s390x-linux-gnu-gcc | tests in big endian
qemu-user   | backports | qemu-user    | qemu-aarch64 qemu-s390x | tests on other machines
qemu-system | backports | qemu-system-x86 | qemu-system-x86_64 | tests on other kernels";

struct Package {
    origin: &'static str,
    names: Vec<&'static str>,
    programs: Vec<&'static str>,
    purpose: &'static str,
}

fn group(name: &str) -> Vec<Package> {
    let package = |line: &'static str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let mut cell = || cells.next().unwrap_or_default();
        Package {
            origin: cell(),
            names: cell().split(' ').collect(),
            programs: cell().split(' ').collect(),
            purpose: cell(),
        }
    };
    let is_in = |line: &&str| line.split(' ').next() == Some(name);
    PACKAGES.lines().filter(is_in).map(package).collect()
}

impl Package {
    fn is_missing(&self) -> bool {
        let is_found = |program: &&str| match self.origin {
            "machine" => command::find(program).is_some(),
            _ => checkout::tool(program).is_file(),
        };
        !self.programs.iter().all(is_found)
    }

    fn unpack(&self, apt: &Apt, suite: &str) -> Result<()> {
        let root = root(if self.origin == BACKPORTS {
            QEMU
        } else {
            DEBIAN
        });
        let is_there = |name: &str| {
            let names = apt.names(name).unwrap_or_default();
            names.iter().any(|it| it == name)
        };
        let names = self
            .names
            .iter()
            .filter_map(|name| match name.strip_suffix('?') {
                Some(name) => is_there(name).then_some(name),
                None => Some(*name),
            });
        apt.unpack_all(suite, &names.collect::<Vec<_>>(), &root)?;
        self.programs.iter().try_for_each(|it| wrap(&root, it))
    }
}

/// apt, and the suite that is preferred. A release newer than the machine's is never used,
/// because its programs may need a newer C library.
fn source(origin: &str) -> Result<(Apt, String)> {
    let state = checkout::tools().join("apt");
    let release = apt::release()?;
    if origin == BACKPORTS {
        let backports = format!("{release}-backports");
        match Apt::of(&state, &[&release, &backports]) {
            Ok(apt) => return Ok((apt, backports)),
            Err(error) => println!("{error:#}: trying {release} alone"),
        }
    }
    Ok((Apt::of(&state, &[&release])?, release))
}

/// Unpacks the missing packages of a group; returns whether one was unpacked. A package
/// that cannot be unpacked is reported and fails nothing.
pub(crate) fn packages(name: &str) -> bool {
    let mut missing = group(name);
    missing.retain(Package::is_missing);
    let Some(first) = missing.first() else {
        return false;
    };
    let source = source(first.origin);
    let mut is_any_unpacked = false;
    for package in &missing {
        println!("{}: unpacking", package.names.join(", ").replace('?', ""));
        let source = source.as_ref().map_err(|error| anyhow!("{error:#}"));
        match source.and_then(|(apt, suite)| package.unpack(apt, suite)) {
            Ok(()) => is_any_unpacked = true,
            Err(error) => println!("NOT APPLICABLE: {}: {error:#}", package.purpose),
        }
    }
    if let Ok((apt, _)) = source
        && let Err(error) = apt.remove()
    {
        println!("{error:#}");
    }
    is_any_unpacked
}

/// Whether every program of a group can be run.
pub(crate) fn is_there(name: &str) -> bool {
    let programs = group(name).into_iter().flat_map(|it| it.programs);
    programs.map(command::find).all(|it| it.is_some())
}

const BACKPORTS: &str = "backports";

/// The directory of packages from the release, and that of packages from its backports.
const DEBIAN: &str = "debian";
const QEMU: &str = "qemu";

fn root(name: &str) -> PathBuf {
    checkout::tools().join(name)
}

/// Writes a script that runs an unpacked program with the libraries and the units that
/// were unpacked with it. A link would not do, because some programs look for files next
/// to their own path or start themselves again.
fn wrap(root: &Path, program: &str) -> Result<()> {
    let file = file(root, program).with_context(|| format!("no {program} was unpacked"))?;
    let wrapper = checkout::tool(program);
    fs::create_dir_all(wrapper.parent().unwrap_or(root))?;
    if program == "fish" {
        link_configuration(root)?;
    }
    let (root, file, libraries) = (root.display(), file.display(), libraries(root));
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' SYSTEMD_UNIT_PATH='{root}/lib/systemd/system:\
         {root}/usr/lib/systemd/system' exec '{file}' \"$@\"\n"
    );
    fs::write(&wrapper, script)?;
    let mode = Permissions::from_mode(0o755);
    Ok(fs::set_permissions(&wrapper, mode)?)
}

/// fish finds its functions beside itself only if `etc` is there as well.
fn link_configuration(root: &Path) -> Result<()> {
    let link = root.join("usr/etc");
    if !link.exists() {
        std::os::unix::fs::symlink("../etc", link)?;
    }
    Ok(())
}

fn file(root: &Path, program: &str) -> Option<PathBuf> {
    let directories = ["usr/bin", "bin", "usr/sbin", "sbin"].map(|it| root.join(it));
    let files = directories.map(|it| it.join(program));
    files.into_iter().find(|it| it.is_file())
}

/// The library path below a root: some packages have a directory of their own.
fn libraries(root: &Path) -> String {
    let mut found = Vec::new();
    for prefix in ["lib", "usr/lib"] {
        let place = root.join(format!("{prefix}/{}-linux-gnu", consts::ARCH));
        let below = checkout::entries(&place).unwrap_or_default();
        let below = below.into_iter().filter(|it| it.is_dir());
        let directories = [place].into_iter().chain(below);
        found.extend(directories.map(|it| it.to_string_lossy().into_owned()));
    }
    found.join(":")
}

/// The root of the files of a program's package, which is unpacked or installed.
pub(crate) fn root_of(program: &str) -> PathBuf {
    let mut roots = [DEBIAN, QEMU].map(root).into_iter();
    let unpacked = roots.find(|root| file(root, program).is_some());
    unpacked
        .filter(|_| checkout::tool(program).is_file())
        .unwrap_or_else(|| "/".into())
}

/// The program behind the path that [`command::find`] returned, and its library path.
pub(crate) fn behind(found: &Path) -> (PathBuf, String) {
    let name = found.file_name().unwrap_or_default().to_string_lossy();
    let root = root_of(&name);
    let file = file(&root, &name).filter(|_| *found == checkout::tool(&name));
    match file {
        Some(file) => (file, libraries(&root)),
        None => (found.into(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_package_of_a_group() {
        let packages: Vec<_> = GROUPS.split(' ').flat_map(group).collect();
        assert_eq!(packages.len(), PACKAGES.lines().count());
        assert!(packages.iter().all(|it| !it.purpose.is_empty()));
        assert_eq!(packages[2].names, ["podman", "jq"]);
        assert_eq!(packages[2].programs, ["podman", "conmon", "jq"]);
    }
}
