//! The conditions that a wait can ask for.

use serde::{Deserialize, Serialize};

/// What must be true of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Every thread group has passed `exit_notify`; it may be a zombie.
    Exited,
    /// And its pid is released.
    Reaped,
    /// The cgroup and its subtree hold no task.
    Empty,
    /// A container: empty in every hierarchy, its init and all that migrated out
    /// of it exited.
    Stopped,
    /// The directory is gone.
    Removed,
}

impl Until {
    /// All of them.
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

    /// Whether it can be asked of a process.
    #[must_use]
    pub const fn is_about_processes(self) -> bool {
        matches!(self, Self::Exited | Self::Reaped)
    }
}
