//! runc.

use probe_tests::engine::{Oci, Pids, Place, View, attempt};

use crate::cell::{Started, require, version};

cells!("runc", |place, pids| start("runc", place, pids));

/// runc or crun.
pub(crate) fn start(program: &'static str, place: &Place, pids: Pids) -> Started<Oci> {
    require(place, &format!("/usr/bin/{program}"))?;
    let version = version(&attempt(place.command(program).arg("--version"))?);
    Ok((Oci::new(program, pids, place.clone()), version))
}
