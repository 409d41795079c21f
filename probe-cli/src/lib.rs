//! The command `probe`.
//!
//! A library for its own binary, for the example that writes the man pages, and for
//! the tests, benchmarks and fuzz targets of this project. What these use is public,
//! and none of it is an interface for other programs: those use `probe-user` or
//! `probe-daemon`.
//!
//! * [`cli`]: one file for each verb, with its arguments and what it runs;
//! * [`session`]: one wait or kill, from the armed targets to the result;
//! * `trace`: the stream of exits of `probe trace`;
//! * [`top`]: the screen of `probe top`;
//! * `doctor`: the trials of `probe doctor`;
//! * [`output`]: text for people, and stdout;
//! * `deadline`: a timer that need not be set.
//!
//! `cli` uses all the others, and all others may use `output` and `deadline`.

pub mod cli;
mod deadline;
mod doctor;
pub mod output;
pub mod session;
pub mod top;
mod trace;
