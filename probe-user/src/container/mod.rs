//! Placeholder until the real module lands.
use std::{path::PathBuf, sync::Arc};
/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// r
    pub runtime: Runtime,
    /// i
    pub id: String,
    /// n
    pub name: Option<String>,
    /// p
    pub pod_uid: Option<String>,
}
/// r
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// d
    Docker,
}
impl Runtime {
    /// w
    pub const fn as_str(self) -> &'static str {
        "docker"
    }
}
/// r
#[derive(Debug)]
pub struct Resolver;
/// s
#[derive(Debug)]
pub struct StateRoots;
impl StateRoots {
    /// s
    pub fn system(_x: Option<PathBuf>, _e: Vec<PathBuf>) -> Self {
        Self
    }
}
impl Resolver {
    /// n
    pub fn new(_r: StateRoots) -> Self {
        Self
    }
    /// c
    pub fn container_of(&mut self, _p: &str) -> Option<Arc<Container>> {
        None
    }
}
/// f
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// u
    #[error("unknown container")]
    Unknown {
        /// w
        wanted: String,
    },
    /// a
    #[error("ambiguous")]
    Ambiguous,
}
/// F
#[derive(Debug)]
pub struct Found {
    /// c
    pub cgroups: Vec<(u32, String)>,
}
impl Resolver {
    /// f
    pub fn find(&mut self, w: &str, _c: &[(u32, String)]) -> Result<Found, FindError> {
        Err(FindError::Unknown { wanted: w.into() })
    }
}
