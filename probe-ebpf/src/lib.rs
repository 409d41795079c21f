//! The contract between the BPF programs and userspace.
//!
//! Everything that both sides read lives here and nowhere else: the records
//! that cross a ring buffer ([`event`]), the globals that the loader writes
//! before the programs start ([`config`]) and the slots of the counter map
//! ([`counter`]). This library uses no aya, no std and no unsafe. The derives
//! refuse padding, so a struct that compiles has the same bytes on both sides.
//!
//! `probe-user/src/bpf/decode` turns the bytes into events. The programs that
//! write them are in `src/bpf`.

#![no_std]
#![forbid(unsafe_code)]

pub mod config;
pub mod counter;
pub mod event;
