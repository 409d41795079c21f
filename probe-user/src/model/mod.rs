//! Plain types for everything that the library observes and reports.
//!
//! The code here opens no file and makes no system call, so every other module may use
//! these types.

mod backend;
mod cgroup;
mod container;
mod event;
mod exit_status;
mod filter;
mod loss;
mod process;
mod record;
mod signal;
mod state;
mod until;
pub(crate) mod words;

pub use self::{
    backend::Backend,
    cgroup::{Cgroup, CgroupId, Renamed, is_within},
    container::{Container, Runtime},
    event::{Arguments, Event, Exit, ExitingTask, Start, Timed, Usage},
    exit_status::ExitStatus,
    filter::{Filter, Subtree, TargetProcess},
    loss::{LossCount, LossReason},
    process::{Comm, Owners, Process, ProcessId, ScannedProcess},
    record::{Placed, Record},
    signal::{Cause, KilledBy, Sender, Signal, Via},
    state::{CgroupState, ProcessState, TaskFacts, TaskState},
    until::Until,
};

#[cfg(feature = "bpf")]
pub(crate) use self::process::MachineId;
