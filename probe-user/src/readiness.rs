//! Registers file descriptors with tokio, so that a future can wait for their readiness.
//!
//! # Safety
//!
//! tokio requires that a registered object returns the same open descriptor for as long as
//! it is registered. [`KeepsFd`] is implemented here, and only for types that own (or borrow
//! for their whole life) one descriptor.
#![expect(
    unsafe_code,
    reason = "tokio's safe registration is deprecated as unsound (tokio #8587)"
)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

#[cfg(feature = "bpf")]
use crate::bpf::{decisive_ring::DecisiveRing, ring::Stream};

/// A type that returns the same open descriptor all its life.
pub trait KeepsFd: AsRawFd + sealed::Sealed {}

impl KeepsFd for OwnedFd {}
impl KeepsFd for BorrowedFd<'_> {}
#[cfg(feature = "bpf")]
impl KeepsFd for Stream {}
#[cfg(feature = "bpf")]
impl KeepsFd for DecisiveRing {}

mod sealed {
    //! Prevents other modules from implementing [`KeepsFd`](super::KeepsFd).
    use super::{BorrowedFd, OwnedFd};
    #[cfg(feature = "bpf")]
    use super::{DecisiveRing, Stream};

    pub trait Sealed {}
    impl Sealed for OwnedFd {}
    impl Sealed for BorrowedFd<'_> {}
    #[cfg(feature = "bpf")]
    impl Sealed for Stream {}
    #[cfg(feature = "bpf")]
    impl Sealed for DecisiveRing {}
}

/// Registers a descriptor with the reactor of the current runtime.
pub fn register<T: KeepsFd>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `KeepsFd` promises the one descriptor, and `AsyncFd` deregisters
    // it before it drops or returns `inner`.
    unsafe { AsyncFd::register_with_interest(inner, interest) }.map_err(io::Error::from)
}
