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

mod bpf;
mod cgroup;
mod clock;
mod container;
#[cfg(feature = "unstable")]
mod fuzzing;
mod kernel;
mod kill;
pub mod model;
mod proc;
mod readiness;
mod trace;
mod wait;

/// What the daemon, the command and the tests of this project use beyond the
/// public interface. Outside semver: any release may change it.
#[cfg(feature = "unstable")]
pub mod unstable {
    /// The BPF programs: loading, attaching, decoding.
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
    pub mod trace {
        pub use crate::trace::*;
    }
    /// The engine of a wait.
    pub mod wait {
        pub use crate::wait::*;
    }
}
