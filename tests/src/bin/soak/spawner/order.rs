//! Orders to the spawner. Each is a JSON line, and so is the answer, a `Result`.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddrV4,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::plan::{Behaviour, Entry, Leave};

/// An order to the spawner.
#[derive(Serialize, Deserialize)]
pub(crate) enum Order {
    /// Makes members. The answer has their pids.
    Spawn(Batch),
    /// Makes a process that enters a cgroup. The answer has its pid.
    Visit(Visitor),
    /// Lets all members exit.
    Leave,
    /// Reaps zombies, now and from now on.
    Reap,
    /// Kills and reaps one child.
    KillOne(u32),
    /// Kills all processes, repeatedly, until none is left.
    Kill,
    /// The states of all children. The answer has [`Child`]ren.
    Children,
    /// Kills and reaps all members.
    Reset,
}

/// Members to make.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// For each cgroup its directory in every hierarchy.
    pub(crate) places: Vec<Vec<Directory>>,
    /// Cgroups among which the members or their threads move, as `places`.
    pub(crate) children: Vec<Vec<Directory>>,
    pub(crate) processes: usize,
    /// Number of threads of each process.
    pub(crate) threads: usize,
    /// Memory of each process.
    pub(crate) kibibytes: usize,
    pub(crate) tcp: Vec<SocketAddrV4>,
    /// Abstract names.
    pub(crate) unix: Vec<String>,
    /// Whether every member of the first cgroup holds the sockets, not only one.
    pub(crate) shares_sockets: bool,
    pub(crate) behaviour: Behaviour,
    /// The name of the processes; empty for that of the program.
    pub(crate) name: Vec<u8>,
}

/// A process to make outside of the target.
#[derive(Serialize, Deserialize)]
pub(crate) struct Visitor {
    pub(crate) entry: Entry,
    pub(crate) leave: Leave,
    /// The target, in every hierarchy.
    pub(crate) target: Vec<Directory>,
    /// A cgroup outside, in every hierarchy.
    pub(crate) refuge: Vec<Directory>,
    pub(crate) threads: usize,
    /// The pid that it gets; it must be free.
    pub(crate) pid: Option<u32>,
    /// Whether the process is never a member, so that no verdict depends on it.
    pub(crate) is_stranger: bool,
}

/// A child of the spawner that has not been reaped.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    /// Whether all its threads have exited.
    pub(crate) has_exited: bool,
}

/// A path, which need not be UTF-8.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Directory(Vec<u8>);

impl Directory {
    pub(crate) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl<P: Into<PathBuf>> From<P> for Directory {
    fn from(path: P) -> Self {
        Self(OsString::from(path.into()).into_vec())
    }
}

/// Encodes the directories of some cgroups.
pub(crate) fn encode(places: &[Vec<PathBuf>]) -> Vec<Vec<Directory>> {
    let place = |directories: &Vec<PathBuf>| directories.iter().map(Directory::from).collect();
    places.iter().map(place).collect()
}
