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

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::{
    containers::Containers,
    labels::{ByKind, ByOutcome, ByReason, Kind, Program, ScanCause, ScanLabels},
};
pub use self::{
    format::{Format, Scope},
    in_flight::{Client, Wait},
};
use probe_user::{
    model::{Exit, LossReason, Placed},
    unstable::bpf::counters::ProgramRuns,
};

/// Upper bounds of the buckets for the duration of a wait, in seconds: from an immediate
/// notification of `cgroup.events` to a slow shutdown.
const WAIT_BUCKETS: [f64; 20] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

type Seconds = std::sync::atomic::AtomicU64;

/// All metrics, and the registries that name them.
#[derive(Debug)]
pub struct Metrics {
    exits: Family<ByKind, Counter>,
    containers_exits: Containers,
    live: Gauge,
    containers: Gauge,
    waits: Family<ByOutcome, Counter>,
    waits_in_flight: Gauge,
    wait_duration: Histogram,
    lost: Family<ByReason, Counter>,
    reader_lost: Counter,
    scans: Family<ScanLabels, Counter>,
    clients: Gauge,
    clients_accepted: Counter,
    clients_refused: Counter,
    run_time: Family<Program, Counter<f64, Seconds>>,
    runs: Family<Program, Counter>,
    ring_bytes: Gauge,
    /// Series for every peer.
    totals: Registry,
    /// Series that name containers.
    details: Registry,
    /// Series for every peer that have the same names in all programs.
    process: Registry,
}

impl Metrics {
    /// All metrics at zero. `started` is the start of the daemon.
    #[must_use]
    pub fn new(started: SystemTime) -> Self {
        let mut metrics = Self {
            exits: Family::default(),
            containers_exits: Containers::default(),
            live: Gauge::default(),
            containers: Gauge::default(),
            waits: Family::default(),
            waits_in_flight: Gauge::default(),
            wait_duration: Histogram::new(WAIT_BUCKETS),
            lost: Family::default(),
            reader_lost: Counter::default(),
            scans: Family::default(),
            clients: Gauge::default(),
            clients_accepted: Counter::default(),
            clients_refused: Counter::default(),
            run_time: Family::default(),
            runs: Family::default(),
            ring_bytes: Gauge::default(),
            totals: Registry::with_prefix("probe"),
            details: Registry::with_prefix("probe"),
            process: Registry::with_prefix("process"),
        };
        metrics.begin_at_zero();
        metrics.register(started);
        metrics
    }

    /// Counts the exit of a process, but not that of a single thread.
    pub fn exit(&self, exit: &Placed<Exit>) {
        if !exit.what.group_dead {
            return;
        }
        let kind = Kind::of(&exit.what);
        self.exits.get_or_create(&ByKind { kind }).inc();
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
        self.lost.get_or_create(&reason.into()).inc_by(count);
    }

    /// Counts records that a slow reader of a stream lost.
    pub(crate) fn reader_lost(&self, count: u64) {
        self.reader_lost.inc_by(count);
    }

    /// Counts the scan of `/proc` at the start.
    pub(crate) fn first_scan(&self) {
        let cause = ScanCause::Start;
        self.scans.get_or_create(&ScanLabels { cause }).inc();
    }

    /// Counts a scan of `/proc` after a loss of records.
    pub(crate) fn resync(&self) {
        let cause = ScanCause::Loss;
        self.scans.get_or_create(&ScanLabels { cause }).inc();
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
            let program = Program {
                program: runs.name.clone(),
            };
            raise(&self.runs.get_or_create(&program), runs.count);
            let run_time = self.run_time.get_or_create(&program);
            let more = runs.run_time.as_secs_f64() - run_time.get();
            run_time.inc_by(more.max(0.0));
        }
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
