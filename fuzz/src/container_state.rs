//! Fuzz target for the files of container runtimes, which a malicious user may write as
//! well.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use probe_user::{
    model::is_within,
    unstable::{
        cgroup::mounts::{Mount, Mounts},
        container::{Resolver, StateRoots, layout},
    },
};
use tempfile::TempDir;

/// 64 hexadecimal digits.
macro_rules! id {
    () => {
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    };
}

/// One file for each parser.
const FILES: [&str; 16] = [
    "run/runc/web/state.json",
    "run/crun/web/status",
    "bundle/config.json",
    concat!("var/lib/docker/containers/", id!(), "/config.v2.json"),
    concat!(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/",
        id!(),
        "/config.json"
    ),
    concat!(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/",
        id!(),
        "/init.pid"
    ),
    "var/lib/containers/storage/overlay-containers/containers.json",
    "run/containers/storage/overlay-containers/volatile-containers.json",
    concat!(
        "var/lib/containers/storage/overlay-containers/",
        id!(),
        "/userdata/config.json"
    ),
    concat!(
        "run/containers/storage/overlay-containers/",
        id!(),
        "/userdata/pidfile"
    ),
    "run/systemd/machines/web",
    "proc/7/stat",
    "proc/7/status",
    "proc/7/uid_map",
    "proc/7/cgroup",
    "cgroup/web/cgroup.procs",
];

/// `/proc/7/status` after the name, of a process that is pid 1 of its pid namespace.
const STATUS: &str = "Tgid:\t7\nPid:\t7\nUid:\t0\t0\t0\t0\nNSpid:\t7\t1\nThreads:\t1\n";

/// Reads the bytes as the path of a cgroup, followed by files of a machine. A NUL and a
/// byte that selects the file precede each file. Then resolves containers on the machine.
///
/// # Panics
///
/// If the container of a path is inconsistent with the path, or a result names a cgroup
/// without a path.
pub fn container_state(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0);
    let path = parts.next().unwrap_or_default();
    let path = String::from_utf8_lossy(path);
    identify(&path);
    MACHINE.with(|machine| resolve_with_files(machine, &path, parts));
}

fn resolve_with_files<'a>(machine: &Machine, path: &str, parts: impl Iterator<Item = &'a [u8]>) {
    let written: Vec<PathBuf> = parts
        .filter_map(|part| {
            let (which, content) = part.split_first()?;
            let file = machine.path(FILES[usize::from(*which) % FILES.len()]);
            fs::write(&file, file_content(&file, content)).expect("a file");
            Some(file)
        })
        .collect();
    resolve(machine, path);
    for file in written {
        // A file that was written twice is removed the first time.
        let _removed = fs::remove_file(file);
    }
}

/// The content to write. The kernel writes the files of a process, of which a user
/// chooses only the name. So the process is valid, and can be the init of a container.
fn file_content<'a>(file: &Path, content: &'a [u8]) -> Cow<'a, [u8]> {
    let length = content.len().min(15);
    let name = content[..length].escape_ascii();
    if file.ends_with("proc/7/stat") {
        let zeros = "0 ".repeat(29);
        let stat = format!("7 ({name}) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 {zeros}0\n");
        Cow::Owned(stat.into_bytes())
    } else if file.ends_with("proc/7/status") {
        Cow::Owned(format!("Name:\t{name}\n{STATUS}").into_bytes())
    } else {
        Cow::Borrowed(content)
    }
}

/// Checks the container that the path alone identifies.
fn identify(path: &str) {
    let Some(layout) = layout::identify(path) else {
        return;
    };
    assert!(!layout.id.is_empty(), "{layout:?}");
    assert!(
        path.starts_with(layout.top) && is_within(path, layout.top),
        "{layout:?}"
    );
    assert_ne!(layout.pod_uid.as_deref(), Some(""), "{path}");
}

/// Resolves containers by cgroup and by name.
fn resolve(machine: &Machine, path: &str) {
    let mut resolver = Resolver::unwatched(machine.roots());
    let cgroups = [
        (0, "/web".to_owned()),
        (0, format!("/docker/{}", id!())),
        (0, path.to_owned()),
    ];
    for (_, path) in &cgroups {
        if let Some(container) = resolver.container_of(path) {
            assert!(!container.id.is_empty(), "{path}: {container:?}");
        }
    }
    for wanted in ["web", &id!()[..12], "pod:default/web"] {
        // The text of an error lists the matching containers, so it is formatted, too.
        match resolver.find(wanted, &cgroups) {
            Ok(found) => assert!(found.cgroups.iter().all(|(_, path)| !path.is_empty())),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// The root directory of a machine, with all directories of [`FILES`] and no file.
struct Machine(TempDir);

thread_local! {
    static MACHINE: Machine = {
        let machine = Machine(tempfile::tempdir().expect("a directory"));
        for file in FILES {
            let file = machine.path(file);
            let directory = file.parent().expect("a file has a directory");
            fs::create_dir_all(directory).expect("a directory");
        }
        machine
    };
}

impl Machine {
    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn roots(&self) -> StateRoots {
        let unified = Mount {
            hierarchy: 0,
            controllers: Vec::new(),
            mount_point: self.path("cgroup"),
            root: "/".to_owned(),
        };
        StateRoots::below(self.0.path(), Mounts::from_iter([unified]))
    }
}
