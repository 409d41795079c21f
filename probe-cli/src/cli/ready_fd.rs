//! `--ready-fd`: a file descriptor on which a script learns that the wait is armed.
//!
//! # Safety
//!
//! The number is that of a descriptor that this process inherited: it is tested while the command
//! line is parsed, before the process has opened a descriptor of its own. [`ReadyFd::notify`] alone
//! owns the descriptor, and is called once.

#![expect(unsafe_code, reason = "a descriptor is named by its number")]

use std::{
    fs::File,
    io::Write,
    os::fd::{FromRawFd, RawFd},
    path::Path,
};

use super::{ExitCode, Failure};

/// The number of the descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadyFd(RawFd);

impl ReadyFd {
    /// Tests that this process has inherited a descriptor with this number.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse::<RawFd>().ok().filter(|&number| number > 2);
        let number = number.ok_or_else(|| {
            format!("invalid file descriptor '{text}' (expected a number from 3 on)")
        })?;
        if !Path::new("/proc/self/fd").join(number.to_string()).exists() {
            return Err(format!(
                "file descriptor {number} is not open (a shell opens it with {number}>FILE)"
            ));
        }
        Ok(Self(number))
    }

    /// Writes the newline and closes the descriptor. Called once.
    pub(super) fn notify(self) -> Result<(), Failure> {
        // SAFETY: see the module; no other value owns the descriptor.
        let mut file = unsafe { File::from_raw_fd(self.0) };
        file.write_all(b"\n").map_err(|error| {
            let message = format!("cannot write to the file descriptor of --ready-fd: {error}");
            Failure::message(ExitCode::Failure, message)
        })
    }
}
