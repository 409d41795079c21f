//! An optional deadline.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

/// Resolves at the deadline, or never without one.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
