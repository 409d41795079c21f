//! What `GET /metrics` tells: counts of what the daemon saw and did.
//!
//! The counters are changed as things happen and read when somebody asks, so a
//! reader never holds anybody up. Names and units follow Prometheus'
//! conventions (`names.rs`); who may see what is [`Scope`], how it is written
//! [`Format`].

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

/// Upper bounds of the buckets for how long a wait took, in seconds: from what a
/// flip of `cgroup.events` takes to what a slow shutdown does.
const WAIT_BUCKETS: [f64; 20] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

type Seconds = std::sync::atomic::AtomicU64;

/// See the module.
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
    /// For everybody.
    totals: Registry,
    /// What names containers.
    details: Registry,
    /// For everybody, by the names that every program has them.
    process: Registry,
}

impl Metrics {
    /// All at zero. `started` is when the process did.
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

    /// A process ended. Exits of single threads are none.
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

    /// How many processes have not exited.
    pub fn set_live(&self, processes: usize) {
        set(&self.live, processes);
    }

    /// How many containers have a live process.
    pub fn set_containers(&self, containers: usize) {
        set(&self.containers, containers);
    }

    /// A wait begins. One that is dropped without a verdict was interrupted.
    #[must_use]
    pub fn wait_began(&self) -> Wait {
        Wait::new(
            self.waits_in_flight.clone(),
            self.waits.clone(),
            self.wait_duration.clone(),
        )
    }

    /// Records never reached the daemon.
    pub fn lost(&self, reason: LossReason, count: u64) {
        self.lost.get_or_create(&reason.into()).inc_by(count);
    }

    /// A reader of a stream was told that it lost this many.
    pub fn reader_lost(&self, count: u64) {
        self.reader_lost.inc_by(count);
    }

    /// `/proc` was scanned at the start.
    pub fn first_scan(&self) {
        let cause = ScanCause::Start;
        self.scans.get_or_create(&ScanLabels { cause }).inc();
    }

    /// `/proc` was scanned because records were lost.
    pub fn resync(&self) {
        let cause = ScanCause::Loss;
        self.scans.get_or_create(&ScanLabels { cause }).inc();
    }

    /// A client connects; it is there until what this returns is dropped.
    #[must_use]
    pub fn client_connected(&self) -> Client {
        self.clients_accepted.inc();
        Client::new(self.clients.clone())
    }

    /// A client was one too many.
    pub fn client_refused(&self) {
        self.clients_refused.inc();
    }

    /// What the kernel counted of the BPF programs since they were loaded.
    /// Nothing appears as long as it counted nothing.
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

    /// Size of the stream's ring.
    pub fn set_ring_bytes(&self, bytes: u32) {
        self.ring_bytes.set(bytes.into());
    }

    /// The text that answers a request.
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

/// The kernel counts for us; a counter never goes down.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
