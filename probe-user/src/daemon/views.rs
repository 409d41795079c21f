//! Whether a peer that names a directory means the one that the daemon would open:
//! it may live in another mount or cgroup namespace.

use std::{os::unix::fs::MetadataExt, path::Path};

use procfs::process::{MountInfo, Process};

use super::{aim::Place, peer::Peer};

/// Whether the name of this place leads the peer there too. What cannot be looked
/// at leads elsewhere. `/proc/PID/mountinfo` is open to everybody, and tells the
/// cgroup that is mounted as the reader's own cgroup namespace has it.
pub(super) fn leads_to(peer: Peer, place: &Place) -> bool {
    let Some(pid) = peer.pid().and_then(|pid| i32::try_from(pid).ok()) else {
        return false;
    };
    let infos = Process::new(pid).and_then(|it| it.mountinfo());
    let device = std::fs::metadata(&place.mount.mount_point).map(|it| it.dev());
    let (Ok(infos), Ok(device)) = (infos, device) else {
        return false;
    };
    let found = visible(&infos.0, &place.directory);
    found.is_some_and(|it| {
        it.mount_point == place.mount.mount_point
            && it.root == place.mount.root
            && is_device(&it.majmin, device)
    })
}

fn is_device(majmin: &str, device: u64) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    majmin == format!("{major}:{minor}")
}

/// The mount that a walk along this path ends on. One that lies below another
/// that was mounted over it is listed as well, but no walk comes there.
fn visible<'a>(mounts: &'a [MountInfo], path: &Path) -> Option<&'a MountInfo> {
    let root = Path::new("/");
    let is_below = |it: &&MountInfo| {
        let mut others = mounts.iter().filter(|other| other.mount_point == root);
        !others.any(|other| other.mnt_id == it.pid && other.mnt_id != it.mnt_id)
    };
    let tops = mounts.iter().filter(|it| it.mount_point == root);
    let mut at = tops.clone().find(is_below)?;
    // Each step goes to another mount: there are no more than these.
    for _ in mounts {
        let next = mounts
            .iter()
            .filter(|it| it.pid == at.mnt_id && it.mnt_id != at.mnt_id)
            .filter(|it| path.starts_with(&it.mount_point))
            .min_by_key(|it| it.mount_point.as_os_str().len());
        match next {
            Some(next) => at = next,
            None => return Some(at),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use procfs::{FromRead, process::MountInfos};

    use super::*;

    fn seen(mounts: &str, path: &str) -> Option<String> {
        let infos = MountInfos::from_read(mounts.as_bytes()).expect("as the kernel writes it");
        let found = visible(&infos.0, Path::new(path))?;
        Some(format!("{} {}", found.mnt_id, found.root))
    }

    const PLAIN: &str = "\
21 1 8:1 / / rw - ext4 /dev/root rw
22 21 0:20 / /sys rw - sysfs sysfs rw
23 22 0:21 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
24 21 0:22 / /proc rw - proc proc rw
";

    #[test]
    fn the_deepest_mount_along_the_path_is_seen() {
        assert_eq!(seen(PLAIN, "/sys/fs/cgroup/a/b").as_deref(), Some("23 /"));
        assert_eq!(seen(PLAIN, "/sys/fs").as_deref(), Some("22 /"));
        assert_eq!(seen(PLAIN, "/sys/fs/cgroups").as_deref(), Some("22 /"));
    }

    #[test]
    fn what_is_mounted_over_it_hides_it() {
        let over = format!("{PLAIN}25 22 0:30 / /sys rw - tmpfs none rw\n");
        assert_eq!(seen(&over, "/sys/fs/cgroup/a").as_deref(), Some("25 /"));
        let stacked = format!("{PLAIN}25 23 0:21 /part /sys/fs/cgroup rw - cgroup2 none rw\n");
        let found = seen(&stacked, "/sys/fs/cgroup/a");
        assert_eq!(found.as_deref(), Some("25 /part"));
    }

    #[test]
    fn a_namespace_without_a_root_sees_nothing() {
        assert_eq!(seen("", "/sys/fs/cgroup/a"), None);
        let chrooted = "23 22 0:21 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(seen(chrooted, "/sys/fs/cgroup/a"), None);
    }

    #[test]
    fn this_process_leads_to_its_own_mounts() {
        let own = Process::myself().and_then(|it| it.mountinfo());
        let own = own.expect("our own");
        let found = visible(&own.0, Path::new("/proc/self"));
        assert_eq!(found.map(|it| it.fs_type.as_str()), Some("proc"));
    }
}
