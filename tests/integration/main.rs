//! What must be true of `probe`, against the running kernel and with `waitpid`
//! as the judge.
//!
//! One module for each subject. The tests need root and are ignored without it,
//! never skipped with it:
//! `cargo test -p probe-tests --test integration -- --ignored --test-threads=1`.

mod backends;
mod client;
mod containers;
mod crowds;
mod daemon;
mod departures;
mod docs;
mod doctor;
mod ends;
mod exits;
mod filters;
mod identity;
mod idle;
mod input;
mod kill;
mod killed_by;
mod ladder;
mod library;
mod losses;
mod metrics;
mod oom;
mod permission;
mod places;
mod races;
mod runtimes;
mod screen;
mod shapes;
mod starts;
mod storm;
mod targets;
mod tasks;
mod top;
mod trust;
mod unprivileged;
mod usage;
mod user_namespaces;
mod wait;
mod without_btf;
