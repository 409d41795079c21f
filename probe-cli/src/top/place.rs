//! Where a process lived: its container, or else its cgroup.

use std::sync::Arc;

use probe_user::model::{Container, Placed};

use crate::output::human::{container_name, printable};

/// A container or a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Its name for people, without characters that command a terminal.
    pub(crate) label: Arc<str>,
    /// Tells it from another place with the same name.
    identity: Arc<str>,
    /// Whether it is a container.
    pub(crate) is_container: bool,
}

impl Place {
    /// A container.
    #[must_use]
    pub(crate) fn container(container: &Container) -> Self {
        Self {
            label: container_name(container).into(),
            identity: format!("{}:{}", container.runtime.as_str(), container.id).into(),
            is_container: true,
        }
    }

    /// A cgroup, by its path below the root of the hierarchy.
    #[must_use]
    pub(crate) fn cgroup(path: &str) -> Self {
        Self {
            label: printable(path).into(),
            identity: path.into(),
            is_container: false,
        }
    }

    /// The place that a record names.
    #[must_use]
    pub(crate) fn of<T>(placed: &Placed<T>) -> Self {
        if let Some(container) = &placed.container {
            return Self::container(container);
        }
        let path = placed.cgroup.as_ref().and_then(|it| it.path.as_deref());
        Self::cgroup(path.unwrap_or("-"))
    }
}
