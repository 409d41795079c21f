//! Recognizes containers of podman, and reads their names.
//!
//! `libpod-ID.scope` (systemd driver; crun moves the processes to `container` below it),
//! `libpod-ID` (cgroupfs), `libpod-payload-ID`
//! (`--cgroups=split`). `libpod-conmon-ID.scope` and `conmon` hold the monitor.
//! <https://github.com/containers/podman/blob/c6580b4a5219c9efb9ab79a540637d8a58b736f8/libpod/container_internal_linux.go#L347-L377>
//!
//! A rootless podman with the cgroupfs driver leaves the path to crun, which uses a bare id.
//! Only the state of crun identifies such a container.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    container::{
        layout::{PathComponent, Recognized, prefixed_id},
        state_file::{self, Version},
    },
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let id = prefixed_id(component.name, "libpod-payload-")
        .or_else(|| prefixed_id(component.name, "libpod-"))?;
    Some(Recognized::certain(Runtime::Podman, id))
}

/// The lists of the storage library. Newer versions list `--rm` containers in
/// `volatile-containers.json` of the run root.
/// <https://github.com/containers/storage/blob/83cf57466529353aced8f1803f2302698e0b5cb7/containers.go#L39-L46>
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
}

/// The names in a list of containers when it was last read.
#[derive(Debug)]
struct List {
    version: Version,
    owner: u32,
    names: HashMap<String, String>,
}

/// Names by id, from the lists of the storage library. One list has every container, so it is
/// read again only after a change.
#[derive(Debug, Default)]
pub(in crate::container) struct Names {
    lists: HashMap<PathBuf, List>,
}

impl Names {
    /// The name of a container, from the stores (`/var/lib/containers/storage`) of its owner.
    pub(in crate::container) fn get(&mut self, stores: &[PathBuf], id: &str) -> Option<String> {
        stores
            .iter()
            .flat_map(|store| drivers(store))
            .find_map(|driver| self.find(&driver, id, |_owner| true))
    }

    /// The name of a container, from the directory of a storage driver
    /// (`…/storage/overlay-containers`) at any path, if root or `user` owns the list.
    pub(in crate::container) fn get_in_driver(
        &mut self,
        driver: &Path,
        id: &str,
        user: u32,
    ) -> Option<String> {
        self.find(driver, id, |owner| owner == 0 || owner == user)
    }

    /// The ids and names of all containers in the directory of a storage driver, if root or the
    /// user of this process owns the list.
    pub(in crate::container) fn all(&mut self, driver: &Path) -> Vec<(String, String)> {
        let own = rustix::process::geteuid().as_raw();
        let is_trusted = |list: &&List| list.owner == 0 || list.owner == own;
        let mut found = Vec::new();
        for file in LISTS {
            let list = self.list(driver, file).filter(is_trusted);
            let names = list.into_iter().flat_map(|list| &list.names);
            found.extend(names.map(|(id, name)| (id.clone(), name.clone())));
        }
        found
    }

    fn find(
        &mut self,
        driver: &Path,
        id: &str,
        is_trusted: impl Fn(u32) -> bool,
    ) -> Option<String> {
        LISTS.iter().find_map(|file| {
            let list = self.list(driver, file)?;
            let name = list.names.get(id);
            name.filter(|_| is_trusted(list.owner)).cloned()
        })
    }

    fn list(&mut self, driver: &Path, file: &str) -> Option<&List> {
        /// Most cached lists. A machine has few stores, but a malicious bundle may name any
        /// path.
        const MAX_LISTS: usize = 64;
        let path = driver.join(file);
        let version = state_file::version(&path)?;
        if self
            .lists
            .get(&path)
            .is_none_or(|list| list.version != version)
        {
            let list = read_list(driver, file, version)?;
            if self.lists.len() >= MAX_LISTS {
                self.lists.clear();
            }
            self.lists.insert(path.clone(), list);
        }
        self.lists.get(&path)
    }
}

fn read_list(driver: &Path, file: &str, version: Version) -> Option<List> {
    let file = state_file::read_in(driver, file)?;
    let listed: Vec<Listed> = file.json()?;
    let names = listed
        .into_iter()
        .filter_map(|it| Some((it.id, it.names?.into_iter().next()?)))
        .collect();
    Some(List {
        version,
        owner: file.owner,
        names,
    })
}

/// The directories `DRIVER-containers` of a store.
pub(in crate::container) fn drivers(store: &Path) -> Vec<PathBuf> {
    let paths = state_file::entries(store).map(|entry| entry.path());
    let is_driver = |path: &PathBuf| path.to_string_lossy().ends_with("-containers");
    paths.filter(is_driver).collect()
}
