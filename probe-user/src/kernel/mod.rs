//! Facts about the running kernel, read from its BTF and its symbols.

pub mod btf;
pub mod departure;
