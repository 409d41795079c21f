//! The steps, in order, by which the daemon drops its privileges once its BPF programs are
//! attached: user and capabilities, files, system calls.

use tracing::warn;

use super::{
    config::Config,
    privileges::{self, PrivilegeError},
    sandbox::{self, CallError, FileError, Files},
};

/// Why the daemon could not drop its privileges.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Changing the user or dropping capabilities failed.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// Limiting the access to files failed.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Forbidding system calls failed.
    #[error(transparent)]
    Calls(#[from] CallError),
}

impl ConfineError {
    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Privileges(error) => error.hint(),
            Self::Files(_) | Self::Calls(_) => {
                "a seccomp profile around the daemon may be the cause; \
                 allow prctl, seccomp and the landlock system calls"
            }
        }
    }
}

/// Drops every privilege that serving does not need. The caller must have done everything
/// that needs a privilege, and must not have started a second thread. `works` tries the
/// operations on BPF maps that serving needs, see [`privileges::drop_to`].
pub(crate) fn confine(
    config: &Config,
    files: &Files,
    works: impl FnMut() -> bool + Send,
) -> Result<(), ConfineError> {
    privileges::drop_to(config.account.as_ref(), config.runtime_names, works)?;
    let is_limited = sandbox::limit_files(files)?;
    if config.runtime_names && !is_limited {
        warn!("runtime-names needs Landlock: only state that every user may read is read");
        privileges::drop_read_all()?;
    }
    sandbox::forbid_calls()?;
    Ok(())
}
