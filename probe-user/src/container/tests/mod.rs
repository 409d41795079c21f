//! Machines in a temporary directory: state as the runtimes write it, plain
//! directories for cgroups.

mod find;
mod inits;
mod layouts;
mod machine;
mod names;
mod pod;
mod resolve;
