//! Waiting for cgroups and processes from a Rust program.

mod armed;
mod bell;
mod directories;
mod hub;
mod set;
mod target;
mod watch;

pub use armed::{Met, Wait};
pub use bell::WokenBy;
pub use hub::Hub;
pub use set::WaitSet;
pub use target::{Target, TargetError};
