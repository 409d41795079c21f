//! Root, or a way to become root. BPF and cgroups need it; everything else runs without
//! it, so that the checkout does not fill with root's files.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

use crate::command;

/// The privilege that this process can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    Root,
    /// `sudo` is installed, which may ask for a password.
    Sudo,
    None,
}

impl Privilege {
    pub(crate) fn own() -> Self {
        // The owner of this directory is the effective user.
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            Self::Root
        } else if command::find("sudo").is_some() {
            Self::Sudo
        } else {
            Self::None
        }
    }

    /// A command that runs as root; `None` if it cannot.
    pub(crate) fn root(self, program: &str) -> Option<Command> {
        let mut sudo = Command::new("sudo");
        sudo.arg(program);
        match self {
            Self::Root => Some(Command::new(program)),
            Self::Sudo => Some(sudo),
            Self::None => None,
        }
    }
}
