//! The contract between the kernel half and the userspace half of probe.
//!
//! Everything that both sides read lives here and nowhere else: the records
//! that cross a ring buffer ([`event`]), the globals that the loader writes
//! before the programs start ([`config`]) and the slots of the counter map
//! ([`counter`]). No aya, no std, no unsafe: the derives refuse padding, so a
//! struct that compiles has the same bytes on both sides.
//!
//! What the bytes *mean* is decided in `probe-user/src/event.rs`; the programs
//! that write them are in `src/bpf`.

#![no_std]
#![forbid(unsafe_code)]

pub mod config;
pub mod counter;
pub mod event;
