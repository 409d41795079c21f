//! The metrics of `GET /metrics`: counts of exits, waits, losses and clients.
//!
//! The counters are atomic, so a request that reads them delays nothing. Names and units
//! follow the conventions of Prometheus (`names.rs`). [`Scope`] selects the series that a
//! peer may see, [`Format`] the text format.

mod containers;
mod format;
mod in_flight;
mod labels;
mod names;
mod stuck;

#[cfg(test)]
mod tests;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::{containers::Containers, labels::Label, stuck::Stuck};
pub use self::{
    format::{Format, Scope},
    in_flight::{Client, Wait},
};
use probe_user::{
    model::{Exit, LossReason, Placed},
    unstable::bpf::counters::ProgramRuns,
};

type Seconds = std::sync::atomic::AtomicU64;

/// All metrics, and the registries that name them.
#[derive(Debug)]
pub struct Metrics {
    exits: Family<Label, Counter>,
    containers_exits: Containers,
    live: Gauge,
    containers: Gauge,
    waits: Family<Label, Counter>,
    waits_in_flight: Gauge,
    wait_duration: Histogram,
    lost: Family<Label, Counter>,
    reader_lost: Counter,
    scans: Family<Label, Counter>,
    clients: Gauge,
    clients_accepted: Counter,
    clients_refused: Counter,
    run_time: Family<Label<String>, Counter<f64, Seconds>>,
    runs: Family<Label<String>, Counter>,
    ring_bytes: Gauge,
    stuck: Stuck,
    /// Series for every peer.
    totals: Registry,
    /// Series that name containers.
    details: Registry,
    /// Series for every peer that have the same names in all programs.
    process: Registry,
}

impl Metrics {
    /// Counts the exit of a process, but not that of a single thread.
    pub fn exit(&self, exit: &Placed<Exit>) {
        if !exit.what.group_dead {
            return;
        }
        let kind = labels::kind(&exit.what);
        self.exits.get_or_create(&[("kind", kind)]).inc();
        if let Some(container) = &exit.container {
            self.containers_exits.exit(container, kind);
        }
    }

    /// Sets the number of live processes.
    pub(crate) fn set_live(&self, processes: usize) {
        set(&self.live, processes);
    }

    /// Sets the number of containers with a live process.
    pub(crate) fn set_containers(&self, containers: usize) {
        set(&self.containers, containers);
    }

    /// Counts a wait, which runs until the returned value is dropped.
    #[must_use]
    pub fn wait_began(&self) -> Wait {
        Wait::new(
            self.waits_in_flight.clone(),
            self.waits.clone(),
            self.wait_duration.clone(),
        )
    }

    /// Counts records that never reached the daemon.
    pub fn lost(&self, reason: LossReason, count: u64) {
        let reason = [("reason", reason.as_str())];
        self.lost.get_or_create(&reason).inc_by(count);
    }

    /// Counts records that a slow reader of a stream lost.
    pub(crate) fn reader_lost(&self, count: u64) {
        self.reader_lost.inc_by(count);
    }

    /// Counts a scan of `/proc`, at the start or after a loss of records.
    pub(crate) fn scanned(&self, after_loss: bool) {
        let cause = if after_loss { "loss" } else { "start" };
        self.scans.get_or_create(&[("cause", cause)]).inc();
    }

    /// Counts a connection, which is open until the returned value is dropped.
    #[must_use]
    pub(crate) fn client_connected(&self) -> Client {
        self.clients_accepted.inc();
        Client::new(self.clients.clone())
    }

    /// Counts a connection that was refused because all were in use.
    pub(crate) fn client_refused(&self) {
        self.clients_refused.inc();
    }

    /// Sets run counts and run times of the BPF programs since they were loaded. A program
    /// has no series before the kernel has counted a run.
    pub fn set_program_runs(&self, programs: &[ProgramRuns]) {
        for runs in programs.iter().filter(|runs| runs.count > 0) {
            let program = [("program", runs.name.clone())];
            raise(&self.runs.get_or_create(&program), runs.count);
            let run_time = self.run_time.get_or_create(&program);
            let more = runs.run_time.as_secs_f64() - run_time.get();
            run_time.inc_by(more.max(0.0));
        }
    }

    /// Searches for stuck processes, for the next scrape.
    pub(crate) fn search_stuck(&self) {
        self.stuck.search();
    }

    /// Sets the size of the stream's ring buffer.
    pub(crate) fn set_ring_bytes(&self, bytes: u32) {
        self.ring_bytes.set(bytes.into());
    }

    /// The metrics as text.
    #[must_use]
    pub fn render(&self, format: Format, scope: Scope) -> String {
        match scope {
            Scope::Everything => format.write(&[&self.totals, &self.details, &self.process]),
            Scope::Totals => format.write(&[&self.totals, &self.process]),
        }
    }
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// Raises a counter to a count of the kernel. A counter never decreases.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
