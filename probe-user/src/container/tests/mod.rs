//! Machines in a temporary directory: state as the runtimes write it, plain
//! directories for cgroups.

mod find;
mod layouts;
mod machine;
mod names;
mod resolve;
