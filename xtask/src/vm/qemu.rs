//! The emulator: QEMU 10 from Debian's backports.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{command, setup};

const PROGRAM: &str = "qemu-system-x86_64";

/// Older ones crash a guest whose second CPU runs a tracepoint while the first
/// one patches it, which BPF does.
const SOUND: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Qemu {
    pub(super) program: PathBuf,
    /// What its firmware is below.
    pub(super) root: PathBuf,
    version: u32,
}

impl Qemu {
    /// Unpacks it if it must.
    pub(super) fn find_or_unpack() -> Result<Self> {
        setup::packages(&[setup::QEMU_SYSTEM]);
        let program = command::find(PROGRAM).with_context(|| format!("no {PROGRAM}"))?;
        let said = command::stdout(Command::new(&program).arg("--version"))?;
        let version = version(&said).with_context(|| format!("no version in: {said}"))?;
        if version < SOUND {
            println!("QEMU {version} CRASHES GUESTS with two CPUs: they get one");
        }
        Ok(Self {
            root: setup::root_of(PROGRAM),
            program,
            version,
        })
    }

    /// CPUs that a guest may have.
    pub(super) fn cpus(&self) -> &'static str {
        if self.version < SOUND { "1" } else { "2" }
    }
}

/// `QEMU emulator version 10.0.2 (…)`
fn version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("version ")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_its_first_number() {
        let said = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright\n";
        assert_eq!(version(said), Some(7));
    }
}
