//! What a session tells besides its verdict, and how.

use crate::{
    container::Resolver,
    filter::Wanted,
    output::{Out, Stdout, human::Columns},
    source::cgroupfs::Mount,
};

/// What is told of those that end meanwhile, and how.
#[derive(Debug)]
pub struct Telling {
    /// Which exits.
    pub wanted: Wanted,
    /// Columns; `None` for JSON.
    pub columns: Option<Columns>,
    /// Where the cgroups are.
    pub mounts: Vec<Mount>,
    /// Names their containers.
    pub resolver: Resolver,
    /// stdout.
    pub out: Out<Stdout>,
}
