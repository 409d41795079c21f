//! Which container a cgroup belongs to, and which cgroups a container has.
//!
//! Two sources: how a runtime names its cgroups ([`layout`], no I/O), and what
//! runtimes leave on disk (`index`), which nobody's word is taken for unless
//! `trust` allows it. [`Resolver`] joins them. What each runtime does is in one
//! file below `runtime/`.

mod candidate;
mod describe;
mod evidence;
mod find;
mod index;
mod inits;
pub mod layout;
mod locate;
mod pod;
mod record;
mod resolver;
mod roots;
mod runtime;
mod state_file;
mod trust;

#[cfg(test)]
mod tests;

pub use find::{FindError, Found, Match};
pub use record::Init;
pub use resolver::Resolver;
pub use roots::StateRoots;
