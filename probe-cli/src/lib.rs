//! The command `probe`.
//!
//! This library serves its own binary, and the tests, benchmarks and fuzz targets of this
//! project. Its public items exist for these only: other programs use `probe-user` or
//! `probe-daemon`.
//!
//! * [`main`]: the whole command;
//! * [`cli`]: one file for each verb, with its arguments and its run function;
//! * [`session`]: one wait or kill, from the armed targets to the result;
//! * `trace`: the stream of exits of `probe trace`;
//! * [`top`]: the screen of `probe top`;
//! * `teardown`: follows exits until the processes are gone, for `probe trace --slow`;
//! * `doctor`: the checks of `probe doctor`;
//! * `man`: the man pages;
//! * [`output`]: text for people, and stdout;
//! * `deadline`: an optional timer.
//!
//! `cli` uses all other modules, and all modules may use `output` and `deadline`.

pub mod cli;
mod command;
mod deadline;
mod doctor;
mod man;
pub mod output;
pub mod session;
mod teardown;
pub mod top;
mod trace;

pub use command::main;
