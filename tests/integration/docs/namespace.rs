//! Mount namespaces in which the socket that the documents name belongs to the test.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const SOCKETS: &str = "/run/probe";
const SOCKET: &str = "run/probe/probe.sock";

/// Commands for the shell in a new mount namespace.
pub(super) const AS_IT_IS: &str = "true";
pub(super) const V2_ONLY: &str = "[ \"$(stat -f -c %T /sys/fs/cgroup)\" = cgroup2fs ] || {
    umount --lazy --all --types cgroup,cgroup2 &&
    mount -t cgroup2 cgroup2 /sys/fs/cgroup; }";

/// The directory that the namespaces mount over; removed if the test created it.
pub(super) struct Sockets(bool);

impl Sockets {
    pub(super) fn directory() -> Self {
        Self(fs::create_dir(SOCKETS).is_ok())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if self.0 {
            let _others_use_it = fs::remove_dir(SOCKETS);
        }
    }
}

/// A mount namespace, kept alive by a process.
pub(super) struct Place(Child);

impl Place {
    pub(super) fn make(mounts: &str) -> Self {
        let script = format!(
            "set -e; mount -t tmpfs -o mode=755 tmpfs {SOCKETS}; {mounts}; echo ready; exec cat"
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        let mut ready = [0; 6];
        let stdout = holder.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut ready).expect("the mounts succeed");
        Self(holder)
    }

    /// A command that runs this one inside the namespace.
    pub(super) fn enter(&self, command: &Command) -> Command {
        let mut enter = Command::new("nsenter");
        enter
            .arg(format!("--mount=/proc/{}/ns/mnt", self.0.id()))
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        enter
    }

    /// Path of the namespace's socket from outside.
    pub(super) fn socket(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.0.id().to_string());
        root.join("root").join(SOCKET)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Both fail if the process has ended.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
