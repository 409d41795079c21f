//! The conditions of a wait.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// The condition that a target must meet.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    #[serde(rename_all = "snake_case")]
    pub enum Until {
        /// Every thread group has passed `exit_notify`; it may be a zombie.
        Exited = "exited",
        /// Every thread group has exited and its pid is released.
        Reaped = "reaped",
        /// The cgroup and its subtree hold no task.
        Empty = "empty",
        /// The cgroups of the container are empty in every hierarchy, and its init and all
        /// processes that migrated out of it have exited.
        Stopped = "stopped",
        /// The directory of the cgroup is gone.
        Removed = "removed",
    }
}

impl Until {
    /// Whether the condition applies to processes, and not to cgroups.
    #[must_use]
    pub const fn is_about_processes(self) -> bool {
        matches!(self, Self::Exited | Self::Reaped)
    }

    /// Whether the condition must also hold for processes that were members of the cgroups and
    /// have left them alive.
    #[must_use]
    pub const fn follows_members(self) -> bool {
        matches!(self, Self::Exited | Self::Reaped | Self::Stopped)
    }
}
