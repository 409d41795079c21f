//! `probe daemon`: one privileged process, everybody's instant waits.

pub mod accounts;
pub mod config;
pub mod confine;
mod error;
pub mod limits;
pub mod notify;
pub mod privileges;
pub mod sandbox;
pub mod socket;
mod stand_in;

pub use error::RunError;
pub use stand_in::{Outside, run};
