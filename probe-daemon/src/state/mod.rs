//! The state of the daemon: live processes, past exits, metrics, and the mailboxes of
//! readers.

pub(crate) mod engine;
pub mod history;
pub mod metrics;
mod scan;
pub(crate) mod state;
pub mod table;
pub(crate) mod topics;
