//! The harness of the integration tests: cgroups, victims, a running `probe`, and deadlines.
//!
//! The tests are in `integration/`, one module for each subject. The program
//! `src/bin/victim` dies in every way that has a name; its parent variants report the result
//! of `waitpid`.
//!
//! Functions panic instead of returning errors, so that a failed test shows the line.
#![expect(
    clippy::missing_panics_doc,
    reason = "the harness panics by design, with the output so far"
)]

mod binaries;
mod cgroup;
mod child;
mod clock;
pub mod conditions;
mod daemon;
mod deadline;
mod document;
mod fake_daemon;
mod hierarchy;
pub mod http;
pub mod kernel;
mod lines;
pub mod mounts;
mod output;
mod probe;
pub mod random;
pub mod record;
pub mod requirements;
mod reused_pid;
mod runc;
pub mod scale;
pub mod schema;
mod stopped;
pub mod terminal;
mod traced_cgroup;
mod user;
mod victim;
mod waiting;

pub use cgroup::Cgroup;
pub use clock::boottime_ns;
pub use daemon::Daemon;
pub use deadline::{DEADLINE, Deadline};
pub use document::Document;
pub use fake_daemon::{Connection, FakeDaemon, Request};
pub use hierarchy::has_v1;
pub use output::Output;
pub use probe::{Finished, Probe, probe, probe_in};
pub use requirements::inapplicable;
pub use reused_pid::ReusedPid;
pub use runc::Runc;
pub use stopped::Stopped;
pub use terminal::Terminal;
pub use traced_cgroup::{Death, TracedCgroup};
pub use user::{as_user, as_user_in_group};
pub use victim::{Victim, state};
pub use waiting::Waiting;
