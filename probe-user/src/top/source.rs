//! Where the events come from.

use std::{collections::HashMap, time::Duration};

use jiff::tz::TimeZone;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{Death, Event, Live, Place};
use crate::{
    cgroup::{Cgroup, CgroupId},
    pipeline::{records::Records, trace::TraceError},
    record::Record,
    source::{
        census::{self, Census},
        clock::WallClock,
    },
};

/// How often the living are counted.
const CENSUS_EVERY: Duration = Duration::from_secs(2);

/// Where the events come from: one variant for each backend that can tell them.
pub enum Source {
    /// BPF programs of our own.
    Here(Box<Here>),
}

impl Source {
    /// The word on the screen.
    #[must_use]
    pub const fn backend(&self) -> &'static str {
        match self {
            Self::Here(_) => "bpf",
        }
    }

    /// What comes next. May be dropped and asked for again: nothing is lost.
    pub async fn next(&mut self) -> Result<Vec<Event>, TraceError> {
        match self {
            Self::Here(here) => here.next().await,
        }
    }
}

/// What a record means to the screen.
pub(super) fn event(record: &Record, clock: &WallClock, zone: &TimeZone) -> Option<Event> {
    match record {
        Record::Exit(exit) if exit.what.group_dead => {
            Some(Event::Death(Box::new(Death::new(exit, clock, zone))))
        }
        Record::Exit(_) | Record::Start(_) => None,
        &Record::Lost { count, reason } => Some(Event::Lost { count, reason }),
    }
}

/// BPF programs of our own for the deaths, `/proc` for the living.
pub struct Here {
    records: Records,
    clock: WallClock,
    zone: TimeZone,
    due: Interval,
    census: Option<JoinHandle<Census>>,
}

impl Here {
    /// Counts the living at once.
    #[must_use]
    pub fn new(records: Records) -> Self {
        let mut due = interval(CENSUS_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            records,
            clock: WallClock::now(),
            zone: TimeZone::system(),
            due,
            census: None,
        }
    }

    async fn next(&mut self) -> Result<Vec<Event>, TraceError> {
        loop {
            tokio::select! {
                records = self.records.next() => {
                    self.clock.sync();
                    let events = records?;
                    let events = events.iter();
                    return Ok(events
                        .filter_map(|record| event(record, &self.clock, &self.zone))
                        .collect());
                }
                census = taken(&mut self.census) => {
                    self.census = None;
                    return Ok(vec![Event::Live(self.place(census))]);
                }
                _ = self.due.tick(), if self.census.is_none() => {
                    self.census = Some(spawn_blocking(census::take));
                }
            }
        }
    }

    fn place(&mut self, census: Census) -> Live {
        let mut live = Live {
            processes: census.processes,
            places: Vec::new(),
        };
        let mut of = HashMap::<Place, u64>::new();
        for (path, processes) in census.by_cgroup {
            // Only its path is asked for.
            let cgroup = Cgroup {
                id: CgroupId {
                    hierarchy: 0,
                    id: 0,
                },
                path: Some(path.as_str().into()),
            };
            let container = self.records.container_of(&cgroup);
            let place = container.map_or_else(
                || Place::cgroup(&path),
                |container| Place::container(&container),
            );
            *of.entry(place).or_default() += processes;
        }
        live.places.extend(of);
        live
    }
}

/// The census that is being taken; for ever, if there is none.
async fn taken(census: &mut Option<JoinHandle<Census>>) -> Census {
    match census {
        None => std::future::pending().await,
        // It does not panic, and nobody cancels it but the end of the runtime.
        Some(census) => census.await.unwrap_or_default(),
    }
}
