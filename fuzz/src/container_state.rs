//! What runtimes, and whoever poses as one, leave on a machine.

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

/// One for each parser.
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

/// Of a process that is pid 1 in a namespace of its own, without the name.
const STATUS: &str = "State:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t1\nTracerPid:\t0\n\
    Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t\nNSpid:\t7\t1\nThreads:\t1\n\
    SigQ:\t0/1\nSigPnd:\t0\nShdPnd:\t0\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n\
    CapInh:\t0\nCapPrm:\t0\nCapEff:\t0\n";

/// A cgroup's path, and files of a machine: each behind a NUL and a byte that
/// says which.
///
/// # Panics
///
/// If a path says what no path can, or an answer has no cgroup that was there.
pub fn container_state(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0);
    let path = parts.next().unwrap_or_default();
    let path = String::from_utf8_lossy(path);
    identified(&path);
    MACHINE.with(|machine| answered(machine, &path, parts));
}

fn answered<'a>(machine: &Machine, path: &str, parts: impl Iterator<Item = &'a [u8]>) {
    let written: Vec<PathBuf> = parts
        .filter_map(|part| {
            let (which, content) = part.split_first()?;
            let file = machine.path(FILES[usize::from(*which) % FILES.len()]);
            fs::write(&file, printed(&file, content)).expect("a file");
            Some(file)
        })
        .collect();
    asked(machine, path);
    for file in written {
        // Twice, if it was written twice.
        let _gone = fs::remove_file(file);
    }
}

/// The files of a process are the kernel's, and only the name in them is not:
/// on others procfs panics.
fn printed<'a>(file: &Path, content: &'a [u8]) -> Cow<'a, [u8]> {
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

/// What a path alone says.
fn identified(path: &str) {
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

fn asked(machine: &Machine, path: &str) {
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
        // An error lists what is ambiguous: that must be said, too.
        match resolver.find(wanted, &cgroups) {
            Ok(found) => assert!(found.cgroups.iter().all(|(_, path)| !path.is_empty())),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// Its root directory, with all directories and no file.
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
