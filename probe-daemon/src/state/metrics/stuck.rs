//! The gauge of stuck processes, which a search of `/proc` sets.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use probe_user::unstable::diagnosis::{self, Cause, Observer};
use prometheus_client::metrics::{family::Family, gauge::Gauge};

use super::labels::Label;

/// Processes that are stuck, by the code of their reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Stuck {
    pub(super) processes: Family<Label, Gauge>,
    is_searching: Arc<AtomicBool>,
}

impl Stuck {
    /// Creates a series for each reason.
    pub(super) fn begin_at_zero(&self) {
        for code in Cause::CODES {
            drop(self.processes.get_or_create(&[("reason", code)]));
        }
    }

    /// Searches on a thread, unless a search is running: it takes 100 ms, and longer on a machine
    /// with many processes. A scrape shows what the search after the previous scrape has found.
    pub(super) fn search(&self) {
        if self.is_searching.swap(true, Ordering::AcqRel) {
            return;
        }
        let stuck = self.clone();
        let search = move || {
            if let Err(error) = stuck.set() {
                tracing::debug!(%error, "cannot search for stuck processes");
            }
            stuck.is_searching.store(false, Ordering::Release);
        };
        if let Err(error) = thread::Builder::new().name("stuck".into()).spawn(search) {
            tracing::warn!(%error, "cannot start a thread for the search of stuck processes");
            self.is_searching.store(false, Ordering::Release);
        }
    }

    fn set(&self) -> io::Result<()> {
        let mut counts: HashMap<&str, i64> = HashMap::new();
        for survivor in diagnosis::describe(&diagnosis::stuck()?, &Observer::new()) {
            if let Some(reason) = survivor.reason {
                *counts.entry(reason.cause.code()).or_default() += 1;
            }
        }
        for code in Cause::CODES {
            let count = counts.get(code).copied().unwrap_or_default();
            self.processes.get_or_create(&[("reason", code)]).set(count);
        }
        Ok(())
    }
}
