//! Orders to the spawner. Each is a JSON line, and so is the answer, a `Result`.

use std::{net::SocketAddrV4, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::plan::Behaviour;

/// An order to the spawner.
#[derive(Serialize, Deserialize)]
pub(crate) enum Order {
    /// Makes members. The answer has their pids.
    Spawn(Batch),
    /// Lets all members exit.
    Leave,
    /// Reaps zombies, now and from now on.
    Reap,
    /// Whether all members have been reaped.
    HasNoChildren,
    /// Kills and reaps all members.
    Reset,
}

/// Members to make.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// For each cgroup its directory in every hierarchy.
    pub(crate) places: Vec<Vec<PathBuf>>,
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
}
