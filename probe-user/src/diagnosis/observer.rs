//! [`Observer`]: what one diagnosis has read of the machine, for all its processes.

use std::cell::{OnceCell, RefCell};
use std::{collections::HashMap, fs};

use procfs::{FromRead, process::MountInfo, process::MountInfos};

use super::{
    cause::{ProcessName, Thaw},
    fuse::Connections,
    quota::Quotas,
    task,
};
use crate::{
    cgroup::mounts::Mounts,
    model::Signal,
    proc::{directory::ProcessDirectory, stat::Stat},
};

/// Reads each file of the machine once, and only if a process needs it: ten thousand processes
/// are often stuck for the same reason.
#[derive(Default)]
pub struct Observer {
    mounts: OnceCell<Mounts>,
    mount_infos: OnceCell<Vec<MountInfo>>,
    pub(super) connections: OnceCell<Connections>,
    /// Frozen ancestors by hierarchy and path.
    pub(super) frozen: RefCell<HashMap<(u32, String), Vec<Thaw>>>,
    pub(super) quotas: Quotas,
    pub(super) sent: Option<Signal>,
}

impl Observer {
    /// An observer that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An observer that may measure for 100 ms how often a CPU quota stops a process. Without
    /// this, nothing that it does takes longer than reading files.
    #[must_use]
    pub fn measuring() -> Self {
        let mut observer = Self::default();
        observer.quotas.may_measure = true;
        observer
    }

    /// Asks also what the processes do with this signal, which they have got.
    #[must_use]
    pub const fn after(mut self, signal: Signal) -> Self {
        self.sent = Some(signal);
        self
    }

    pub(super) fn mounts(&self) -> &Mounts {
        self.mounts
            .get_or_init(|| Mounts::read().unwrap_or_default())
    }

    /// The mounts in the mount namespace of this process.
    pub(super) fn mount_infos(&self) -> &[MountInfo] {
        self.mount_infos.get_or_init(|| {
            let file = fs::read("/proc/self/mountinfo").unwrap_or_default();
            parse_mounts(&file)
        })
    }

    /// The name and the state of a process; without them only its pid is known.
    pub(super) fn name(pid: u32) -> ProcessName {
        Self::read_name(pid).unwrap_or_else(|| ProcessName {
            pid,
            comm: "?".to_owned(),
            state: '?',
            wchan: None,
        })
    }

    pub(super) fn read_name(pid: u32) -> Option<ProcessName> {
        let directory = ProcessDirectory::open(pid).ok()?;
        let file = directory.content("stat").ok()?;
        let stat = Stat::parse(&file)?;
        Some(ProcessName {
            pid,
            comm: String::from_utf8_lossy(stat.comm).into_owned(),
            state: stat.letter,
            wchan: task::wchan(&directory, pid),
        })
    }
}

/// Parses `mountinfo`; a file that cannot be parsed has no mounts.
pub(super) fn parse_mounts(file: &[u8]) -> Vec<MountInfo> {
    MountInfos::from_read(file).map_or_else(|_malformed| Vec::new(), |it| it.0)
}
