//! `--ready-fd`: a file descriptor on which a script learns that the wait is armed.
//!
//! # Safety
//!
//! The number is that of a descriptor that this process inherited: it is taken while the command
//! line is parsed, before the process has opened a descriptor of its own, and only once.

#![expect(unsafe_code, reason = "a descriptor is named by its number")]

use std::{
    fs::File,
    io::Write,
    os::fd::{FromRawFd, RawFd},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{ExitCode, Failure};

/// The descriptor, until the wait is armed.
#[derive(Clone, Debug)]
pub(super) struct ReadyFd(Arc<Mutex<Option<File>>>);

impl ReadyFd {
    /// Takes the inherited descriptor with this number.
    pub(super) fn take(text: &str) -> Result<Self, String> {
        let number = text.parse::<RawFd>().ok().filter(|&number| number > 2);
        let number = number.ok_or_else(|| {
            format!("invalid file descriptor '{text}' (expected a number from 3 on)")
        })?;
        if !Path::new("/proc/self/fd").join(number.to_string()).exists() {
            return Err(format!(
                "file descriptor {number} is not open (a shell opens it with {number}>FILE)"
            ));
        }
        // SAFETY: see the module; no other value owns the descriptor.
        let file = unsafe { File::from_raw_fd(number) };
        Ok(Self(Arc::new(Mutex::new(Some(file)))))
    }

    /// Writes the newline and closes the descriptor.
    pub(super) fn notify(&self) -> Result<(), Failure> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut file) = file else {
            return Ok(());
        };
        file.write_all(b"\n").map_err(|error| {
            let message = format!("cannot write to the file descriptor of --ready-fd: {error}");
            Failure::message(ExitCode::Failure, message)
        })
    }
}
