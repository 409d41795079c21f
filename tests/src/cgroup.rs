//! A cgroup for one test, removed with all that is in it when the test ends.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Deadline,
    hierarchy::{has_v1, mount_of, mounts},
};

static MADE: AtomicU32 = AtomicU32::new(0);

/// A directory on a cgroup mount.
#[derive(Debug)]
pub struct Cgroup {
    mount: PathBuf,
    path: String,
    is_v2: bool,
}

impl Cgroup {
    /// Below the root of the v2 hierarchy.
    #[must_use]
    pub fn v2(label: &str) -> Self {
        Self::make(mount_of(None), label, true)
    }

    /// The same by a name that others may have taken: then it panics.
    #[must_use]
    pub fn v2_named(name: &str) -> Self {
        Self::make_named(mount_of(None), name, true)
    }

    /// Below the root of the v1 hierarchy with this controller; `name=systemd`
    /// for a named one.
    #[must_use]
    pub fn v1(controller: &str, label: &str) -> Self {
        Self::make(mount_of(Some(controller)), label, false)
    }

    /// In which no more bytes can be used: of v1 where the controller is there, else
    /// of v2.
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
        // Not where the kernel does not count it.
        if cgroup.file(with_swap).exists() {
            let more = if cgroup.is_v2 { 0 } else { bytes };
            cgroup.write(with_swap, &more.to_string());
        }
        cgroup
    }

    fn make(mount: PathBuf, label: &str, is_v2: bool) -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("probe-test-{}-{number}-{label}", process::id());
        Self::make_named(mount, &name, is_v2)
    }

    fn make_named(mount: PathBuf, name: &str, is_v2: bool) -> Self {
        let path = utf8(&mount.join(name));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot make {path}: {error}"));
        Self { mount, path, is_v2 }
    }

    /// A child of this one. Removed before its parent also if both are dropped
    /// in the wrong order.
    #[must_use]
    pub fn sub(&self, name: &str) -> Self {
        let path = utf8(&self.file(name));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot make {path}: {error}"));
        Self {
            mount: self.mount.clone(),
            path,
            is_v2: self.is_v2,
        }
    }

    /// Its id.
    #[must_use]
    pub fn inode(&self) -> u64 {
        fs::metadata(&self.path).expect("it is there").ino()
    }

    /// Absolute.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Below the root of the hierarchy, as records have it: begins with `/`.
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

    /// A control file, or a child.
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

    /// Moves a process here.
    pub fn add(&self, pid: u32) {
        self.write("cgroup.procs", &pid.to_string());
    }

    /// Freezes one of v2. Returns once the notification of that is out: the next one
    /// comes 10 ms later at the earliest.
    pub fn freeze(&self) {
        self.write("cgroup.freeze", "1");
        Deadline::start().until("it is frozen", || {
            let events = fs::read_to_string(self.file("cgroup.events"));
            events.expect("v2 has it").contains("frozen 1")
        });
    }

    /// Freezes one of v1; returns when all of it is frozen.
    pub fn freeze_v1(&self) {
        const STATE: &str = "freezer.state";
        self.write(STATE, "FROZEN");
        Deadline::start().until("it is frozen", || {
            let state = fs::read_to_string(self.file(STATE));
            state.expect("our own").starts_with("FROZEN")
        });
    }

    /// Moves a process to the root of every hierarchy.
    pub fn leave_all(pid: u32) {
        for mount in mounts().into_iter().filter(|mount| mount.root == "/") {
            let procs = mount.point.join("cgroup.procs");
            fs::write(procs, pid.to_string()).expect("a live process may go to the root");
        }
    }

    /// The thread groups directly in it, not in its children; zombies are not
    /// listed.
    #[must_use]
    pub fn procs(&self) -> Vec<u32> {
        procs(Path::new(&self.path))
    }

    /// SIGKILLs everything in the subtree, by `cgroup.kill` where there is one
    /// (v2, Linux 5.14); does not wait.
    pub fn kill(&self) {
        if self.has_kill() {
            self.write("cgroup.kill", "1");
        } else {
            self.kill_one_by_one();
        }
    }

    /// Whether there is a `cgroup.kill`.
    #[must_use]
    pub fn has_kill(&self) -> bool {
        self.file("cgroup.kill").exists()
    }

    /// What a record says that [`Self::kill`] did it by.
    #[must_use]
    pub fn killed_via(&self) -> &'static str {
        if self.has_kill() {
            "cgroup.kill"
        } else {
            "kill"
        }
    }

    fn kill_one_by_one(&self) {
        for directory in subtree(Path::new(&self.path)) {
            for pid in procs(&directory) {
                kill(pid);
            }
        }
    }

    /// Returns when no task is left in the subtree.
    pub fn wait_empty(&self) {
        let what = format!("{} is empty", self.path);
        Deadline::start().until(&what, || self.is_empty());
    }

    fn is_empty(&self) -> bool {
        if self.is_v2 {
            let events = fs::read_to_string(self.file("cgroup.events"));
            return events.expect("v2 cgroups have it").contains("populated 0");
        }
        let directories = subtree(Path::new(&self.path));
        directories.iter().all(|directory| {
            fs::read_to_string(directory.join("tasks")).is_ok_and(|tasks| tasks.is_empty())
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A test may have removed it, that is what some of them are about.
        if !Path::new(&self.path).exists() {
            return;
        }
        // Again and again: no list of pids is so new that no fork outran it,
        // and `cgroup.kill` spares a process whose leader has exited (Linux
        // 6.18), because it signals the leader.
        let deadline = Deadline::start();
        while !self.is_empty() && !deadline.left().is_zero() {
            self.kill_one_by_one();
            deadline.pause();
        }
        for directory in subtree(Path::new(&self.path)) {
            match fs::remove_dir(&directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    complain(&format!("cannot remove {}: {error}", directory.display()));
                }
                _ => {}
            }
        }
    }
}

/// A panic while another one unwinds would end all tests.
#[expect(clippy::print_stderr, reason = "cargo shows it if the test fails")]
fn complain(what: &str) {
    assert!(std::thread::panicking(), "{what}");
    eprintln!("{what}");
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may have died since it was listed.
    let _gone = pid.map(|pid| kill_process(pid, Signal::KILL));
}

fn procs(directory: &Path) -> Vec<u32> {
    let procs = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    procs.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// Children before their parents.
fn subtree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir())) {
        found.extend(subtree(&entry.path()));
    }
    found.push(directory.to_path_buf());
    found
}

fn utf8(path: &Path) -> String {
    path.to_str().expect("mount points are UTF-8").to_owned()
}
