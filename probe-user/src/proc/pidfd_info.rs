//! Reads the exit status and the cgroup of a process that is not a child, by `PIDFD_GET_INFO`.
//!
//! # Safety
//!
//! The argument of the one `ioctl` is a struct of integers of exactly the size that
//! the request number encodes. The kernel reads and writes that many bytes:
//! <https://elixir.bootlin.com/linux/v6.15/source/fs/pidfs.c#L286>
#![expect(unsafe_code, reason = "rustix has no safe form of this ioctl yet")]

use std::os::fd::BorrowedFd;

use rustix::{
    io,
    ioctl::{Opcode, Updater, ioctl, opcode},
};

/// `struct pidfd_info` of Linux 6.15, `PIDFD_INFO_SIZE_VER0`.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const _: () = assert!(size_of::<PidfdInfo>() == 64);

/// `PIDFD_GET_INFO`, `_IOWR(0xFF, 11, struct pidfd_info)`.
const GET_INFO: Opcode = opcode::read_write::<PidfdInfo>(0xff, 11);
/// `PIDFD_INFO_CGROUPID` (Linux 6.13).
const INFO_CGROUPID: u64 = 1 << 2;
/// `PIDFD_INFO_EXIT` (Linux 6.15).
const INFO_EXIT: u64 = 1 << 3;

/// Inode number of a pidfd, which is unique to its process (Linux 6.9); `None` on older
/// kernels, where all pidfds share one.
#[must_use]
pub fn inode(pidfd: BorrowedFd<'_>) -> Option<u64> {
    /// `PID_FS_MAGIC`: <https://elixir.bootlin.com/linux/v6.9/source/include/uapi/linux/magic.h#L107>
    const PID_FS_MAGIC: u64 = 0x5049_4446;
    let kind = rustix::fs::fstatfs(pidfd).ok()?.f_type;
    if u64::try_from(kind) != Ok(PID_FS_MAGIC) {
        return None;
    }
    rustix::fs::fstat(pidfd).ok().map(|stat| stat.st_ino)
}

/// Raw wait status of a process that was reaped while the pidfd was held;
/// `None` while it is not reaped. Before Linux 6.15 an error.
pub fn exit_status(pidfd: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let info = get(pidfd, INFO_EXIT)?;
    let is_known = info.mask & INFO_EXIT != 0;
    Ok(is_known.then(|| info.exit_code.cast_unsigned()))
}

/// Id of the v2 cgroup of a process, also of a zombie. Before Linux 6.13 and after the reap an
/// error.
pub fn cgroup_id(pidfd: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let info = get(pidfd, INFO_CGROUPID)?;
    Ok((info.mask & INFO_CGROUPID != 0).then_some(info.cgroup_id))
}

fn get(pidfd: BorrowedFd<'_>, mask: u64) -> io::Result<PidfdInfo> {
    let mut info = PidfdInfo {
        mask,
        ..PidfdInfo::default()
    };
    // SAFETY: the opcode encodes the size of `PidfdInfo`, which is valid for
    // every bit pattern and lives through the call.
    let request = unsafe { Updater::<GET_INFO, PidfdInfo>::new(&mut info) };
    // SAFETY: `info` lives through the call, and the kernel checks the descriptor.
    unsafe { ioctl(pidfd, request) }?;
    Ok(info)
}
