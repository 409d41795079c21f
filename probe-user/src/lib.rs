//! Wait until cgroups and processes are really gone, and stream how they ended.
//!
//! A process that was sent SIGKILL stays in its cgroup until the kernel has torn it
//! down: `cgroup.procs` lists it, `rmdir` says EBUSY, `kill -0` succeeds. A
//! [`Waiter`] resolves a wait microseconds after that is over, and never before: BPF
//! records, `cgroup.events`, pidfds and a timer wake it, and the state of the target
//! itself decides.
//!
//! ```text
//!   BPF ring ──────┐
//!   cgroup.events ─┤ wake    ┌────────────┐  true
//!   pidfd ─────────┼───────→ │ look at the│ ───────→ verdict
//!   inotify ───────┤         │   target   │
//!   timer ─────────┘         └────────────┘
//! ```
//!
//! Kill a cgroup and remove it:
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{fs, time::Duration};
//!
//! use probe_user::{Until, Waiter};
//!
//! let cgroup = "/sys/fs/cgroup/build";
//! let waiter = Waiter::builder().build()?;
//! let wait = waiter.cgroup(cgroup)?.until(Until::Empty);
//! let armed = wait.timeout(Duration::from_secs(10)).arm()?;
//! fs::write(format!("{cgroup}/cgroup.kill"), "1")?;
//! armed.await?;
//! fs::remove_dir(cgroup)?;
//! # Ok(())
//! # }
//! ```
//!
//! Without a tokio runtime [`wait_blocking`] does the same, and [`ExitStream`] reports
//! how processes end.
//!
//! # Requirements
//!
//! Linux 5.3 for pidfds, 5.8 for BPF; on older kernels a timer serves. A wait needs no
//! privilege but the right to read the target; BPF needs root, or `CAP_BPF` and
//! `CAP_PERFMON`, and joins by itself where it is available. Without the default
//! feature `bpf` the crate links no BPF loader, and every wait is right all the same.
//!
//! # Features
//!
//! * `bpf` (default): BPF wakes waits; [`ExitStream`].
//! * `openapi`: derives of `utoipa` for types that the daemon's API shows.
//! * `unstable`: what the other packages of this project use; outside semver.

// The daemon and the command use the rest, through the feature `unstable`.
#![cfg_attr(
    not(feature = "unstable"),
    expect(
        unused_imports,
        unreachable_pub,
        clippy::struct_field_names,
        reason = "public through the feature `unstable` only"
    )
)]
#![cfg_attr(
    not(all(feature = "unstable", feature = "bpf")),
    expect(dead_code, reason = "used through the feature `unstable` only")
)]

#[cfg(feature = "bpf")]
mod bpf;
mod cgroup;
mod clock;
mod closing;
mod container;
#[cfg(feature = "unstable")]
mod fuzzing;
mod kernel;
mod kill;
pub mod model;
mod proc;
mod readiness;
#[cfg(feature = "bpf")]
mod trace;
mod wait;

#[doc(inline)]
pub use self::model::Until;
#[cfg(feature = "bpf")]
pub use self::{
    bpf::{hook::Hook, load::LoadError},
    model::Filter,
    trace::{ExitStream, OpenError, StreamError},
    wait::BpfError,
};
pub use self::{
    cgroup::{mounts::MountError, pinned::PinError},
    proc::{pinned::PinProcessError, survivors::Survivor},
    wait::{
        ArmedWait, BuildError, Met, TargetError, WaitBuilder, WaitError, Waiter, WaiterBuilder,
        WokenBy, wait_blocking, wait_blocking_for,
    },
};

/// What the daemon, the command and the tests of this project use beyond the
/// public interface. Outside semver: any release may change it.
#[cfg(feature = "unstable")]
pub mod unstable {
    /// The BPF programs: loading, attaching, decoding.
    #[cfg(feature = "bpf")]
    pub mod bpf {
        pub use crate::bpf::*;
    }
    /// Mounts and pinned cgroups.
    pub mod cgroup {
        pub use crate::cgroup::*;
    }
    /// Clocks.
    pub mod clock {
        pub use crate::clock::*;
    }
    /// Names and state of containers.
    pub mod container {
        pub use crate::container::*;
    }
    /// Parsers for the fuzz targets.
    pub mod fuzzing {
        pub use crate::fuzzing::*;
    }
    /// Facts about the running kernel.
    pub mod kernel {
        pub use crate::kernel::*;
    }
    /// Signals for whole targets.
    pub mod kill {
        pub use crate::kill::*;
    }
    /// Processes as `/proc` and pidfds show them.
    pub mod proc {
        pub use crate::proc::*;
    }
    /// Descriptors registered with tokio.
    pub mod readiness {
        pub use crate::readiness::*;
    }
    /// The stream of records.
    #[cfg(feature = "bpf")]
    pub mod trace {
        pub use crate::trace::*;
    }
    /// The engine of a wait.
    pub mod wait {
        pub use crate::wait::*;
    }
}
