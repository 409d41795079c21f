//! Recognizes containers of CRI-O.
//!
//! `crio-ID.scope` in the slice of the pod (systemd driver) or `crio-ID` in its
//! cgroup (cgroupfs). `crio-conmon-ID` holds the monitor.
//! <https://github.com/cri-o/cri-o/blob/f954a17e505f8931e91004403b5f5eac71ab6085/internal/config/cgmgr/cgmgr_linux.go#L257-L259>

use std::path::PathBuf;

use super::{
    bundle::{self, Described},
    podman::drivers,
};
use crate::{
    container::layout::{PathComponent, Recognized, prefixed_id},
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let id = prefixed_id(component.name, "crio-")?;
    Some(Recognized::certain(Runtime::CriO, id))
}

/// The description in the bundle in one of the stores.
pub(in crate::container) fn describe(stores: &[PathBuf], id: &str) -> Option<Described> {
    stores
        .iter()
        .flat_map(|store| drivers(store))
        .find_map(|driver| bundle::describe(&driver.join(id).join("userdata")))
}
