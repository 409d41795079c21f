//! Finds out facts about the running kernel, from its BTF and its symbols.

pub mod btf;
pub mod departure;
pub mod kill_seq;
