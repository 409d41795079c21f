//! Root, or a way to become it: BPF and cgroups need it, nothing else may run
//! with it, so that the checkout does not fill with root's files.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

use crate::command;

/// What this process may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// It is root.
    Root,
    /// It is not, but `sudo` is there, which may ask for a password.
    Sudo,
    /// Neither.
    None,
}

impl Privilege {
    /// That of this process.
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
        match self {
            Self::Root => Some(Command::new(program)),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.arg(program);
                Some(sudo)
            }
            Self::None => None,
        }
    }
}
