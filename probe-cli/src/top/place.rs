//! The place of a process: its container, or its cgroup if it is in none.

use std::sync::Arc;

use probe_user::model::{Container, Placed};

use crate::output::human::{container_name, printable};

/// A container or a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The name for people, without control characters.
    pub(crate) label: Arc<str>,
    /// Distinguishes places with the same name.
    identity: Arc<str>,
    /// Whether the place is a container.
    pub(crate) is_container: bool,
}

impl Place {
    #[must_use]
    pub(crate) fn container(container: &Container) -> Self {
        let location = container.location.as_deref();
        Self {
            label: container_name(container).into(),
            identity: format!(
                "{}:{}:{location:?}",
                container.runtime.as_str(),
                container.id
            )
            .into(),
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

    /// Returns the place in a record.
    #[must_use]
    pub(crate) fn of<T>(placed: &Placed<T>) -> Self {
        if let Some(container) = &placed.container {
            return Self::container(container);
        }
        let path = placed.cgroup.as_ref().and_then(|it| it.path.as_deref());
        Self::cgroup(path.unwrap_or("-"))
    }
}
