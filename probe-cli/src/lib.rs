//! The command `probe`, as a library for its binary, its man pages and its tests.

pub mod cli;
pub mod doctor;
pub mod output;
pub mod session;
pub mod top;
pub mod trace;
