//! From a privileged process with programs attached to one that can do little
//! else than serve: the order of the steps.

use std::path::Path;

use probe_user::unstable::{cgroup::mounts::Mount, container::StateRoots};
use tracing::warn;

use super::{
    config::Config,
    privileges::{self, PrivilegeError},
    sandbox::{self, CallError, FileError, Files, Limit},
};

/// Why the daemon would have more rights than it needs.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// User and capabilities.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// Files.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Calls.
    #[error(transparent)]
    Calls(#[from] CallError),
}

impl ConfineError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Privileges(error) => error.hint(),
            Self::Files(_) | Self::Calls(_) => {
                "a seccomp profile around the daemon may forbid it; \
                 it needs prctl, seccomp and the landlock calls"
            }
        }
    }
}

/// What the daemon will look at.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The cgroup mounts.
    pub mounts: &'a [Mount],
    /// Where runtimes keep state.
    pub roots: &'a StateRoots,
    /// Where the socket is to be removed from at the end, if it is ours.
    pub socket_directory: Option<&'a Path>,
}

/// To be called once everything that needs a privilege is done, before the
/// first other thread. `works` tries what the daemon will do with its maps, see
/// [`privileges::drop_to`].
pub fn confine(
    config: &Config,
    sight: Sight<'_>,
    works: impl FnMut() -> bool + Send,
) -> Result<(), ConfineError> {
    privileges::drop_to(config.account.as_ref(), config.runtime_names, works)?;
    let files = Files::needed(
        sight.mounts,
        sight.roots,
        sight.socket_directory,
        config.runtime_names,
    );
    if sandbox::limit_files(&files)? == Limit::None && config.runtime_names {
        warn!("runtime-names needs Landlock: state that only its owner may read stays unread");
        privileges::read_no_more()?;
    }
    sandbox::forbid_calls()?;
    Ok(())
}
