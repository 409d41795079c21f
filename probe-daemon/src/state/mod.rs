//! The state of the daemon: live processes, past exits, metrics, and the mailboxes of
//! readers.

pub(crate) mod engine;
pub mod history;
pub mod metrics;
mod scan;
#[expect(
    clippy::module_inception,
    reason = "the room and its main type share a name"
)]
pub(crate) mod state;
pub mod table;
pub(crate) mod topics;
