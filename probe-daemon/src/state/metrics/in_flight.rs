//! Guards of waits and connections, which are counted until they are dropped.

use std::time::Duration;

use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};

use super::labels::Label;
use crate::api::Outcome;

/// A running wait. If it is dropped without a verdict, it counts as interrupted.
#[derive(Debug)]
pub struct Wait {
    in_flight: Gauge,
    waits: Family<Label, Counter>,
    duration: Histogram,
    outcome: Outcome,
}

impl Wait {
    pub(super) fn new(
        in_flight: Gauge,
        waits: Family<Label, Counter>,
        duration: Histogram,
    ) -> Self {
        in_flight.inc();
        Self {
            in_flight,
            waits,
            duration,
            outcome: Outcome::Interrupted,
        }
    }

    /// Counts the verdict. The duration is observed only for the outcome `done`: a timeout
    /// is chosen by the client, and `already` takes no time.
    pub fn ended(mut self, outcome: Outcome, duration: Duration) {
        self.outcome = outcome;
        if outcome == Outcome::Done {
            self.duration.observe(duration.as_secs_f64());
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.in_flight.dec();
        let outcome = [("outcome", self.outcome.as_str())];
        self.waits.get_or_create(&outcome).inc();
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Client {
    connected: Gauge,
}

impl Client {
    pub(super) fn new(connected: Gauge) -> Self {
        connected.inc();
        Self { connected }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connected.dec();
    }
}
