//! A cgroup for one test. Dropping it kills its processes and removes it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use probe_fixture::{Scratch, mounts};
use probe_user::unstable::cgroup::{mounts::Mounts, pinned::PinnedCgroup};

use crate::{
    Deadline,
    hierarchy::{has_v1, mount_of},
};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory on a cgroup mount.
#[derive(Debug)]
pub struct Cgroup {
    mount: PathBuf,
    path: String,
    scratch: Scratch,
}

impl Cgroup {
    /// A new cgroup below the root of the v2 hierarchy.
    #[must_use]
    pub fn v2(label: &str) -> Self {
        Self::make(mount_of(None), label)
    }

    /// A new v2 cgroup with a fixed name. It panics if the name is taken.
    #[must_use]
    pub fn v2_named(name: &str) -> Self {
        Self::make_named(mount_of(None), name)
    }

    /// A new cgroup below the root of the v1 hierarchy with this controller, or `name=systemd`.
    #[must_use]
    pub fn v1(controller: &str, label: &str) -> Self {
        Self::make(mount_of(Some(controller)), label)
    }

    /// A cgroup with a memory limit: of v1 where the memory controller is in v1, otherwise of v2.
    #[must_use]
    pub fn with_memory(bytes: u32, label: &str) -> Self {
        let (cgroup, limits) = if has_v1("memory") {
            let limits = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
            (Self::v1("memory", label), limits)
        } else {
            let cgroup = Self::v2(label);
            if !cgroup.file("memory.max").exists() {
                cgroup.write("../cgroup.subtree_control", "+memory");
            }
            (cgroup, ["memory.max", "memory.swap.max"])
        };
        let [limit, with_swap] = limits;
        cgroup.write(limit, &bytes.to_string());
        // The file is missing if the kernel does not count swap.
        if cgroup.file(with_swap).exists() {
            let more = if cgroup.scratch.is_v2() { 0 } else { bytes };
            cgroup.write(with_swap, &more.to_string());
        }
        cgroup
    }

    fn make(mount: PathBuf, label: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("probe-test-{}-{number}-{label}", process::id());
        Self::make_named(mount, &name)
    }

    fn make_named(mount: PathBuf, name: &str) -> Self {
        let directory = mount.join(name);
        Self::make_at(mount, directory)
    }

    fn make_at(mount: PathBuf, directory: PathBuf) -> Self {
        let path = utf8(&directory);
        let scratch = Scratch::create(directory);
        let scratch = scratch.unwrap_or_else(|error| panic!("cannot make {path}: {error}"));
        Self {
            mount,
            path,
            scratch,
        }
    }

    /// A child cgroup. It is removed before its parent even if the parent is dropped first.
    #[must_use]
    pub fn sub(&self, name: &str) -> Self {
        Self::make_at(self.mount.clone(), self.file(name))
    }

    /// The absolute path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path below the root of the hierarchy, as in records: begins with `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        let mount = self.mount.to_str().expect("made from UTF-8");
        self.path.strip_prefix(mount).expect("made below the mount")
    }

    /// Inode of the directory, which is the kernel's cgroup id.
    #[must_use]
    pub fn id(&self) -> u64 {
        let directory = fs::metadata(&self.path);
        directory.expect("our own directory").ino()
    }

    /// Opens the cgroup as the library does.
    #[must_use]
    pub fn pin(&self) -> PinnedCgroup {
        let mounts = Mounts::read().expect("/proc is mounted");
        let path = Path::new(&self.path);
        let (mount, _) = mounts.of_path(path).expect("made on a mount");
        PinnedCgroup::open(mount, path).expect("our own cgroup")
    }

    /// Path of a control file or of a child.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.path).join(name)
    }

    /// Writes a control file.
    pub fn write(&self, name: &str, value: &str) {
        let file = self.file(name);
        fs::write(&file, value)
            .unwrap_or_else(|error| panic!("cannot write {value} to {}: {error}", file.display()));
    }

    /// Moves a process into the cgroup.
    pub fn add(&self, pid: u32) {
        self.write("cgroup.procs", &pid.to_string());
    }

    /// Freezes a v2 cgroup. Returns when the kernel has notified `cgroup.events`: its next
    /// notification comes 10 ms later at the earliest.
    pub fn freeze(&self) {
        let frozen = self.scratch.freeze(Deadline::start().left());
        frozen.unwrap_or_else(|error| panic!("{} does not freeze: {error}", self.path));
    }

    /// Freezes a v1 cgroup; returns when all its tasks are frozen.
    pub fn freeze_v1(&self) {
        const STATE: &str = "freezer.state";
        self.write(STATE, "FROZEN");
        Deadline::start().until("the cgroup is frozen", || {
            let state = fs::read_to_string(self.file(STATE));
            state.expect("our own cgroup").starts_with("FROZEN")
        });
    }

    /// Moves a process to the root cgroup of every hierarchy.
    pub fn leave_all(pid: u32) {
        let mounts = mounts().expect("/proc is mounted");
        for mount in mounts.iter().filter(|mount| mount.root == "/") {
            let procs = mount.point.join("cgroup.procs");
            fs::write(procs, pid.to_string()).expect("a live process may go to the root");
        }
    }

    /// The thread groups directly in the cgroup, not in its children. Zombies are not listed.
    #[must_use]
    pub fn procs(&self) -> Vec<u32> {
        self.scratch.procs()
    }

    /// Sends SIGKILL to every process in the subtree, by `cgroup.kill` where it exists (v2, Linux
    /// 5.14). Does not wait.
    pub fn kill(&self) {
        if self.has_kill() {
            self.write("cgroup.kill", "1");
        } else {
            self.scratch.kill_one_by_one();
        }
    }

    /// Whether the cgroup has a `cgroup.kill`.
    #[must_use]
    pub fn has_kill(&self) -> bool {
        self.file("cgroup.kill").exists()
    }

    /// The field `via` of the records of processes that [`Self::kill`] killed.
    #[must_use]
    pub fn killed_via(&self) -> &'static str {
        if self.has_kill() {
            "cgroup.kill"
        } else {
            "kill"
        }
    }

    /// Returns when no task is left in the subtree.
    pub fn wait_empty(&self) {
        let what = format!("{} is empty", self.path);
        Deadline::start().until(&what, || self.is_empty());
    }

    fn is_empty(&self) -> bool {
        let is_empty = self.scratch.is_empty();
        is_empty.unwrap_or_else(|error| panic!("cannot read {}: {error}", self.path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = self.scratch.remove(Deadline::start().left()) {
            complain(&format!("cannot remove {}: {error}", self.path));
        }
    }
}

/// Panics, or prints if the thread is already panicking: a second panic would abort all tests.
#[expect(clippy::print_stderr, reason = "cargo prints stderr of failed tests")]
fn complain(what: &str) {
    assert!(std::thread::panicking(), "{what}");
    eprintln!("{what}");
}

fn utf8(path: &Path) -> String {
    path.to_str().expect("mount points are UTF-8").to_owned()
}
