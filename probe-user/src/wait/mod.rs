//! Waiting for cgroups and processes from a Rust program.
//!
//! A [`Hub`] holds what waits share; [`Hub::arm`] subscribes to everything that
//! may change a [`Target`], so that nothing is missed from then on, and
//! [`Wait::met`] resolves when the state of the target itself is as asked.
//! Events only wake: one that is lost costs time, never truth.
//!
//! ```no_run
//! use std::{error::Error, fs, path::Path};
//!
//! use probe_user::{
//!     model::{Backend, Until},
//!     unstable::wait::{Hub, Target},
//! };
//!
//! /// Kills everything in a cgroup, and removes it.
//! async fn delete(hub: &Hub, cgroup: &Path) -> Result<(), Box<dyn Error>> {
//!     let mut wait = hub.arm(Target::cgroup(cgroup)?, Until::Empty)?;
//!     fs::write(cgroup.join("cgroup.kill"), "1")?;
//!     wait.met().await?;
//!     fs::remove_dir(cgroup)?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn Error>> {
//! let hub = Hub::start(Backend::Pidfd);
//! delete(&hub, Path::new("/sys/fs/cgroup/probe-example")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! That needs no privilege but those of the kill. As root, or with `CAP_BPF` and
//! `CAP_PERFMON`, BPF may join: it makes verdicts prompt where `cgroup.events`
//! is late, and wakes waits for v1 cgroups.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use probe_user::{model::Backend, unstable::{bpf::load::Plan, wait::Hub}};
//!
//! let mut hub = Hub::start(Backend::Bpf);
//! hub.load(Plan::decisive());
//! // Waits may be armed before: BPF joins them. Without it they go on.
//! match hub.bpf().await {
//!     Some(Err(error)) => eprintln!("without BPF: {error}"),
//!     _ => assert!(hub.has_bpf()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Everything runs on the caller's tokio runtime (I/O and time enabled), but for
//! a thread that loads BPF and ends then. There is no global state. A future of
//! [`Wait::met`] may be dropped and asked for again; dropping a [`Wait`] disarms
//! it and, if it was the last one for its cgroup, closes the files; dropping the
//! [`Hub`] detaches BPF, and the waits go on without it.

mod armed;
pub mod backoff;

#[cfg(feature = "bpf")]
mod bpf;
pub mod condition;
#[cfg(feature = "bpf")]
mod decisive;
mod directories;
mod dying;
mod hub;
mod members;
mod occupancy;
mod processes;
#[cfg_attr(not(feature = "bpf"), path = "no_programs.rs")]
mod programs;
mod set;
mod target;
#[cfg(test)]
mod tests;
mod waiter;
mod waker;
mod watch;

pub use armed::{Met, Wait};
#[cfg(feature = "bpf")]
pub use bpf::BpfError;
pub use hub::Hub;
pub use set::WaitSet;
pub use target::{Target, TargetError};
pub use waiter::{
    ArmedWait, BuildError, WaitBuilder, WaitError, Waiter, WaiterBuilder, wait_blocking,
    wait_blocking_for,
};
pub use waker::WokenBy;
