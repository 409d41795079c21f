//! Debian packages with the tools, peers, emulators and linkers that tests and
//! benchmarks use. They are unpacked below `target/tools` with all that they depend
//! on: to install them apt may have to change what is installed.

use std::{env::consts, fs, os::unix::fs::PermissionsExt, path::Path, path::PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::{
    apt::{self, Apt, Kind},
    checkout, command,
};

/// Packages, and the programs for which they are wanted.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    names: &'static [&'static str],
    programs: &'static [&'static str],
    /// What is not done without it.
    purpose: &'static str,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This machine, or else its release.
    Machine,
    /// The release of this machine, whatever is installed.
    Release,
    /// Its backports, or else the release.
    Backports,
}

/// What the tests run, here and in virtual machines.
pub(crate) const TOOLS: [Package; 8] = [
    // A real container runtime.
    Package {
        names: &["runc"],
        programs: &["runc"],
        purpose: "tests with real containers",
        origin: Origin::Machine,
    },
    // Another, which knows cgroups of v2 alone.
    Package {
        names: &["crun"],
        programs: &["crun"],
        purpose: "tests with containers of crun",
        origin: Origin::Machine,
    },
    Package {
        names: &["podman", "jq"],
        programs: &["podman", "conmon", "jq"],
        purpose: "tests with containers of podman",
        origin: Origin::Machine,
    },
    // Shows the system calls of a program.
    Package {
        names: &["strace"],
        programs: &["strace"],
        purpose: "tests of what a backend calls",
        origin: Origin::Machine,
    },
    Package {
        names: &["curl"],
        programs: &["curl"],
        purpose: "tests of the examples of the API",
        origin: Origin::Machine,
    },
    Package {
        names: &["procps"],
        programs: &["kill", "ps"],
        purpose: "the test of kill(1)",
        origin: Origin::Machine,
    },
    // Brings up the loopback of a virtual machine.
    Package {
        names: &["iproute2"],
        programs: &["ip"],
        purpose: "tests of TCP on other kernels",
        origin: Origin::Machine,
    },
    Package {
        names: &["systemd"],
        programs: &[
            "systemd-analyze",
            "systemd-socket-activate",
            "systemd-sysusers",
        ],
        purpose: "tests of the units",
        origin: Origin::Machine,
    },
];

/// The peer of the benchmark.
pub(crate) const EXITSNOOP: Package = Package {
    names: &["libbpf-tools"],
    programs: &["exitsnoop"],
    purpose: "the benchmark's comparison with exitsnoop",
    origin: Origin::Machine,
};

/// Prometheus' own opinion of metrics.
pub(crate) const PROMETHEUS: Package = Package {
    names: &["prometheus"],
    programs: &["promtool"],
    purpose: "the test of what /metrics says",
    origin: Origin::Machine,
};

/// The compiler of libFuzzer.
pub(crate) const GXX: Package = Package {
    names: &["g++"],
    programs: &["g++"],
    purpose: "fuzzing",
    origin: Origin::Machine,
};

/// Link for arm64, and for a machine of the other byte order.
pub(crate) const CROSS_GCC: [Package; 2] = [
    Package {
        names: &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        programs: &["aarch64-linux-gnu-gcc"],
        purpose: "tests on arm64",
        origin: Origin::Release,
    },
    Package {
        names: &["gcc-s390x-linux-gnu", "libc6-dev-s390x-cross"],
        programs: &["s390x-linux-gnu-gcc"],
        purpose: "tests in the other byte order",
        origin: Origin::Release,
    },
];

/// Runs what was linked for them.
pub(crate) const QEMU_USER: Package = Package {
    names: &["qemu-user"],
    programs: &["qemu-aarch64", "qemu-s390x"],
    purpose: "tests on arm64 and in the other byte order",
    origin: Origin::Backports,
};

/// Runs other kernels.
pub(crate) const QEMU_SYSTEM: Package = Package {
    names: &["qemu-system-x86"],
    programs: &["qemu-system-x86_64"],
    purpose: "tests on other kernels",
    origin: Origin::Backports,
};

/// Unpacks those that are missing, if it can; says whether it did. Nothing fails for
/// want of them, but what is left out is said.
pub(crate) fn packages(wanted: &[Package]) -> bool {
    let missing = wanted.iter().filter(|it| it.is_missing());
    let (backports, release): (Vec<_>, Vec<_>) =
        missing.partition(|it| it.origin == Origin::Backports);
    let unpacked = [unpack(&release), unpack(&backports)];
    unpacked.contains(&true)
}

