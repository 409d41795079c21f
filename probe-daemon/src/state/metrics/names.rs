//! Name and help text of each metric. The registry adds `_total` and the unit to the names.

use std::time::SystemTime;

use probe_user::model::LossReason;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry, Unit},
};

use super::{Metrics, Seconds, containers::Containers, labels::KINDS, stuck::Stuck};
use crate::api::{self, Outcome, json::SCHEMA};

/// Upper bounds of the buckets for the duration of a wait, in seconds: from an immediate
/// notification of `cgroup.events` to a slow shutdown.
const WAIT_BUCKETS: [f64; 20] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

impl Metrics {
    /// All metrics at zero. `started` is the start of the daemon.
    #[must_use]
    pub fn new(started: SystemTime) -> Self {
        let mut totals = Registry::with_prefix("probe");
        let mut details = Registry::with_prefix("probe");
        let containers_exits = Containers::default();
        details.register(
            "container_exits",
            "Processes of a container that exited since the daemon started, by kind of exit; \
             only for the containers with the latest exits",
            containers_exits.exits.clone(),
        );
        let mut metrics = Self {
            exits: register(
                &mut totals,
                "exits",
                "Processes that exited since the daemon started, by kind of exit",
            ),
            containers_exits,
            live: register(&mut totals, "live_processes", "Live processes"),
            containers: register(
                &mut totals,
                "containers",
                "Containers with at least one live process",
            ),
            waits: register(&mut totals, "waits", "Finished waits, by outcome"),
            waits_in_flight: register(&mut totals, "waits_in_flight", "Running waits"),
            wait_duration: register_with_unit(
                &mut totals,
                "wait_duration",
                "Time from the request to the verdict, of waits with the outcome done",
                Unit::Seconds,
                Histogram::new(WAIT_BUCKETS),
            ),
            lost: register(
                &mut totals,
                "records_lost",
                "Exits and starts that never reached the daemon, by reason",
            ),
            reader_lost: register(
                &mut totals,
                "reader_records_lost",
                "Records that slow readers of a stream lost",
            ),
            scans: register(
                &mut totals,
                "proc_scans",
                "Scans of /proc for live processes, by cause",
            ),
            clients: register(&mut totals, "clients_connected", "Open connections"),
            clients_accepted: register(&mut totals, "clients_accepted", "Accepted connections"),
            clients_refused: register(
                &mut totals,
                "clients_refused",
                "Connections that were refused because all were in use",
            ),
            run_time: register_with_unit(
                &mut totals,
                "bpf_run_time",
                "Run time of BPF programs; counted only while kernel.bpf_stats_enabled is 1",
                Unit::Seconds,
                Family::default(),
            ),
            runs: register(
                &mut totals,
                "bpf_runs",
                "Runs of BPF programs; counted only while kernel.bpf_stats_enabled is 1",
            ),
            ring_bytes: register_with_unit(
                &mut totals,
                "ring_buffer",
                "Size of the ring buffer for records",
                Unit::Bytes,
                Gauge::default(),
            ),
            stuck: Stuck::default(),
            totals,
            details,
            process: process_metrics(started),
        };
        let versions = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("api", api::VERSION.to_string()),
            ("schema", SCHEMA.to_string()),
        ];
        metrics.totals.register(
            "build",
            "Versions of the daemon, its API and the schema of its records",
            Info::new(versions),
        );
        metrics.totals.register(
            "stuck_processes",
            "Processes that were killed or have exited and are not gone, and processes in an \
             uninterruptible sleep of 10 seconds, by reason, as the previous scrape began to count",
            metrics.stuck.processes.clone(),
        );
        metrics.begin_at_zero();
        metrics
    }

    /// Creates series at zero. Prometheus sees no increase in a series that appears with its
    /// first event, and would miss, for example, the first out-of-memory kill.
    fn begin_at_zero(&self) {
        self.stuck.begin_at_zero();
        for kind in KINDS {
            drop(self.exits.get_or_create(&[("kind", kind)]));
        }
        for outcome in Outcome::ALL {
            drop(self.waits.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for reason in [LossReason::RingFull, LossReason::Skipped] {
            drop(self.lost.get_or_create(&[("reason", reason.as_str())]));
        }
        for cause in ["start", "loss"] {
            drop(self.scans.get_or_create(&[("cause", cause)]));
        }
    }
}

fn process_metrics(started: SystemTime) -> Registry {
    let mut registry = Registry::with_prefix("process");
    let start_time = Gauge::<f64, Seconds>::default();
    let since_epoch = started.duration_since(SystemTime::UNIX_EPOCH);
    start_time.set(since_epoch.unwrap_or_default().as_secs_f64());
    registry.register_with_unit(
        "start_time",
        "Start of the process since the Unix epoch",
        Unit::Seconds,
        start_time,
    );
    registry
}

fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn register_with_unit<M: Metric + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Unit,
    metric: M,
) -> M {
    registry.register_with_unit(name, help, unit, metric.clone());
    metric
}
