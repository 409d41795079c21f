//! One file per runtime family: how it names its cgroups, what it leaves on
//! disk.

pub(super) mod bundle;
pub(super) mod containerd;
pub(super) mod crio;
pub(super) mod docker;
pub(super) mod kubernetes;
pub(super) mod lxc;
pub(super) mod nspawn;
pub(super) mod oci;
pub(super) mod podman;
