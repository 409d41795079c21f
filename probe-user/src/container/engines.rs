//! Lists the directories with the state of container engines, and tells which can be read.

use std::{
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

use super::{
    StateRoots,
    runtime::{containerd::namespaces, podman::drivers},
};
use crate::model::Runtime;

/// A directory with the state of a container engine.
#[derive(Debug)]
pub struct EngineState {
    /// The engine. The storage library of podman is that of CRI-O, too.
    pub runtime: Runtime,
    /// The directory.
    pub location: PathBuf,
    /// What the state tells.
    pub tells: &'static str,
    /// The number of containers with state there, or why the directory cannot be read.
    pub containers: io::Result<usize>,
}

const CGROUPS: &str = "cgroups and init processes";
const NAMES: &str = "names";

impl StateRoots {
    /// The directories of these roots that exist.
    #[must_use]
    pub fn engines(&self) -> Vec<EngineState> {
        let mut found = Vec::new();
        let mut add = |runtime, location: PathBuf, tells| {
            let containers = match fs::read_dir(&location) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                entries => entries.map(|it| it.flatten().filter(is_container).count()),
            };
            found.push(EngineState {
                runtime,
                location,
                tells,
                containers,
            });
        };
        for root in &self.docker {
            add(Runtime::Docker, root.join("containers"), NAMES);
        }
        for tasks in &self.tasks {
            for namespace in or_itself(tasks, namespaces(tasks)) {
                add(of_namespace(&namespace), namespace, "names and pods");
            }
        }
        for roots in &self.oci_by_namespace {
            for namespace in or_itself(roots, namespaces(roots)) {
                add(of_namespace(&namespace), namespace, CGROUPS);
            }
        }
        for root in self.oci_roots() {
            let is_of_namespace = self.oci_by_namespace.iter().any(|it| root.starts_with(it));
            if !is_of_namespace {
                let runtime = if root.ends_with("crun") {
                    Runtime::Crun
                } else {
                    Runtime::Runc
                };
                add(runtime, root, CGROUPS);
            }
        }
        for store in &self.stores {
            for driver in or_itself(store, drivers(store)) {
                add(Runtime::Podman, driver, NAMES);
            }
        }
        for (runtime, roots) in [
            (Runtime::Lxc, &self.lxc),
            (Runtime::Lxd, &self.lxd),
            (Runtime::Incus, &self.incus),
        ] {
            for root in roots {
                add(runtime, root.clone(), NAMES);
            }
        }
        let machines = self.machines.clone();
        add(Runtime::Nspawn, machines, "units and init processes");
        found
    }
}

/// The directories that were found below a directory, or itself if it cannot be read.
fn or_itself(directory: &Path, below: Vec<PathBuf>) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(_readable) => below,
        Err(_) => vec![directory.to_owned()],
    }
}

/// The engine of a namespace in containerd: `moby` is Docker's.
fn of_namespace(namespace: &Path) -> Runtime {
    if namespace.ends_with("moby") {
        Runtime::Docker
    } else {
        Runtime::Containerd
    }
}

/// Whether an entry stands for a container: a directory, a link of LXD to its storage pool, or a
/// file of machined. Links of machined begin with `unit:`.
fn is_container(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let is_other = [".", "unit:"].iter().any(|it| name.starts_with(it));
    let is_list = [".json", ".lock"].iter().any(|it| name.ends_with(it));
    !is_other && !is_list
}
