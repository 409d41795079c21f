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

/// The root directory of a machine.
pub(super) struct Machine(TempDir);

/// A resolver, and the time at which it is asked.
pub(super) struct TestResolver {
    pub(super) inner: Resolver,
    pub(super) now: Instant,
}

impl TestResolver {
    /// The container of a cgroup as `RUNTIME ID NAME`, with `-` for no name and with the pod if
    /// it has one, or `none`. The clock advances by more than any interval between two reads
    /// of the disk.
    pub(super) fn container_of(&mut self, path: &str) -> String {
        self.now += Duration::from_secs(2);
        let container = self.inner.container_at(path, self.now);
        container.map_or("none".to_owned(), |it| describe(&it))
    }
}

/// The runtime, id, name and pod of a container.
pub(super) fn describe(container: &Container) -> String {
    let Container {
        runtime, id, name, ..
    } = container;
    let pod = container.pod_uid.iter().map(|uid| format!(" in pod {uid}"));
    let name = name.as_deref().unwrap_or("-");
    format!(
        "{} {id} {name}{}",
        runtime.as_str(),
        pod.collect::<String>()
    )
}

impl Machine {
    /// A machine with the v2 hierarchy, one v1 hierarchy, and no containers.
    pub(super) fn new() -> Self {
        let machine = Self(tempfile::tempdir().expect("a directory"));
        for directory in ["cgroup/unified", "cgroup/pids", "run", "proc"] {
            machine.create_dir(directory);
        }
        machine.write("proc/1/net/unix", "Num RefCount Path\n");
        machine
    }

    pub(super) fn create_dir(&self, below: impl AsRef<Path>) {
        fs::create_dir_all(self.path(below)).expect("a directory");
    }

    pub(super) fn remove(&self, below: &str) {
        fs::remove_dir_all(self.path(below)).expect("a directory is removed");
    }

    pub(super) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(below)
    }

    pub(super) fn roots(&self) -> StateRoots {
        let mount = |hierarchy, name: &str, controllers: &[&str]| Mount {
            hierarchy,
            controllers: controllers.iter().map(|&it| it.to_owned()).collect(),
            mount_point: self.path("cgroup").join(name),
            root: "/".to_owned(),
        };
        let mounts = [mount(0, "unified", &[]), mount(PIDS, "pids", &["pids"])];
        StateRoots::below(self.0.path(), Mounts::from_iter(mounts))
    }

    pub(super) fn resolver(&self) -> Resolver {
        Resolver::new(self.roots())
    }

    pub(super) fn test_resolver(&self) -> TestResolver {
        TestResolver {
            inner: self.resolver(),
            now: Instant::now(),
        }
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
        self.create_dir(format!("cgroup/{mount}/{}", path.trim_start_matches('/')));
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

    /// Writes the status file of a container of crun.
    pub(super) fn crun(&self, state: impl AsRef<Path>, cgroup: &str, bundle: impl AsRef<Path>) {
        let status = json!({
            "pid": 4_000_000,
            "process-start-time": 77,
            "cgroup-path": cgroup,
            "scope": "",
            "rootfs": "/x",
            "systemd-cgroup": false,
            "bundle": bundle.as_ref(),
            "created": "2026-01-02T03:04:05.000000Z",
            "detached": true,
            "external_descriptors": "[]",
        });
        self.write_json(state.as_ref().join("status"), &status);
    }

    /// Writes docker's state of a container.
    pub(super) fn docker(&self, id: &str, name: &str) {
        let config = json!({ "ID": id, "Name": format!("/{name}"), "State": { "Pid": 1 } });
        let file = format!("var/lib/docker/containers/{id}/config.v2.json");
        self.write_json(file, &config);
    }

    /// Makes a bundle of containerd.
    pub(super) fn bundle(&self, namespace: &str, id: &str, annotations: &Value) {
        let bundle = format!("run/containerd/io.containerd.runtime.v2.task/{namespace}/{id}");
        let config = json!({ "annotations": annotations });
        self.write_json(format!("{bundle}/config.json"), &config);
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
        let status = format!("Name:\ta b\nTgid:\t{pid}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n");
        self.write(file("status"), status);
        self.write(file("uid_map"), "         0          0 4294967295\n");
        self.write(file("cgroup"), format!("0::{cgroup}\n"));
    }

    /// Makes a process in a cgroup of the v2 hierarchy. `pids` are its pids in the pid
    /// namespaces, from ours to the innermost.
    pub(super) fn member(&self, pids: &[u32], cgroup: &str) {
        let pid = pids[0];
        self.process(pid, 77, cgroup);
        let append = |file: String, line: String| {
            let path = self.path(file);
            let content = fs::read_to_string(&path).unwrap_or_default();
            fs::write(path, content + &line).expect("a file");
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
