//! Know the moment a container's processes are gone.
//!
//! The library behind the `probe` command. Data flows one way:
//!
//! ```text
//! source ──→ event ──→ tracker ──→ filter / waiter ──→ output
//!   ▲ BPF rings, cgroup.events and timers all mean one thing: check now
//! ```
//!
//! * [`source`] touches the kernel and nothing else does;
//! * [`event`] turns bytes into meaning;
//! * [`tracker`] remembers what single events do not say;
//! * [`waiter`] decides when a wait is over: by the state of the cgroup, never
//!   by an event;
//! * [`output`] shows it;
//! * [`client`] speaks with a daemon that does all this for everybody ([`api`]);
//! * [`pipeline`] connects the stages, [`cli`] is what the user typed.
//!
//! `ARCHITECTURE.md` has the picture and the reasons.

pub mod api;
pub mod cgroup;
pub mod cli;
pub mod client;
pub mod container;
pub mod daemon;
pub mod event;
pub mod exit_status;
pub mod filter;
#[doc(hidden)]
pub mod fuzzing;
pub mod kill;
pub mod output;
pub mod pipeline;
pub mod process;
mod quantity;
pub mod record;
pub mod signal;
pub mod source;
pub mod top;
pub mod tracker;
pub mod wait;
pub mod waiter;
