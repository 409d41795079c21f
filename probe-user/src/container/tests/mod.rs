//! Tests with machines in a temporary directory, which has state as the runtimes write it and
//! plain directories as cgroups.

mod claimed;
mod engines;
mod find;
mod identity;
mod inits;
mod layouts;
mod machine;
mod names;
mod pod;
mod resolve;
