//! The emulator: QEMU 10 from Debian's backports, if it is not there.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    apt::{self, Apt, Kind, Source},
    checkout, command,
    privilege::Privilege,
};

const PROGRAM: &str = "qemu-system-x86_64";

/// What must be of one version.
const PACKAGES: [&str; 3] = ["qemu-system-x86", "qemu-system-common", "qemu-system-data"];

/// Older ones crash a guest whose second CPU runs a tracepoint while the first
/// one patches it, which BPF does.
const SOUND: u32 = 8;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Qemu {
    version: u32,
}

impl Qemu {
    /// Installs it if it must.
    pub(super) fn find_or_install() -> Result<Self> {
        if command::find(PROGRAM).is_none() {
            install_backport().or_else(|error| {
                println!("QEMU of the backports: {error:#}: trying the release's own");
                install(&PACKAGES[..1], None)
            })?;
        }
        let said = command::stdout(Command::new(PROGRAM).arg("--version"))?;
        let version = version(&said).with_context(|| format!("no version in: {said}"))?;
        if version < SOUND {
            println!("QEMU {version} CRASHES GUESTS with two CPUs: they get one");
        }
        Ok(Self { version })
    }

    /// CPUs that a guest may have.
    pub(super) fn cpus(self) -> &'static str {
        if self.version < SOUND { "1" } else { "2" }
    }
}

/// `QEMU emulator version 10.0.2 (…)`
fn version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("version ")?;
    version.split('.').next()?.parse().ok()
}

fn install_backport() -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("no VERSION_CODENAME in /etc/os-release")?;
    let backports = format!("{codename}-backports");
    let archive = apt::archives(Kind::Main)?
        .into_iter()
        .next()
        .context("apt names no archive")?;
    // Of this release and no other: from a newer one apt would take a libc too.
    let sources = [codename, &backports].map(|suite| Source {
        archive: archive.clone(),
        suite: suite.to_owned(),
    });
    let apt = Apt::new(checkout::target().join("vm/apt/qemu"), &sources)?;
    apt.update()?;
    let packages = PACKAGES.map(|name| format!("{name}/{backports}"));
    install(&packages.each_ref().map(String::as_str), Some(&apt))
}

/// Only if nothing that is there changes: this machine is somebody's.
fn install(packages: &[&str], apt: Option<&Apt>) -> Result<()> {
    let apt_get = || -> Result<Command> {
        let apt_get = Privilege::own().root("apt-get");
        let apt_get = apt_get.context("only root installs packages")?;
        Ok(match apt {
            Some(apt) => apt.configured(apt_get),
            None => apt_get,
        })
    };
    let arguments = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    let plan = command::stdout(apt_get()?.arg("--simulate").args(&arguments))?;
    let changed = changed(&plan);
    ensure!(
        changed.is_empty(),
        "it would change packages of this machine: {}",
        changed.join(", ")
    );
    println!("{}: installing", packages.join(", "));
    command::quiet(
        apt_get()?
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// What is there already and would not stay as it is: `Remv NAME [OLD]`, `Inst
/// NAME [OLD] (NEW …)`.
fn changed(plan: &str) -> Vec<&str> {
    plan.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (verb, name, next) = (words.next()?, words.next()?, words.next()?);
            let is_upgrade = verb == "Inst" && next.starts_with('[');
            (verb == "Remv" || is_upgrade).then_some(name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_as_it_is() {
        let plan = "\
Reading package lists...
Remv gdb [13.1-3]
Inst libc6 [2.36-9] (2.41-12 Debian:13.1/stable [amd64])
Inst seabios (1.16.2-1 Debian:12.11/oldstable [all])
Conf seabios (1.16.2-1 Debian:12.11/oldstable [all])
";
        assert_eq!(changed(plan), ["gdb", "libc6"]);
    }

    #[test]
    fn the_version_is_its_first_number() {
        let said = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright\n";
        assert_eq!(version(said), Some(7));
    }
}
