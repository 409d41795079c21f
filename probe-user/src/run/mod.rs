//! Runs a command so that nothing of it is left afterwards.
//!
//! The command starts in a new v2 cgroup below that of this process ([`RunCgroup`],
//! [`Program::start`]), and this process becomes a subreaper ([`Family`]): a descendant that loses
//! its parent becomes a child of this process, whatever cgroup it has moved to. Nothing is left
//! once the cgroup is empty and this process has no child. Without the right to make a cgroup the
//! second condition alone decides.
//!
//! The name of the cgroup has the pid and the start of the process that made it, so that
//! [`stale::find`] finds the cgroup after SIGKILL has ended that process.

mod cgroup;
mod family;
mod name;
mod signals;
pub mod stale;
mod start;
mod usage;

pub use self::{
    cgroup::{CreateError, RunCgroup, candidates},
    family::{Family, Member},
    name::RunName,
    signals::{Received, Signals},
    start::{Program, StartError},
    usage::{Cpu, RunUsage},
};
