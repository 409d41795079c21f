//! What the daemon knows: live processes, past exits, and their subscribers.

pub(crate) mod engine;
pub mod history;
pub mod metrics;
mod scan;
pub(crate) mod state;
pub mod table;
pub(crate) mod topics;
