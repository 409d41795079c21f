//! What a cgroup or a process is at one moment.

/// What a cgroup is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupState {
    /// The subtree holds tasks.
    Populated,
    /// It holds none: `rmdir` succeeds.
    Empty,
    /// The directory is gone.
    Removed,
}

/// What a process is at one moment. The order is that of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessState {
    /// At least one of its threads has not passed `exit_notify`.
    Running,
    /// All have: memory, files and ports are released. A zombie, if its parent
    /// has not reaped it.
    Exited,
    /// Its pid is released.
    Reaped,
}
