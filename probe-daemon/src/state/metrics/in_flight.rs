//! Guards of waits and connections: each counts itself until it is dropped.

use std::time::Duration;

use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};

use super::labels::ByOutcome;
use crate::api::Outcome;

/// A wait that is not over.
#[derive(Debug)]
pub struct Wait {
    in_flight: Gauge,
    waits: Family<ByOutcome, Counter>,
    duration: Histogram,
    outcome: Outcome,
}

impl Wait {
    pub(super) fn new(
        in_flight: Gauge,
        waits: Family<ByOutcome, Counter>,
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

    /// Records the verdict. Only a wait whose condition became true counts for the
    /// duration: a time-out is a choice of the client, and an `already` takes no time.
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
        self.waits.get_or_create(&self.outcome.into()).inc();
    }
}

/// A connection that is open.
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
