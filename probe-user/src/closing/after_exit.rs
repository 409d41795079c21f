//! Lets the kernel close slow descriptors after the process has ended.
//!
//! # Safety
//!
//! The two system calls get a valid parameter block and a valid array, and the kernel keeps
//! neither. The `io_uring` instance is never used for I/O, so no memory is shared with it.

#![expect(unsafe_code, reason = "rustix has no safe form of these system calls")]

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
};

use rustix::{
    fs::{Dir, Mode, OFlags, open, readlinkat},
    io_uring::{IoringRegisterOp, io_uring_params, io_uring_register, io_uring_setup},
};

/// Attempts to register the descriptors while other threads close some of them.
const ATTEMPTS: u32 = 3;

/// Arranges that the kernel closes the BPF and inotify descriptors of this process after the
/// process has ended, so that their closing does not delay its end. Call it right before the
/// end, and before the values that own the descriptors are dropped; a [`Waiter`](crate::Waiter)
/// is one. Returns whether the kernel does so.
///
/// A parent sees the end of a process only once all its descriptors are closed, which takes 15
/// to 60 ms for these. The function registers them with a new `io_uring` instance, which stays
/// open. The kernel closes such an instance, and what is registered with it, in one of its
/// workers. That needs Linux 5.10 and `kernel.io_uring_disabled = 0` (or 1 and the right), and a
/// seccomp filter that allows `io_uring`; without them the process ends later, but as correctly.
#[expect(clippy::must_use_candidate, reason = "the effect is what callers want")]
pub fn close_after_exit() -> bool {
    (0..ATTEMPTS).any(|_| keep_slow_descriptors().is_ok())
}

/// Registers the slow descriptors. Fails with `EBADF` if another thread closes one meanwhile.
fn keep_slow_descriptors() -> io::Result<()> {
    let slow = slow_descriptors()?;
    if slow.is_empty() {
        return Ok(());
    }
    let mut params = io_uring_params::default();
    // SAFETY: no flag in `params` refers to another instance.
    let ring: OwnedFd = unsafe { io_uring_setup(1, &mut params) }?;
    let count = u32::try_from(slow.len()).map_err(io::Error::other)?;
    // SAFETY: the array holds `count` descriptors, and the kernel copies it during the call:
    // https://man7.org/linux/man-pages/man2/io_uring_register.2.html (IORING_REGISTER_FILES)
    unsafe {
        io_uring_register(
            ring.as_fd(),
            IoringRegisterOp::RegisterFiles,
            slow.as_ptr().cast(),
            count,
        )
    }?;
    // The end of the process closes the instance.
    mem::forget(ring);
    Ok(())
}

fn slow_descriptors() -> io::Result<Vec<RawFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open("/proc/self/fd", flags, Mode::empty())?;
    let mut slow = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .ok()
            .and_then(|it| it.parse().ok());
        let Some(number) = number.filter(|&it| it != directory.as_raw_fd()) else {
            continue;
        };
        let target = readlinkat(&directory, entry.file_name(), Vec::new());
        if target.is_ok_and(|it| is_slow(&it)) {
            slow.push(number);
        }
    }
    Ok(slow)
}

/// Whether a link in `/proc/self/fd` names a descriptor that may take long to close.
fn is_slow(target: &CStr) -> bool {
    let kind = target.to_bytes().strip_prefix(b"anon_inode:");
    kind.is_some_and(|it| {
        let is = |name: &[u8]| it.starts_with(name);
        is(b"bpf") || is(b"inotify") || is(b"[perf_event]")
    })
}

#[cfg(test)]
mod tests {
    use rustix::fs::inotify::{CreateFlags, init};

    use super::*;

    #[test]
    fn an_inotify_instance_is_slow_and_a_file_is_not() {
        let inotify = init(CreateFlags::CLOEXEC).expect("an inotify instance");
        let file = open("/proc/self/stat", OFlags::RDONLY, Mode::empty()).expect("a file");
        let slow = slow_descriptors().expect("/proc is mounted");
        assert!(slow.contains(&inotify.as_raw_fd()));
        assert!(!slow.contains(&file.as_raw_fd()));
    }
}
