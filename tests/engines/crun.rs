//! crun.

use probe_tests::engine::{Pids, View};

use crate::runc::start;

cells!("crun", |place, pids| start("crun", place, pids));
