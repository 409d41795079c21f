//! Finds the container of a cgroup, and the cgroups of a container.
//!
//! [`Resolver`] joins two sources: the names that a runtime gives its cgroups
//! ([`layout`], no I/O), and the state that runtimes leave on disk (`index`), as far as
//! `trust` accepts it. Each runtime has a file below `runtime/`.

mod candidate;
mod claimed;
mod describe;
mod engines;
mod evidence;
mod find;
mod found;
mod index;
mod inits;
pub mod layout;
mod locate;
mod monitor;
mod pod;
mod record;
mod resolver;
mod roots;
mod running;
mod runtime;
mod state_file;
mod trust;

#[cfg(test)]
mod tests;

pub use engines::EngineState;
pub use found::{FindError, Found, Match};
pub use record::Init;
pub use resolver::Resolver;
pub use roots::StateRoots;
