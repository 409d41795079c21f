//! Waits for network file systems and block devices, and the mount that a system call is about.

use procfs::process::MountInfo;

use super::{
    cause::Cause,
    observer::{Observer, parse_mounts},
    task::Task,
};

/// Beginnings of the functions of network file systems.
const NETWORK: [&str; 9] = [
    "nfs", "rpc_", "__rpc_", "nlm", "cifs_", "smb2_", "ceph_", "afs_", "p9_",
];

/// Types of network file systems.
const NETWORK_TYPES: [&str; 9] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "afs",
    "9p",
    "lustre",
    "glusterfs",
];

/// Functions in which a task waits for a block device.
const BLOCK: [&str; 12] = [
    "io_schedule",
    "bit_wait_io",
    "blk_mq_get_tag",
    "blk_io_schedule",
    "submit_bio_wait",
    "wait_on_buffer",
    "__wait_on_buffer",
    "folio_wait_bit_common",
    "folio_wait_writeback",
    "wait_on_page_bit_common",
    "jbd2_log_wait_commit",
    "xlog_wait_on_iclog",
];

/// System calls of which the first argument is a file descriptor.
const ON_DESCRIPTOR: [libc::c_long; 22] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_ioctl,
    libc::SYS_getdents64,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_lseek,
    libc::SYS_syncfs,
];

/// The mount of the file that the system call of a task is about; `None` if the call names no
/// descriptor, or if this process may not see it.
pub(super) fn mount_of(task: &Task<'_>) -> Option<MountInfo> {
    let file = task
        .directory
        .content(format!("task/{}/syscall", task.tid))
        .ok()?;
    let descriptor = descriptor(&String::from_utf8_lossy(&file))?;
    let info = task
        .directory
        .content(format!("fdinfo/{descriptor}"))
        .ok()?;
    let info = String::from_utf8_lossy(&info);
    let mount = info.lines().find_map(|it| it.strip_prefix("mnt_id:"))?;
    let mount: i32 = mount.trim().parse().ok()?;
    let mounts = parse_mounts(&task.directory.content("mountinfo").ok()?);
    mounts.into_iter().find(|it| it.mnt_id == mount)
}

/// The descriptor of a system call in `/proc/PID/syscall`: the number of the call, then its
/// arguments in hexadecimal digits.
fn descriptor(file: &str) -> Option<u32> {
    let mut words = file.split_ascii_whitespace();
    let call: libc::c_long = words.next()?.parse().ok()?;
    if !ON_DESCRIPTOR.contains(&call) {
        return None;
    }
    let first = words.next()?.strip_prefix("0x")?;
    u32::from_str_radix(first, 16).ok()
}

/// The cause of a task that waits for a network file system or a block device.
pub(super) fn cause(task: &Task<'_>, observer: &Observer) -> Option<Cause> {
    if let Some(wchan) = task.first_in(&NETWORK) {
        let mount = mount_of(task).or_else(|| only_network_mount(observer));
        return Some(Cause::NetworkFileSystem {
            file_system: mount.as_ref().map(|it| it.fs_type.clone()),
            mount: mount
                .as_ref()
                .map(|it| it.mount_point.display().to_string()),
            source: mount.and_then(|it| it.mount_source),
            wchan: wchan.to_owned(),
        });
    }
    if task.stat.letter == 'D' && task.is_in(&BLOCK) {
        let mount = mount_of(task);
        return Some(Cause::BlockDevice {
            mount: mount
                .as_ref()
                .map(|it| it.mount_point.display().to_string()),
            source: mount.and_then(|it| it.mount_source),
            wchan: task.wchan().unwrap_or("?").to_owned(),
        });
    }
    None
}

fn only_network_mount(observer: &Observer) -> Option<MountInfo> {
    let mounts = observer.mount_infos().iter();
    let mut network = mounts.filter(|it| NETWORK_TYPES.contains(&it.fs_type.as_str()));
    let first = network.next()?;
    network.next().is_none().then(|| first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_on_a_descriptor_name_one() {
        let read = format!(
            "{} 0x3 0x7ffd 0x1 0x0 0x0 0x0 0x7ff 0x7f1\n",
            libc::SYS_read
        );
        assert_eq!(descriptor(&read), Some(3));
        let futex = format!("{} 0x3 0x0 0x0 0x0 0x0 0x0 0x7ff 0x7f1\n", libc::SYS_futex);
        assert_eq!(descriptor(&futex), None);
        assert_eq!(descriptor("running\n"), None);
        assert_eq!(descriptor("-1 0x7ff 0x7f1\n"), None);
    }
}
