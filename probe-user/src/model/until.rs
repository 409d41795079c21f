//! The conditions of a wait.

use serde::{Deserialize, Serialize};

/// The condition that a target must meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Every thread group has passed `exit_notify`; it may be a zombie.
    Exited,
    /// Every thread group has exited and its pid is released.
    Reaped,
    /// The cgroup and its subtree hold no task.
    Empty,
    /// The cgroups of the container are empty in every hierarchy, and its init and all
    /// processes that migrated out of it have exited.
    Stopped,
    /// The directory of the cgroup is gone.
    Removed,
}

impl Until {
    /// Every condition.
    pub const ALL: [Self; 5] = [
        Self::Exited,
        Self::Reaped,
        Self::Empty,
        Self::Stopped,
        Self::Removed,
    ];

    /// The word on the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Reaped => "reaped",
            Self::Empty => "empty",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
        }
    }

    /// Whether the condition applies to processes, and not to cgroups.
    #[must_use]
    pub const fn is_about_processes(self) -> bool {
        matches!(self, Self::Exited | Self::Reaped)
    }
}
