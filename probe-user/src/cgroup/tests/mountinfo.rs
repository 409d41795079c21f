//! Mounts as the kernel lists them.

use std::path::Path;

use procfs::{FromRead, ProcessCGroups, process::MountInfos};

use crate::cgroup::{mountinfo::of_path, mounts::Mounts};

fn seen(mounts: &str, path: &str) -> Option<String> {
    let infos = MountInfos::from_read(mounts.as_bytes()).expect("as the kernel writes it");
    let found = of_path(&infos.0, Path::new(path))?;
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
    assert_eq!(seen(&stack(64), "/sys/fs/cgroup/a"), None);
}

#[test]
fn without_a_root_mount_nothing_is_visible() {
    assert_eq!(seen("", "/sys/fs/cgroup/a"), None);
    let chrooted = "23 22 0:21 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    assert_eq!(seen(chrooted, "/sys/fs/cgroup/a"), None);
}

#[test]
fn a_cgroup_mount_that_another_mount_hides_is_left_out() {
    let over = format!("{PLAIN}25 23 0:30 / /sys/fs/cgroup rw - fuse none rw\n");
    let own = ProcessCGroups::from_read(&b"0::/\n"[..]).expect("as the kernel writes it");
    for (infos, count) in [(PLAIN, 1), (&over, 0)] {
        let infos = MountInfos::from_read(infos.as_bytes()).expect("as the kernel writes it");
        assert_eq!(Mounts::parse(&infos, &own).len(), count);
    }
}

#[test]
fn a_second_mount_of_a_hierarchy_is_found_by_its_path_only() {
    let twice = format!("{PLAIN}25 21 0:21 /a /mnt rw - cgroup2 none rw\n");
    let infos = MountInfos::from_read(twice.as_bytes()).expect("as the kernel writes it");
    let own = ProcessCGroups::from_read(&b"0::/\n"[..]).expect("as the kernel writes it");
    let mounts = Mounts::parse(&infos, &own);
    assert_eq!(mounts.len(), 1);
    let found = mounts.of_path(Path::new("/mnt/b"));
    assert_eq!(found.map(|(_, path)| path).as_deref(), Some("/a/b"));
    assert_eq!(
        mounts.directory_of(0, "/a/b"),
        Some("/sys/fs/cgroup/a/b".into())
    );
}
