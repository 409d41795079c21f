//! The privileged daemon of `probe`: its wire format, its client, its server.

#[cfg(feature = "server")]
mod access;
pub mod api;
pub mod client;
#[cfg(all(feature = "server", feature = "unstable"))]
mod fuzzing;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "server")]
mod state;

/// What the tests of this project use beyond the public interface. Outside
/// semver: any release may change it.
#[cfg(all(feature = "server", feature = "unstable"))]
pub mod unstable {
    /// Parsers for the fuzz targets.
    pub mod fuzzing {
        pub use crate::fuzzing::*;
    }
    /// Live processes, past exits and metrics.
    pub mod state {
        pub use crate::state::{history, metrics, table};
    }
}
