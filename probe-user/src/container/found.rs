//! What a search for a container returns: the container, or the reason why there is none.

use std::{fmt, path::PathBuf, sync::Arc};

use super::Init;
use crate::model::Container;

/// A container or pod, its cgroups and its init processes.
#[derive(Clone, Debug)]
pub struct Found {
    /// The container. If the name is that of a pod, one container describes the whole pod.
    pub container: Arc<Container>,
    /// The containers of the pod, or the one container.
    pub members: Vec<Arc<Container>>,
    /// Hierarchy id and path of each cgroup: v2 first, then v1 hierarchies by
    /// [`rank`](crate::cgroup::mounts::rank). The subtree of each belongs to the container.
    pub cgroups: Vec<(u32, String)>,
    /// The living init processes that are known, at most one for each container: the runtime
    /// recorded it, or it is pid 1 of the container's own namespace.
    pub inits: Vec<Init>,
    /// Uid of the user that owns the container.
    pub owner: u32,
    /// Whether the container may have processes that are neither in its cgroups nor end with
    /// its init process: no cgroup of its own is known, and it shares its pids.
    pub may_have_others: bool,
}

/// A container that matches the wanted name.
#[derive(Clone, Debug)]
pub struct Match {
    /// The container.
    pub container: Arc<Container>,
    /// Uid of the user that owns it.
    pub owner: u32,
    /// Directory with the state of the runtime, if it keeps any.
    pub location: Option<PathBuf>,
    /// One of its cgroups, if it has one.
    pub cgroup: Option<String>,
}

/// Why no container was found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FindError {
    /// No container matches.
    #[error("no container '{wanted}'")]
    Unknown {
        /// The wanted id or name.
        wanted: String,
    },
    /// Several containers match.
    #[error("'{wanted}' matches several containers:{}", list(.matches))]
    Ambiguous {
        /// The wanted id or name.
        wanted: String,
        /// The matching containers.
        matches: Vec<Match>,
    },
}

fn list(matches: &[Match]) -> String {
    let lines: Vec<_> = matches.iter().map(|it| format!("\n  {it}")).collect();
    lines.concat()
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHORT: usize = 12;
        let Container {
            runtime, id, name, ..
        } = self.container.as_ref();
        let short = id.get(..SHORT).filter(|_| id.len() == 64).unwrap_or(id);
        write!(f, "{} {short}", runtime.as_str())?;
        if let Some(name) = name.as_ref().filter(|&name| name != id) {
            write!(f, " ({name})")?;
        }
        match self.owner {
            0 => write!(f, " of root")?,
            owner => write!(f, " of uid {owner}")?,
        }
        if let Some(location) = &self.location {
            write!(f, ", state in {}", location.display())?;
        }
        match &self.cgroup {
            Some(cgroup) => write!(f, ", cgroup {cgroup}"),
            None => write!(f, ", without a cgroup"),
        }
    }
}
