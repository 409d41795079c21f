//! What a session tells besides its verdict, and how.

use probe_user::{
    model::Filter,
    unstable::{cgroup::mounts::Mount, container::Resolver},
};

use crate::output::{Out, Stdout, human::Columns};

/// What is told of those that end meanwhile, and how.
#[derive(Debug)]
pub struct Telling {
    /// Which exits.
    pub wanted: Filter,
    /// Columns; `None` for JSON.
    pub columns: Option<Columns>,
    /// Where the cgroups are.
    pub mounts: Vec<Mount>,
    /// Names their containers.
    pub resolver: Resolver,
    /// stdout.
    pub out: Out<Stdout>,
}
