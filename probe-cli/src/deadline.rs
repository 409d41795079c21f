//! A deadline that need not exist.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

/// Resolves at the deadline; never, if there is none.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
