//! The harness of the integration tests: cgroups, victims, a running `probe`,
//! and deadlines for everything that is waited for.
//!
//! One file for each noun. What must be true of `probe` is not written here but
//! in `integration/`, one module for each subject; how a process can die is in
//! `src/bin/victim`, whose parent variants report what `waitpid` told them.
//!
//! Everything panics: a test that returned an error would lose the place where
//! it failed.
#![expect(
    clippy::missing_panics_doc,
    reason = "the harness panics by design, with what it saw until then"
)]

pub mod applicable;
mod binaries;
mod cgroup;
mod child;
mod clock;
pub mod conditions;
mod daemon;
mod deadline;
mod document;
pub mod extent;
mod held;
mod hierarchy;
pub mod http;
mod impostor;
pub mod kernel;
mod lines;
pub mod mounts;
mod output;
mod probe;
pub mod random;
pub mod record;
mod replaced;
mod runc;
pub mod schema;
mod somebody;
pub mod terminal;
mod trial;
mod victim;
mod waiting;

pub use applicable::inapplicable;
pub use cgroup::Cgroup;
pub use clock::boottime_ns;
pub use daemon::Daemon;
pub use deadline::{DEADLINE, Deadline};
pub use document::Document;
pub use held::Held;
pub use hierarchy::has_v1;
pub use impostor::{Asked, Caller, Impostor};
pub use output::Output;
pub use probe::{Finished, Probe, probe, probe_in};
pub use replaced::Replaced;
pub use runc::Runc;
pub use somebody::{as_member, as_user};
pub use terminal::Terminal;
pub use trial::{Judged, Trial};
pub use victim::{Victim, state};
pub use waiting::Waiting;
