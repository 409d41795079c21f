//! The mounts that a peer sees. In another mount or cgroup namespace a path may lead to
//! another directory than the one that the daemon would open.

use std::{fs, io::Read, os::unix::fs::MetadataExt};

use procfs::{
    FromRead,
    process::{MountInfo, MountInfos},
};

use super::{directory::CgroupDirectory, peer::Peer};
use probe_user::unstable::cgroup::mountinfo;

/// Maximum size of `mountinfo`, because a peer may have made any number of mounts. A
/// longer file counts as unreadable.
const MAX_BYTES: u64 = 1 << 20;

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
        mountinfo::of_path(mounts, &directory.location).is_some_and(|it| {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_mounts_of_this_process_are_found() {
        let own = mounts(std::process::id()).expect("readable");
        let found = mountinfo::of_path(&own, Path::new("/proc/self"));
        assert_eq!(found.map(|it| it.fs_type.as_str()), Some("proc"));
    }
}
