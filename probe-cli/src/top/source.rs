//! The source of events: records of exits, and counts of live processes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use probe_daemon::client::{self, ClientError};
use probe_user::{
    model::{Cgroup, CgroupId, Container, Record},
    unstable::{
        clock::WallClock,
        container::Resolver,
        proc::scan::{self, Found},
        trace::{ExitStream, StreamError},
    },
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{Death, Event, Live, Place};
use crate::output::Backend;

/// How often live processes are counted.
const CENSUS_EVERY: Duration = Duration::from_secs(2);

/// Where the records of exits come from.
pub(crate) enum RecordSource {
    /// A daemon; the containers of live processes are found by ourselves.
    Daemon(Box<client::Records>, Box<Resolver>),
    /// BPF programs of our own.
    Here(Box<ExitStream>),
}

/// Why there are no more events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The stream of the daemon ended. Our own programs may replace it.
    #[error("the daemon tells no more")]
    Daemon(#[source] ClientError),
    /// Our own programs failed.
    #[error(transparent)]
    Here(#[from] StreamError),
}

impl RecordSource {
    /// The word on the screen.
    const fn backend(&self) -> &'static str {
        match self {
            Self::Daemon(..) => Backend::Daemon.as_str(),
            Self::Here(_) => Backend::Bpf.as_str(),
        }
    }

    /// The next records. The future may be dropped and asked for again: none is lost.
    async fn next(&mut self) -> Result<Vec<Record>, SourceError> {
        match self {
            Self::Daemon(records, _) => match records.next().await {
                Ok(Some(record)) => Ok(vec![record]),
                Ok(None) => Err(SourceError::Daemon(ClientError::Gone)),
                Err(error) => Err(SourceError::Daemon(error)),
            },
            Self::Here(records) => match records.next_batch().await {
                Some(records) => Ok(records?),
                None => Ok(Vec::new()),
            },
        }
    }

    fn container_of(&mut self, cgroup: &Cgroup) -> Option<Arc<Container>> {
        match self {
            Self::Daemon(_, resolver) => resolver.container_of(cgroup.path.as_deref()?),
            Self::Here(records) => records.container_of(cgroup),
        }
    }
}

/// The event for the screen that a record leads to.
fn event(record: &Record, clock: &WallClock, zone: &TimeZone) -> Option<Event> {
    match record {
        Record::Exit(exit) if exit.what.group_dead => {
            Some(Event::Death(Box::new(Death::new(exit, clock, zone))))
        }
        Record::Exit(_) | Record::Start(_) => None,
        &Record::Lost { count, reason } => Some(Event::Lost { count, reason }),
    }
}

/// Records for the exits, `/proc` for the processes that live.
pub(crate) struct Source {
    records: RecordSource,
    clock: WallClock,
    zone: TimeZone,
    due: Interval,
    census: Option<JoinHandle<Census>>,
}

impl Source {
    /// Counts live processes at once.
    #[must_use]
    pub(crate) fn new(records: RecordSource) -> Self {
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

    /// The word for the source on the screen.
    #[must_use]
    pub(crate) const fn backend(&self) -> &'static str {
        self.records.backend()
    }

    /// The next events. The future may be dropped and asked for again: none is lost.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, SourceError> {
        loop {
            tokio::select! {
                records = self.records.next() => {
                    self.clock.sync();
                    let records = records?;
                    let events = records
                        .iter()
                        .filter_map(|record| event(record, &self.clock, &self.zone));
                    return Ok(events.collect());
                }
                census = taken(&mut self.census) => {
                    self.census = None;
                    return Ok(vec![Event::Live(self.place(census))]);
                }
                _ = self.due.tick(), if self.census.is_none() => {
                    self.census = Some(spawn_blocking(Census::take));
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
            // The resolver looks at its path only.
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

/// How many processes live where.
#[derive(Debug, Default)]
struct Census {
    processes: u64,
    /// By the path of the cgroup that a record of their exit would name.
    by_cgroup: HashMap<String, u64>,
}

impl Census {
    /// A process that begins or ends meanwhile may or may not be counted.
    fn take() -> Self {
        let mut census = Self::default();
        let found = scan::scan(false).into_iter().flatten();
        for Found { place, .. } in found.filter(|found| !found.process.state.has_begun_exit()) {
            census.processes += 1;
            let path = place.map_or_else(|| "/".to_owned(), |place| place.path);
            *census.by_cgroup.entry(path).or_default() += 1;
        }
        census
    }
}

/// Resolves when the census is taken; never, if none is being taken.
async fn taken(census: &mut Option<JoinHandle<Census>>) -> Census {
    match census {
        None => std::future::pending().await,
        // The task does not panic, and only the end of the runtime cancels it.
        Some(census) => census.await.unwrap_or_default(),
    }
}
