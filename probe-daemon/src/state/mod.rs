//! The state of the daemon: live processes, past exits, metrics, and the mailboxes of
//! readers.

pub(crate) mod engine;
pub mod history;
pub(crate) mod mailbox;
pub mod metrics;
mod scan;
#[expect(
    clippy::module_inception,
    reason = "the directory and its main type have the same name"
)]
pub(crate) mod state;
pub mod table;
pub(crate) mod topics;
