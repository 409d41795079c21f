//! Waits until processes and cgroups are really gone, and streams how processes end.
//!
//! A process that was sent SIGKILL stays in its cgroup until the kernel has torn it down.
//! Until then `rmdir` fails with EBUSY, although `cgroup.procs` may be empty already. A
//! [`Waiter`] resolves a wait right after the process has left, and never before.
//!
//! # How a wait works
//!
//! Events wake a wait, and the state of the target decides it:
//!
//! ```text
//!  event                  wake-up source                   the wait
//!
//!  a cgroup is empty ─┬─→ BPF, decisive ring ─┐
//!                     └─→ cgroup.events ──────┤
//!  a cgroup is gone ──┬─→ BPF, decisive ring ─┤  wake   ┌─────────────┐  true
//!                     └─→ inotify ────────────┼───────→ │  check the  │ ──────→ Met
//!  a process exits ─────→ pidfd ──────────────┤         │  condition  │
//!                         timer ──────────────┘         └─────────────┘
//!                                                         ↑
//!  state of the target: cgroup.events, pidfd, /proc ──────┘
//! ```
//!
//! Every [`Until`] condition can be checked at any moment, in `cgroup.events`, in `/proc` or
//! by a pidfd. A BPF record, a notification and the timer all mean the same: *check now*. A
//! lost, late or duplicated event can therefore delay a verdict, but never make it wrong, and
//! without BPF a wait only takes a little longer.
//!
//! A wait has three steps. [`Waiter::cgroup`] or [`Waiter::process`] *pins* the target, by an
//! open directory or a pidfd, so that a later cgroup or process with the same name or pid is
//! not confused with it. [`WaitBuilder::arm`] attaches the wake-up sources. After that the
//! caller may kill the target: awaiting the [`ArmedWait`] misses nothing.
//!
//! # How exits are streamed
//!
//! ```text
//!  a process exits ─→ BPF program ══ stream ring ══→ Event ──→ tracker ──→ Record
//!                     reads status,   drops and        decoded   adds the    passes the
//!                     killer, times   counts if full   bytes     cgroup      filter
//! ```
//!
//! An [`ExitStream`] reports how processes end. Loss is data: the kernel counts the records
//! that find no room, and the stream says where they are missing. Exit records never decide a
//! wait, because a process is still in its cgroup when its record is written.
//!
//! # Example
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
//! [`wait_blocking`] waits without a tokio runtime.
//!
//! # Requirements
//!
//! Pidfds need Linux 5.3 and BPF needs Linux 5.8; on older kernels a timer replaces them. A
//! wait needs no privilege but the right to read the target. BPF needs root, or `CAP_BPF` and
//! `CAP_PERFMON`; a waiter uses it where it is available. Without the default feature `bpf`
//! the crate contains no BPF loader, and every verdict is right all the same.
//!
//! # Features
//!
//! * `bpf` (default): BPF wakes waits, and [`ExitStream`] exists.
//! * `openapi`: the types of the daemon's API derive the schemas of `utoipa`.
//! * `unstable`: opens modules to the other packages of this project; outside semver.

// Without `unstable` parts of the library are unused: the daemon and the command use them.
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
mod diagnosis;
#[cfg(feature = "unstable")]
mod fuzzing;
mod kernel;
mod kill;
mod limits;
pub mod model;
mod proc;
mod readiness;
mod run;
#[cfg(feature = "bpf")]
mod trace;
mod wait;

#[doc(inline)]
pub use self::diagnosis::{Cause, Phase, ProcessName, Reason, SignalFate, Survivor, Thaw};
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
    closing::close_after_exit,
    proc::pinned::PinProcessError,
    wait::{
        ArmedWait, BuildError, Met, TargetError, WaitBuilder, WaitError, Waiter, WaiterBuilder,
        WokenBy, wait_blocking, wait_blocking_for,
    },
};

/// Modules for the daemon, the command and the tests of this project, beyond the public
/// interface. They are outside semver: any release may change them.
#[cfg(feature = "unstable")]
pub mod unstable {
    /// Loads and attaches the BPF programs, and decodes their records.
    #[cfg(feature = "bpf")]
    pub mod bpf {
        pub use crate::bpf::*;
    }
    /// Finds cgroup mounts, pins and changes cgroups.
    pub mod cgroup {
        pub use crate::cgroup::*;
    }
    /// Reads the clocks.
    pub mod clock {
        pub use crate::clock::*;
    }
    /// Finds containers and names them.
    pub mod container {
        pub use crate::container::*;
    }
    /// Why processes are still there.
    pub mod diagnosis {
        pub use crate::diagnosis::*;
    }

    /// Opens private parsers to the fuzz targets.
    pub mod fuzzing {
        pub use crate::fuzzing::*;
    }
    /// Finds out facts about the running kernel.
    pub mod kernel {
        pub use crate::kernel::*;
    }
    /// Sends signals to whole targets.
    pub mod kill {
        pub use crate::kill::*;
    }
    /// Raises limits of this process.
    pub mod limits {
        pub use crate::limits::*;
    }
    /// Reads and watches processes.
    pub mod proc {
        pub use crate::proc::*;
    }
    /// Registers file descriptors with tokio.
    pub mod readiness {
        pub use crate::readiness::*;
    }
    /// Runs a command so that nothing of it is left.
    pub mod run {
        pub use crate::run::*;
    }
    /// Streams records.
    #[cfg(feature = "bpf")]
    pub mod trace {
        pub use crate::trace::*;
    }
    /// The engine of a wait.
    pub mod wait {
        pub use crate::wait::*;
    }
}
