//! The mounts that a peer sees. In another mount or cgroup namespace a path may lead to
//! another directory than the one that the daemon would open.

use std::{fs, io::Read, os::unix::fs::MetadataExt, path::Path};

use procfs::{
    FromRead,
    process::{MountInfo, MountInfos},
};

use super::{directory::CgroupDirectory, peer::Peer};

/// Maximum size of `mountinfo`, because a peer may have made any number of mounts. A
/// longer file counts as unreadable.
const MAX_BYTES: u64 = 1 << 20;

/// Maximum number of mounts on the way along a path, hidden mounts included.
const MAX_CROSSED: usize = 64;

/// The mounts that a peer sees, read once for all paths of a request.
#[derive(Debug, Default)]
pub(crate) struct Visibility(Option<(u32, Vec<MountInfo>)>);

impl Visibility {
    /// Whether the path of this directory leads to the same directory in the peer's
    /// mount namespace; false if the peer's mounts cannot be read. Every user may read
    /// `/proc/PID/mountinfo`, which shows the mounted cgroup relative to the reader's
    /// cgroup namespace.
    pub(crate) fn includes(&mut self, peer: Peer, directory: &CgroupDirectory) -> bool {
        let Some(pid) = peer.pid() else {
            return false;
        };
        if self.0.as_ref().is_none_or(|(of, _)| *of != pid) {
            self.0 = Some((pid, mounts(pid).unwrap_or_default()));
        }
        let mounts = self.0.as_ref().map_or(&[][..], |(_, mounts)| mounts);
        let device = fs::metadata(&directory.mount.mount_point).map(|it| it.dev());
        visible(mounts, &directory.location).is_some_and(|it| {
            it.mount_point == directory.mount.mount_point
                && it.root == directory.mount.root
                && device.is_ok_and(|device| is_device(&it.majmin, device))
        })
    }
}

fn mounts(pid: u32) -> Option<Vec<MountInfo>> {
    let file = fs::File::open(format!("/proc/{pid}/mountinfo")).ok()?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(MAX_BYTES);
    bounded.read_to_end(&mut bytes).ok()?;
    if bounded.limit() == 0 {
        return None;
    }
    // procfs takes UTF-8 only, but a peer may have mounts at paths that are not.
    let text = String::from_utf8_lossy(&bytes);
    Some(MountInfos::from_read(text.as_bytes()).ok()?.0)
}

fn is_device(majmin: &str, device: u64) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    majmin == format!("{major}:{minor}")
}

/// The mount on which the resolution of this path ends. `mountinfo` also lists mounts that
/// another mount hides; the resolution does not reach these.
fn visible<'a>(mounts: &'a [MountInfo], path: &Path) -> Option<&'a MountInfo> {
    let root = Path::new("/");
    let is_below = |it: &&MountInfo| {
        let mut others = mounts.iter().filter(|other| other.mount_point == root);
        !others.any(|other| other.mnt_id == it.pid && other.mnt_id != it.mnt_id)
    };
    let tops = mounts.iter().filter(|it| it.mount_point == root);
    let mut at = tops.clone().find(is_below)?;
    for _ in 0..MAX_CROSSED {
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
    fn a_later_mount_hides_an_earlier_one() {
        let over = format!("{PLAIN}25 22 0:30 / /sys rw - tmpfs none rw\n");
        assert_eq!(seen(&over, "/sys/fs/cgroup/a").as_deref(), Some("25 /"));
        let stacked = format!("{PLAIN}25 23 0:21 /part /sys/fs/cgroup rw - cgroup2 none rw\n");
        let found = seen(&stacked, "/sys/fs/cgroup/a");
        assert_eq!(found.as_deref(), Some("25 /part"));
    }

    #[test]
    fn a_path_through_too_many_mounts_is_not_visible() {
        let stack = |height: usize| {
            let mounts = 23..23 + height;
            let line = |id| {
                format!(
                    "{} {id} 0:21 / /sys/fs/cgroup rw - cgroup2 none rw\n",
                    id + 1
                )
            };
            PLAIN.replace("24 21", "9 21") + &mounts.map(line).collect::<String>()
        };
        assert!(seen(&stack(10), "/sys/fs/cgroup/a").is_some());
        assert_eq!(seen(&stack(MAX_CROSSED), "/sys/fs/cgroup/a"), None);
    }

    #[test]
    fn without_a_root_mount_nothing_is_visible() {
        assert_eq!(seen("", "/sys/fs/cgroup/a"), None);
        let chrooted = "23 22 0:21 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(seen(chrooted, "/sys/fs/cgroup/a"), None);
    }

    #[test]
    fn the_mounts_of_this_process_are_found() {
        let own = mounts(std::process::id()).expect("readable");
        let found = visible(&own, Path::new("/proc/self"));
        assert_eq!(found.map(|it| it.fs_type.as_str()), Some("proc"));
    }
}
