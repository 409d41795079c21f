//! Mounts over a cgroup, and second mounts of a hierarchy.

use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    os::fd::AsRawFd,
};

use probe_tests::{Cgroup, Victim, inapplicable, is_alive, probe};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use tempfile::TempDir;

use super::wait;

/// A FUSE mount with a server that never answers. Every request hangs until it is dropped.
struct HungMount {
    point: String,
    _device: File,
}

impl HungMount {
    fn on(point: &str) -> Self {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        let Ok(device) = device else {
            inapplicable("this machine has no FUSE");
        };
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0",
            device.as_raw_fd()
        );
        let options = CString::new(options).expect("no NUL");
        let mounted = mount("probe-test", point, "fuse", MountFlags::empty(), &*options);
        mounted.expect("root may mount");
        Self {
            point: point.to_owned(),
            _device: device,
        }
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        unmount(&self.point, UnmountFlags::DETACH).expect("it is mounted");
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_a_mount_hides_is_an_error_that_names_the_mount() {
    for cgroup in Cgroup::both("hidden") {
        let below = cgroup.sub("below");
        let deeper = below.sub("deeper");
        let victim = Victim::spawn(&["pause"], Some(&deeper));
        {
            let _hung = HungMount::on(below.path());
            let words = ["probe: ", "hidden", below.path(), "fuse", "hint: "];
            for path in [below.path(), deeper.path()] {
                wait(&["-t", "1", "--cgroup", path]).assert_refused(1, &words);
                wait(&["-t", "1", "--must-exist", "--cgroup", path]).assert_refused(1, &words);
                let kill = probe(&["kill", "--json", "-t", "1", "--cgroup", path]);
                kill.assert_refused(1, &words);
                probe(&["ps", "--json", "--cgroup", path]).assert_refused(1, &words);
            }
        }
        assert!(is_alive(victim.pid()));
        wait(&["-t", "0", "--cgroup", deeper.path()]).verdict("timeout");
    }
}

#[test]
#[ignore = "needs root"]
fn a_hung_file_system_below_a_cgroup_delays_neither_a_wait_nor_a_kill() {
    let cgroup = Cgroup::v2("hung");
    let below = cgroup.sub("below");
    let mut victim = Victim::paused(&cgroup);
    let hung = HungMount::on(below.path());
    for backend in ["auto", "pidfd", "poll"] {
        let args = [
            "-t",
            "50ms",
            "--backend",
            backend,
            "--cgroup",
            cgroup.path(),
        ];
        let output = wait(&args);
        let verdict = output.verdict("timeout");
        assert_eq!(verdict["survivors"][0]["pid"], victim.pid());
        assert!(output.stderr.contains(below.path()), "{output:#?}");
    }
    // Members in the hidden cgroup cannot be listed.
    let exited = wait(&["--until", "exited", "-t", "1", "--cgroup", cgroup.path()]);
    exited.assert_refused(1, &[below.path()]);
    let args = [
        "kill",
        "--json",
        "--rm",
        "-t",
        "1",
        "--cgroup",
        cgroup.path(),
    ];
    // `cgroup.kill` reaches the hidden cgroup, but the mount keeps it from being removed.
    let output = probe(&args);
    output.verdict("not_removed");
    assert!(output.stderr.contains(below.path()), "{output:#?}");
    assert_eq!(victim.wait(), 9);
    drop(hung);
    drop(below);
    probe(&args).verdict("already");
}

#[test]
#[ignore = "needs root"]
fn a_path_on_a_hung_file_system_is_refused_at_once() {
    let directory = TempDir::new().expect("a directory");
    let hung = HungMount::on(directory.path().to_str().expect("UTF-8"));
    for below in ["", "/a", "/a/b"] {
        let path = format!("{}{below}", hung.point);
        wait(&["--cgroup", &path]).assert_refused(4, &["not on a cgroup mount"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_is_named_by_a_second_mount_of_its_hierarchy() {
    for cgroup in Cgroup::both("second") {
        let below = cgroup.sub("below");
        let mut victim = Victim::paused(&below);
        let second = TempDir::new().expect("a directory");
        mount_bind(cgroup.path(), second.path()).expect("root may mount");
        let point = second.path().to_str().expect("UTF-8").to_owned();
        let on_second = format!("{point}/below");
        let paths = [point.as_str(), &on_second];
        let waits = paths.map(|path| wait(&["-t", "0", "--cgroup", path]));
        let gone = wait(&["--cgroup", &format!("{point}/gone")]);
        let killed = probe(&["kill", "--json", "-t", "10", "--cgroup", &on_second]);
        unmount(second.path(), UnmountFlags::empty()).expect("it is mounted");
        for (output, cgroup) in waits.into_iter().zip([&cgroup, &below]) {
            let verdict = output.verdict("timeout");
            assert_eq!(verdict["targets"][0]["cgroup"]["path"], cgroup.name());
            assert_eq!(verdict["targets"][0]["cgroup"]["id"], cgroup.id());
        }
        gone.verdict("already");
        killed.verdict("done");
        assert_eq!(victim.wait(), 9);
    }
}
