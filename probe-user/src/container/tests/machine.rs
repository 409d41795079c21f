//! [`Machine`], a directory with the files of a machine that has containers.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cgroup::mounts::{Mount, Mounts},
    container::{Resolver, StateRoots},
    model::Container,
};

pub(super) const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(super) const B: &str = "0123456789abfedc0123456789abfedc0123456789abfedc0123456789abfedc";
/// Hierarchy of the `pids` controller.
pub(super) const PIDS: u32 = 8;

/// The root directory of a machine, and its clock.
pub(super) struct Machine {
    root: TempDir,
    pub(super) now: Instant,
}

impl Machine {
    /// A machine with the v2 hierarchy, one v1 hierarchy, and no containers.
    pub(super) fn new() -> Self {
        let machine = Self {
            root: tempfile::tempdir().expect("a directory"),
            now: Instant::now(),
        };
        for directory in ["cgroup/unified", "cgroup/pids", "run", "proc"] {
            fs::create_dir_all(machine.path(directory)).expect("a directory");
        }
        machine
    }

    pub(super) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(below)
    }

    pub(super) fn roots(&self) -> StateRoots {
        let mount = |hierarchy, name: &str, controllers: &[&str]| Mount {
            hierarchy,
            controllers: controllers.iter().map(|&it| it.to_owned()).collect(),
            mount_point: self.path("cgroup").join(name),
            root: "/".to_owned(),
        };
        let mounts = [mount(0, "unified", &[]), mount(PIDS, "pids", &["pids"])];
        StateRoots::below(self.root.path(), Mounts::from_iter(mounts))
    }

    pub(super) fn resolver(&self) -> Resolver {
        Resolver::new(self.roots())
    }

    /// Advances the clock by more than any interval between two reads of the disk.
    pub(super) fn later(&mut self) -> Instant {
        self.now += Duration::from_secs(2);
        self.now
    }

    pub(super) fn write(&self, file: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let file = self.path(file);
        let directory = file.parent().expect("a file has a directory");
        fs::create_dir_all(directory).expect("a directory");
        fs::write(file, content).expect("a file");
    }

    pub(super) fn write_json(&self, file: impl AsRef<Path>, content: &Value) {
        self.write(file, content.to_string());
    }

    pub(super) fn cgroup(&self, hierarchy: u32, path: &str) -> (u32, String) {
        let mount = if hierarchy == 0 { "unified" } else { "pids" };
        let directory = self
            .path("cgroup")
            .join(mount)
            .join(path.trim_start_matches('/'));
        fs::create_dir_all(directory).expect("a directory");
        (hierarchy, path.to_owned())
    }

    /// The state that runc 1.1 writes, shortened.
    pub(super) fn runc_state(&self, id: &str, cgroup: &str, bundle: Option<&Path>) -> Value {
        let on = |mount: &str| self.path(format!("cgroup/{mount}{cgroup}"));
        let label = bundle.map(|it| format!("bundle={}", it.display()));
        json!({
            "id": id,
            "init_process_pid": 4_000_000,
            "init_process_start": 77,
            "created": "2026-01-02T03:04:05Z",
            "cgroup_paths": { "": on("unified"), "pids": on("pids") },
            "namespace_paths": { "NEWNS": "/proc/4000000/ns/mnt" },
            "external_descriptors": ["/dev/null", "pipe:[1]", "pipe:[2]"],
            "config": {
                "rootfs": "/x",
                "cgroups": { "path": "", "name": id },
                "labels": label.into_iter().collect::<Vec<_>>(),
            },
        })
    }

    /// Makes a container of runc. Its cgroups exist before its state is read, because only
    /// root's state is trusted about a missing cgroup.
    pub(super) fn runc(&self, id: &str, cgroup: &str) {
        self.cgroup(0, cgroup);
        self.cgroup(PIDS, cgroup);
        let state = self.runc_state(id, cgroup, None);
        self.write_json(format!("run/runc/{id}/state.json"), &state);
    }

    /// Makes the files in `/proc` of a process.
    pub(super) fn process(&self, pid: u32, start_ticks: u64, cgroup: &str) {
        let uid = rustix::process::geteuid().as_raw();
        let file = |name: &str| format!("proc/{pid}/{name}");
        let zeros = "0 ".repeat(30);
        self.write(
            file("stat"),
            format!("{pid} (a b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start_ticks} {zeros}\n"),
        );
        let ids = format!("{uid}\t{uid}\t{uid}\t{uid}");
        self.write(
            file("status"),
            format!(
                "Name:\ta b\nState:\tS (sleeping)\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t1\n\
                 TracerPid:\t0\nUid:\t{ids}\nGid:\t{ids}\nFDSize:\t64\nGroups:\t\nThreads:\t1\n\
                 SigQ:\t0/1\nSigPnd:\t0\nShdPnd:\t0\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n\
                 CapInh:\t0\nCapPrm:\t0\nCapEff:\t0\n"
            ),
        );
        self.write(file("uid_map"), "         0          0 4294967295\n");
        self.write(file("cgroup"), format!("0::{cgroup}\n"));
    }

    /// Makes a process in a cgroup of the v2 hierarchy. `pids` are its pids in the pid
    /// namespaces, from ours to the innermost.
    pub(super) fn member(&self, pids: &[u32], cgroup: &str) {
        use std::io::Write;
        let pid = pids[0];
        self.process(pid, 77, cgroup);
        let append = |file: String, line: String| {
            let path = self.path(file);
            let mut file = fs::File::options().create(true).append(true).open(path);
            let file = file.as_mut().expect("a file");
            file.write_all(line.as_bytes()).expect("a file");
        };
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        append(
            format!("proc/{pid}/status"),
            format!("NSpid:\t{}\n", pids.join("\t")),
        );
        self.cgroup(0, cgroup);
        let procs = format!("cgroup/unified{cgroup}/cgroup.procs");
        append(procs, format!("{pid}\n"));
    }
}

/// The runtime, id and name of a container.
pub(super) fn short(container: Option<&Container>) -> Option<(&'static str, &str, Option<&str>)> {
    let container = container?;
    Some((
        container.runtime.as_str(),
        &container.id,
        container.name.as_deref(),
    ))
}
