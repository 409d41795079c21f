//! Finds the owners of the user namespaces of a process.
//!
//! A reader may open the namespaces of a process only if it may trace the process. The
//! records of the BPF programs have the owners too, but not for a process that started
//! before the programs were attached.
//!
//! # Safety
//!
//! Of the two `ioctl`s one fills in a `uid_t`, and the other returns a new
//! descriptor: <https://elixir.bootlin.com/linux/v6.12/source/fs/nsfs.c#L206>
#![expect(unsafe_code, reason = "rustix has no safe form of these ioctls")]

use std::{
    ffi::c_void,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, fstat, openat},
    io,
    ioctl::{Getter, Ioctl, IoctlOutput, Opcode, ioctl, opcode},
};

use crate::model::Owners;

/// `NS_GET_PARENT` (Linux 4.9).
const GET_PARENT: Opcode = opcode::none(0xb7, 0x2);
/// `NS_GET_OWNER_UID` (Linux 4.11).
const GET_OWNER_UID: Opcode = opcode::none(0xb7, 0x4);
/// `PROC_USER_INIT_INO`: the inode number of the initial user namespace.
const INITIAL: u64 = 0xefff_fffd;
/// Limit of the kernel for nested user namespaces.
const MAX_DEPTH: u32 = 33;

/// Owners for an open `/proc/PID`; `None` in the initial user namespace, and if this
/// process may not trace the other one.
#[must_use]
pub fn owners(process: BorrowedFd<'_>) -> Option<Owners> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut namespace = openat(process, "ns/user", flags, Mode::empty()).ok()?;
    if is_initial(&namespace).ok()? {
        return None;
    }
    let own = owner_uid(&namespace).ok()?;
    for _ in 0..MAX_DEPTH {
        let parent = parent(&namespace).ok()?;
        if is_initial(&parent).ok()? {
            let top = owner_uid(&namespace).ok()?;
            return Some(Owners { own, top });
        }
        namespace = parent;
    }
    None
}

/// Whether a process is in the initial user namespace; `false` if that is unknown.
pub(super) fn is_in_initial(process: &impl AsFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let namespace = openat(process, "ns/user", flags, Mode::empty());
    namespace.is_ok_and(|it| is_initial(&it).unwrap_or(false))
}

fn is_initial(namespace: &OwnedFd) -> io::Result<bool> {
    Ok(fstat(namespace)?.st_ino == INITIAL)
}

fn owner_uid(namespace: &OwnedFd) -> io::Result<u32> {
    // SAFETY: this request fills in a `uid_t`, which is 32 bits wide.
    let request = unsafe { Getter::<GET_OWNER_UID, u32>::new() };
    // SAFETY: the request lives through the call, and the kernel checks the descriptor.
    unsafe { ioctl(namespace.as_fd(), request) }
}

fn parent(namespace: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: the request has no argument.
    unsafe { ioctl(namespace.as_fd(), Parent) }
}

struct Parent;

// SAFETY: the request has no argument, and what it returns is a descriptor that
// belongs to the caller.
unsafe impl Ioctl for Parent {
    type Output = OwnedFd;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        GET_PARENT
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> io::Result<OwnedFd> {
        // SAFETY: the call succeeded, so this is a new descriptor that nothing else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}
