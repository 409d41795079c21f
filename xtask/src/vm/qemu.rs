//! The emulator: QEMU 10 from Debian's backports, if it is not there.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{
    apt::{self, Apt, Kind, Source},
    checkout, command,
    privilege::Privilege,
};

const PROGRAM: &str = "qemu-system-x86_64";

const PACKAGE: &str = "qemu-system-x86";

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
            obtain().context("install QEMU")?;
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

/// From the backports, or else the release's own.
fn obtain() -> Result<()> {
    let release = apt::release()?;
    let backports = format!("{release}-backports");
    let archive = apt::archives(Kind::Main)?.into_iter().next();
    let archive = archive.context("apt names no archive")?;
    // Of this release and no other: from a newer one apt would take a libc too.
    let sources = [&release, &backports].map(|suite| Source {
        archive: archive.clone(),
        suite: suite.to_owned(),
    });
    let apt = Apt::new(checkout::target().join("vm/apt/qemu"), &sources)?;
    if let Err(error) = apt.update() {
        println!("{error:#}: going on with what answered");
    }
    install(&apt, &backports).or_else(|error| {
        println!("QEMU of {backports}: {error:#}: trying the release's own");
        install(&apt, &release)
    })
}

/// With what it depends on, out of the same suite where that is needed. Only if
/// nothing that is there changes: this machine is somebody's.
fn install(apt: &Apt, suite: &str) -> Result<()> {
    let apt_get = || -> Result<Command> {
        let apt_get = Privilege::own().root("apt-get");
        let mut apt_get = apt.configured(apt_get.context("only root installs packages")?);
        apt_get
            .args(["install", "--yes", "--no-install-recommends"])
            .args(["--target-release", suite, PACKAGE])
            .env("DEBIAN_FRONTEND", "noninteractive");
        Ok(apt_get)
    };
    let plan = command::stdout(apt_get()?.arg("--simulate"))?;
    let changed = changed(&plan);
    ensure!(
        changed.is_empty(),
        "it would change packages of this machine: {}",
        changed.join(", ")
    );
    println!("{PACKAGE} of {suite}: installing");
    command::quiet(&mut apt_get()?)
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
