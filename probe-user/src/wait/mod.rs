//! Waits until the state of a cgroup or process satisfies a condition.
//!
//! A [`Hub`] holds what waits share. [`Hub::arm`] subscribes to every source that may
//! announce a change of a [`Target`], so that no later change is missed. [`Wait::met`]
//! resolves when the state of the target satisfies the condition. An event only wakes the
//! wait, so a lost event delays the verdict but never makes it wrong. [`Waiter`] is the
//! interface for programs that link the library.
//!
//! Everything runs on the caller's tokio runtime (I/O and time enabled), except a thread
//! that loads BPF and one that closes it. There is no global state. [`Wait::met`] is cancel
//! safe. Dropping a [`Wait`] disarms it and, if it was the last one for its cgroup, closes
//! the files. Dropping the [`Hub`] detaches BPF, and the waits go on without it.

mod armed;
mod armed_wait;
mod arming;
pub mod backoff;
mod blocking;
#[cfg(feature = "bpf")]
mod bpf;
pub mod condition;
#[cfg(feature = "bpf")]
mod decisive;
mod directories;
mod entries;
mod error;
mod exiting;
mod following;
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
pub use armed_wait::ArmedWait;
pub use blocking::{wait_blocking, wait_blocking_for};
#[cfg(feature = "bpf")]
pub use bpf::BpfError;
pub use error::WaitError;
pub use hub::Hub;
pub use set::WaitSet;
pub use target::{Target, TargetError};
pub use waiter::{BuildError, WaitBuilder, Waiter, WaiterBuilder};
pub use waker::WokenBy;
