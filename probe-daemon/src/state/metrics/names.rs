//! Name and help text of each metric. The registry adds `_total` and the unit to the names.

use std::time::SystemTime;

use probe_user::model::LossReason;
use prometheus_client::{
    metrics::{gauge::Gauge, info::Info},
    registry::Unit,
};

use super::{
    Metrics, Seconds,
    labels::{Build, ByKind, Kind, ScanCause, ScanLabels},
};
use crate::api::{self, Outcome};

impl Metrics {
    pub(super) fn register(&mut self, started: SystemTime) {
        self.register_processes();
        self.register_waits();
        self.register_loss();
        self.register_clients();
        self.register_bpf();
        self.register_daemon(started);
    }

    /// Creates series at zero. Prometheus sees no increase in a series that appears with its
    /// first event, and would miss, for example, the first out-of-memory kill.
    pub(super) fn begin_at_zero(&self) {
        for kind in Kind::ALL {
            drop(self.exits.get_or_create(&ByKind { kind }));
        }
        for outcome in [
            Outcome::Done,
            Outcome::Already,
            Outcome::Timeout,
            Outcome::Interrupted,
        ] {
            drop(self.waits.get_or_create(&outcome.into()));
        }
        for reason in [LossReason::RingFull, LossReason::Skipped] {
            drop(self.lost.get_or_create(&reason.into()));
        }
        for cause in [ScanCause::Start, ScanCause::Loss] {
            drop(self.scans.get_or_create(&ScanLabels { cause }));
        }
    }

    fn register_processes(&mut self) {
        self.totals.register(
            "exits",
            "Processes that exited since the daemon started, by kind of exit",
            self.exits.clone(),
        );
        self.totals
            .register("live_processes", "Live processes", self.live.clone());
        self.totals.register(
            "containers",
            "Containers with at least one live process",
            self.containers.clone(),
        );
        self.details.register(
            "container_exits",
            "Processes of a container that exited since the daemon started, by kind of exit; \
             only for the containers with the latest exits",
            self.containers_exits.exits.clone(),
        );
    }

    fn register_waits(&mut self) {
        self.totals
            .register("waits", "Finished waits, by outcome", self.waits.clone());
        self.totals.register(
            "waits_in_flight",
            "Running waits",
            self.waits_in_flight.clone(),
        );
        self.totals.register_with_unit(
            "wait_duration",
            "Time from the request to the verdict, of waits with the outcome done",
            Unit::Seconds,
            self.wait_duration.clone(),
        );
    }

    fn register_loss(&mut self) {
        self.totals.register(
            "records_lost",
            "Exits and starts that never reached the daemon, by reason",
            self.lost.clone(),
        );
        self.totals.register(
            "reader_records_lost",
            "Records that slow readers of a stream lost",
            self.reader_lost.clone(),
        );
        self.totals.register(
            "proc_scans",
            "Scans of /proc for live processes, by cause",
            self.scans.clone(),
        );
    }

    fn register_clients(&mut self) {
        self.totals.register(
            "clients_connected",
            "Open connections",
            self.clients.clone(),
        );
        self.totals.register(
            "clients_accepted",
            "Accepted connections",
            self.clients_accepted.clone(),
        );
        self.totals.register(
            "clients_refused",
            "Connections that were refused because all were in use",
            self.clients_refused.clone(),
        );
    }

    fn register_bpf(&mut self) {
        self.totals.register_with_unit(
            "bpf_run_time",
            "Run time of BPF programs; counted only while kernel.bpf_stats_enabled is 1",
            Unit::Seconds,
            self.run_time.clone(),
        );
        self.totals.register(
            "bpf_runs",
            "Runs of BPF programs; counted only while kernel.bpf_stats_enabled is 1",
            self.runs.clone(),
        );
        self.totals.register_with_unit(
            "ring_buffer",
            "Size of the ring buffer for records",
            Unit::Bytes,
            self.ring_bytes.clone(),
        );
    }

    fn register_daemon(&mut self, started: SystemTime) {
        self.totals.register(
            "build",
            "Versions of the daemon, its API and the schema of its records",
            Info::new(Build::this(api::VERSION)),
        );
        let start_time = Gauge::<f64, Seconds>::default();
        let since_epoch = started
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        start_time.set(since_epoch.as_secs_f64());
        self.process.register_with_unit(
            "start_time",
            "Start of the process since the Unix epoch",
            Unit::Seconds,
            start_time,
        );
    }
}
