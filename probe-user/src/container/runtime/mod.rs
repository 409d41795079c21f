//! One file for each runtime: the names of its cgroups, and its state on disk.

pub(super) mod bundle;
pub(super) mod containerd;
pub(super) mod crio;
pub(super) mod docker;
pub(super) mod ecs;
pub(super) mod garden;
pub(super) mod kubernetes;
pub(super) mod lxc;
pub(super) mod nomad;
pub(super) mod nspawn;
pub(super) mod oci;
pub(super) mod podman;
pub(super) mod slurm;
