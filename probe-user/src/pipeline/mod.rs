//! Where the stages meet: source → event → tracker → filter → output.
//!
//! Each pipeline owns its sources and ends when one of three things happens: it
//! has what it was asked for, the caller's `stop` future resolves, or its
//! reader has gone. Dropping it detaches everything.

pub mod census;
pub mod followed;
pub(crate) mod places;
pub mod records;
mod teller;
pub mod trace;
pub mod wait;

pub use teller::Told;
