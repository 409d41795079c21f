//! The names of the targets of a wait or a kill in the verdict.

use std::{
    io::{self, Write},
    sync::Arc,
};

use probe_daemon::api::json::{NamedCgroup, NamedContainer, NamedProcess, SubjectObject};
use probe_user::model::{CgroupId, Container};

use super::human::printable;

/// One target. Its kind shows in the fields that are set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// A cgroup by itself, or the first one of the container or unit.
    pub(crate) cgroup: Option<CgroupName>,
    /// A process.
    pub(crate) process: Option<ProcessName>,
    /// A container that was found.
    pub(crate) container: Option<Arc<Container>>,
    /// The name that the user gave for a container that is unknown to every runtime.
    pub(crate) unknown_container: Option<String>,
    /// A systemd unit.
    pub(crate) unit: Option<String>,
}

/// A cgroup as a verdict names it.
#[derive(Clone, Debug)]
pub(crate) struct CgroupName {
    /// `None` if the cgroup was gone before it could be opened.
    pub(crate) id: Option<CgroupId>,
    /// Path below the root of the hierarchy.
    pub(crate) path: String,
}

/// A process as a verdict names it.
#[derive(Clone, Debug)]
pub(crate) struct ProcessName {
    /// Thread group id.
    pub(crate) pid: u32,
    /// `None` if the process was gone before it could be opened.
    pub(crate) comm: Option<String>,
}

impl Subject {
    /// Writes the name for people.
    pub(crate) fn write_human(&self, out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(unit) = &self.unit {
            return write!(out, "unit {}", printable(unit));
        }
        if let Some(container) = &self.container {
            let name = container.name.as_deref().unwrap_or(&container.id);
            return write!(out, "container {}", printable(name));
        }
        if let Some(name) = &self.unknown_container {
            return write!(out, "container {}", printable(name));
        }
        if let Some(process) = &self.process {
            write!(out, "process {}", process.pid)?;
            return match &process.comm {
                Some(comm) => write!(out, " ({})", printable(comm)),
                None => Ok(()),
            };
        }
        let path = self.cgroup.as_ref().map_or("?", |cgroup| &cgroup.path);
        write!(out, "{}", printable(path))
    }

    pub(super) fn object(&self) -> SubjectObject<'_> {
        let known = self.container.as_deref();
        let unknown = self.unknown_container.as_deref();
        SubjectObject {
            cgroup: self.cgroup.as_ref().map(|cgroup| NamedCgroup {
                hierarchy: cgroup.id.map(|id| id.hierarchy),
                id: cgroup.id.map(|id| id.id),
                path: &cgroup.path,
            }),
            process: self.process.as_ref().map(|process| NamedProcess {
                pid: process.pid,
                comm: process.comm.as_deref(),
            }),
            container: known
                .map(|it| NamedContainer {
                    runtime: Some(it.runtime.as_str()),
                    id: Some(&it.id),
                    name: it.name.as_deref(),
                })
                .or_else(|| {
                    unknown.map(|name| NamedContainer {
                        runtime: None,
                        id: None,
                        name: Some(name),
                    })
                }),
            unit: self.unit.as_deref(),
        }
    }
}
