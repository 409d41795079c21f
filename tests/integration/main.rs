//! What must be true of `probe`, against the running kernel and with `waitpid`
//! as the judge.

mod exits;
mod filters;
mod input;
mod wait;
