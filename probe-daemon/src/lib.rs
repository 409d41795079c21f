//! The daemon of `probe`, and its client. The daemon is a privileged process that serves
//! waits, exits and containers to the users of a machine.
//!
//! | room | what it is for |
//! |---|---|
//! | [`api`] | the wire format: HTTP bodies, queries, and the JSON lines of the command |
//! | [`client`] | the client of the daemon |
//! | `access` | processes that a peer may see, and the directories of its paths |
//! | `state` | live processes, past exits, metrics, and the mailboxes of readers |
//! | `http` | the server and its routes |
//! | [`service`] | start and stop: configuration, socket, privileges, sandbox, systemd |
//!
//! ```text
//! api ← client
//! api ← access ← state ← http ← service
//! ```
//!
//! Without the default feature `server` the package consists of `api` and `client`, and
//! needs neither axum nor the crates of the sandbox.
//!
//! # Example
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//!
//! use probe_daemon::{
//!     api::{DEFAULT_SOCKET, wait::{Request, Target}},
//!     client::{Client, ClientError, Trust},
//! };
//!
//! /// Prints the exits of a container until the container is stopped.
//! async fn watch(container: &str) -> Result<(), ClientError> {
//!     let (socket, limit) = (Path::new(DEFAULT_SOCKET), Duration::from_secs(1));
//!     let client = Client::connect(socket, &Trust::default(), limit).await?;
//!     let target = Target { container: Some(container.to_owned()), ..Target::default() };
//!     let request = Request { targets: vec![target], ..Request::default() };
//!     let mut messages = client.wait(&request).await?;
//!     while let Some(message) = messages.next().await? {
//!         println!("{message:?}");
//!     }
//!     Ok(())
//! }
//! ```

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
#[cfg_attr(
    not(feature = "unstable"),
    expect(unreachable_pub, reason = "reachable only with `unstable`")
)]
mod state;

/// Items for the tests of this project, outside semver: any release may change them.
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
