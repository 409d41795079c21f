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

mod assertions;
pub mod binaries;
pub mod bpf;
pub mod bundle;
mod cgroup;
mod clock;
mod command_line;
pub mod conditions;
mod daemon;
mod deadline;
mod document;
pub mod engine;
mod fake_daemon;
mod hierarchy;
pub mod http;
pub mod kernel;
mod limits;
mod lines;
pub mod mounts;
mod output;
mod paused;
mod probe;
pub mod random;
pub mod record;
pub mod requirements;
mod reused_pid;
mod runc;
mod running;
pub mod scale;
pub mod schema;
pub mod seccomp;
mod stopped;
pub mod terminal;
mod traced_cgroup;
mod user;
mod victim;
mod waiting;

pub use assertions::{assert_fields, sorted_pids};
pub use cgroup::Cgroup;
pub use clock::boottime_ns;
pub use command_line::{run, run_in, words};
pub use conditions::{and_probe, started_by};
pub use daemon::Daemon;
pub use deadline::{DEADLINE, Deadline};
pub use document::Document;
pub use fake_daemon::{Connection, FakeDaemon, Request};
pub use hierarchy::has_v1;
pub use limits::raise_descriptor_limit;
pub use output::Output;
pub use paused::{FrozenV1, is_alive, kill, wait_for_state};
pub use probe::{Finished, Probe, probe, probe_in};
pub use requirements::inapplicable;
pub use reused_pid::ReusedPid;
pub use runc::Runc;
pub use running::{Running, state};
pub use stopped::Stopped;
pub use terminal::Terminal;
pub use traced_cgroup::{Death, TracedCgroup};
pub use user::{as_user, as_user_in_group};
pub use victim::Victim;
pub use waiting::Waiting;
