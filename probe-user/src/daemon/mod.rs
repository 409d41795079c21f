//! `probe daemon`: one privileged process that serves everybody's waits.

pub mod metrics;
