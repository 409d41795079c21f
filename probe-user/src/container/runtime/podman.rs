//! podman.
//!
//! `libpod-ID.scope` (systemd driver; crun moves the processes on into
//! `container` below it), `libpod-ID` (cgroupfs), `libpod-payload-ID`
//! (`--cgroups=split`). `libpod-conmon-ID.scope` and `conmon` hold the monitor.
//! <https://github.com/containers/podman/blob/c6580b4a5219c9efb9ab79a540637d8a58b736f8/libpod/container_internal_linux.go#L347-L377>
//!
//! A rootless podman with the cgroupfs driver leaves the path to crun: a bare
//! id, that only the state of crun tells.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    container::{
        layout::{Named, PathComponent, prefixed_id},
        state_file::{self, Version},
    },
    model::Runtime,
};

pub(in crate::container) fn named<'a>(place: &PathComponent<'_, 'a>) -> Option<Named<'a>> {
    let id = prefixed_id(place.name, "libpod-payload-")
        .or_else(|| prefixed_id(place.name, "libpod-"))?;
    Some(Named::certain(Runtime::Podman, id))
}

/// `containers.json` of the storage library; `--rm` containers of newer
/// versions are in `volatile-containers.json` of the run root.
/// <https://github.com/containers/storage/blob/83cf57466529353aced8f1803f2302698e0b5cb7/containers.go#L39-L46>
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
}

/// What a list of containers said when it was last read.
#[derive(Debug)]
struct List {
    version: Version,
    owner: u32,
    names: HashMap<String, String>,
}

/// Names by id, from the lists of the storage library. One list holds every
/// container, so it is read again only when it changed.
#[derive(Debug, Default)]
pub(in crate::container) struct Names {
    lists: HashMap<PathBuf, List>,
}

impl Names {
    /// Name of a container, from stores (`/var/lib/containers/storage`) of whom
    /// it belongs to.
    pub(in crate::container) fn get(&mut self, stores: &[PathBuf], id: &str) -> Option<String> {
        stores
            .iter()
            .flat_map(|store| drivers(store))
            .find_map(|driver| self.find(&driver, id, |_owner| true))
    }

    /// The same for the directory of one storage driver
    /// (`…/storage/overlay-containers`) wherever it is, if the list is root's or
    /// `user`'s.
    pub(in crate::container) fn get_below(
        &mut self,
        driver: &Path,
        id: &str,
        user: u32,
    ) -> Option<String> {
        self.find(driver, id, |owner| owner == 0 || owner == user)
    }

    fn find(&mut self, driver: &Path, id: &str, is_theirs: impl Fn(u32) -> bool) -> Option<String> {
        LISTS.iter().find_map(|file| {
            let list = self.list(driver, file)?;
            let name = list.names.get(id);
            name.filter(|_| is_theirs(list.owner)).cloned()
        })
    }

    fn list(&mut self, driver: &Path, file: &str) -> Option<&List> {
        /// Stores are few; a hostile bundle path must not make us keep many.
        const MOST: usize = 64;
        let path = driver.join(file);
        let version = state_file::version(&path)?;
        if self
            .lists
            .get(&path)
            .is_none_or(|list| list.version != version)
        {
            let list = read_list(driver, file, version)?;
            if self.lists.len() >= MOST {
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
    let Ok(entries) = fs::read_dir(store) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with("-containers"))
        .map(|entry| entry.path())
        .collect()
}