/// Packages of one origin.
fn unpack(packages: &[&Package]) -> bool {
    let Some(origin) = packages.first().map(|it| it.origin) else {
        return false;
    };
    let source = source(origin);
    let mut is_any_unpacked = false;
    for package in packages {
        println!("{}: unpacking", package.names.join(", "));
        let unpacked = match &source {
            Ok((apt, suite)) => package.unpack(apt, suite),
            Err(error) => Err(anyhow!("{error:#}")),
        };
        is_any_unpacked |= unpacked.is_ok();
        if let Err(error) = unpacked {
            println!("NOT APPLICABLE: {}: {error:#}", package.purpose);
        }
    }
    if let Ok((apt, _)) = source
        && let Err(error) = apt.remove()
    {
        println!("{error:#}");
    }
    is_any_unpacked
}

/// apt, and the suite that is preferred. Nothing is of a newer release: its programs
/// may want a newer C library than there is.
fn source(origin: Origin) -> Result<(Apt, String)> {
    let state = checkout::tools().join("apt");
    let release = apt::release()?;
    if origin == Origin::Backports {
        let backports = format!("{release}-backports");
        match Apt::of(&state, Kind::Main, &[&release, &backports]) {
            Ok(apt) => return Ok((apt, backports)),
            Err(error) => println!("{error:#}: trying {release} alone"),
        }
    }
    Ok((Apt::of(&state, Kind::Main, &[&release])?, release))
}

impl Package {
    fn is_missing(&self) -> bool {
        let is_unpacked = |program: &&str| checkout::tool(program).is_file();
        match self.origin {
            Origin::Machine => !is_there(self),
            Origin::Release | Origin::Backports => !self.programs.iter().all(is_unpacked),
        }
    }

    fn unpack(&self, apt: &Apt, suite: &str) -> Result<()> {
        let root = root(match self.origin {
            Origin::Backports => QEMU,
            Origin::Machine | Origin::Release => DEBIAN,
        });
        apt.unpack_all(suite, self.names, &root)?;
        self.programs.iter().try_for_each(|it| wrap(&root, it))
    }
}

/// What is of the release alone, and what may be of its backports.
const DEBIAN: &str = "debian";
const QEMU: &str = "qemu";

fn root(name: &str) -> PathBuf {
    checkout::tools().join(name)
}

/// What runs an unpacked program with the libraries and the units that were unpacked
/// with it: itself, because some look where they are and start themselves again.
fn wrap(root: &Path, program: &str) -> Result<()> {
    let file = file(root, program).with_context(|| format!("no {program} was unpacked"))?;
    let wrapper = checkout::tool(program);
    fs::create_dir_all(wrapper.parent().unwrap_or(root)).context("create a directory")?;
    let (root, file, libraries) = (root.display(), file.display(), libraries(root)?);
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' SYSTEMD_UNIT_PATH='{root}/lib/systemd/system:\
         {root}/usr/lib/systemd/system' exec '{file}' \"$@\"\n"
    );
    fs::write(&wrapper, script)
        .and_then(|()| fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("write {}", wrapper.display()))
}

fn file(root: &Path, program: &str) -> Option<PathBuf> {
    let directories = ["usr/bin", "bin", "usr/sbin", "sbin"].map(|it| root.join(it));
    let files = directories.map(|it| it.join(program));
    files.into_iter().find(|it| it.is_file())
}

/// Where they are, joined: some packages have a directory of their own.
fn libraries(root: &Path) -> Result<String> {
    let directory = format!("lib/{}-linux-gnu", consts::ARCH);
    let mut found = Vec::new();
    for place in [root.join(&directory), root.join("usr").join(&directory)] {
        let entries = fs::read_dir(&place).into_iter().flatten();
        let paths: Result<Vec<_>, _> = entries.map(|it| it.map(|it| it.path())).collect();
        let below = paths.with_context(|| format!("list {}", place.display()))?;
        let below = below.into_iter().filter(|it| it.is_dir());
        found.extend([place].into_iter().chain(below));
    }
    let found: Vec<_> = found.iter().map(|it| it.to_string_lossy()).collect();
    Ok(found.join(":"))
}

/// What the files of a program's package are below: it is unpacked, or installed.
pub(crate) fn root_of(program: &str) -> PathBuf {
    let is_its = |root: &PathBuf| file(root, program).is_some();
    let roots = [DEBIAN, QEMU].map(root).into_iter();
    let mut roots = roots.filter(|_| checkout::tool(program).is_file());
    roots.find(is_its).unwrap_or_else(|| "/".into())
}

/// The program itself where [`command::find`] finds what runs it, and where its
/// libraries are.
pub(crate) fn behind(found: &Path) -> Result<(PathBuf, String)> {
    let name = found.file_name().unwrap_or_default().to_string_lossy();
    let root = root_of(&name);
    let file = file(&root, &name).filter(|_| *found == checkout::tool(&name));
    Ok(match file {
        Some(file) => (file, libraries(&root)?),
        None => (found.into(), String::new()),
    })
}

/// Whether its programs can be run.
pub(crate) fn is_there(package: &Package) -> bool {
    let mut programs = package.programs.iter();
    programs.all(|it| command::find(it).is_some())
}
