//! The source of events: records of exits, and counts of live processes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use probe_daemon::client::{self, ClientError};
use probe_user::{
    model::{Cgroup, CgroupId, Container, Filter, Record},
    unstable::{
        clock::WallClock,
        container::Resolver,
        proc::scan,
        trace::{ExitStream, StreamError},
    },
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{Event, ExitRow, Live, Place, ProcessRow};
use crate::output::{Backend, human::LocalTime};

/// Least time between two counts of live processes, which read all of `/proc`.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// The source of the records of exits.
pub(crate) enum RecordSource {
    /// A daemon, and a resolver for the containers of live processes.
    Daemon {
        records: Box<client::Records>,
        resolver: Box<Resolver>,
        /// Whether the stream also has records of other targets.
        tests_targets: bool,
    },
    /// BPF programs of this command.
    Here(Box<ExitStream>),
}

/// Why the events ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The stream of the daemon ended. BPF programs of this command may replace it.
    #[error("the stream of the daemon ended")]
    Daemon(#[source] ClientError),
    /// The stream of the BPF programs failed.
    #[error(transparent)]
    Here(#[from] StreamError),
}

impl RecordSource {
    /// The name on the screen.
    const fn backend(&self) -> &'static str {
        match self {
            Self::Daemon { .. } => Backend::Daemon.as_str(),
            Self::Here(_) => Backend::Bpf.as_str(),
        }
    }

    const fn tests_targets(&self) -> bool {
        matches!(
            self,
            Self::Daemon {
                tests_targets: true,
                ..
            }
        )
    }

    /// Returns the next records. Cancel-safe: no record is lost.
    async fn next(&mut self) -> Result<Vec<Record>, SourceError> {
        match self {
            Self::Daemon { records, .. } => match records.next().await {
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
            Self::Daemon { resolver, .. } => resolver.container_of(cgroup.path.as_deref()?),
            Self::Here(records) => records.container_of(cgroup),
        }
    }
}

/// Converts a record into an event of the screen.
fn event(record: &Record, clock: &WallClock, time: &LocalTime) -> Option<Event> {
    match record {
        Record::Exit(exit) if exit.what.group_dead => {
            Some(Event::Exit(Box::new(ExitRow::new(exit, clock, time))))
        }
        Record::Exit(_) | Record::Start(_) => None,
        &Record::Lost { count, reason } => Some(Event::Lost { count, reason }),
    }
}

/// Exits from records, and live processes from `/proc`.
pub(crate) struct Source {
    records: RecordSource,
    /// The targets, and the conditions that the source has not tested.
    wanted: Arc<Filter>,
    clock: WallClock,
    time: LocalTime,
    due: Interval,
    counting: Option<JoinHandle<LiveCounts>>,
}

impl Source {
    /// Creates a source that counts live processes at once, and then `every` so often.
    #[must_use]
    pub(crate) fn new(records: RecordSource, wanted: Filter, every: Duration) -> Self {
        let mut due = interval(every.max(COUNT_EVERY));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            records,
            wanted: Arc::new(wanted),
            clock: WallClock::now(),
            time: LocalTime::system(),
            due,
            counting: None,
        }
    }

    /// The name of the source on the screen.
    #[must_use]
    pub(crate) const fn backend(&self) -> &'static str {
        self.records.backend()
    }

    /// Returns the next events. Cancel-safe: no event is lost.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, SourceError> {
        loop {
            tokio::select! {
                records = self.records.next() => {
                    self.clock.sync();
                    let records = records?;
                    let tests = self.records.tests_targets();
                    let events = records
                        .iter()
                        .filter(|it| !tests || self.wanted.admits_everywhere(it))
                        .filter_map(|record| event(record, &self.clock, &self.time));
                    return Ok(events.collect());
                }
                counts = counted(&mut self.counting) => {
                    self.counting = None;
                    return Ok(vec![Event::Live(self.place(counts))]);
                }
                _ = self.due.tick(), if self.counting.is_none() => {
                    self.counting = Some(spawn_blocking({
                        let wanted = Arc::clone(&self.wanted);
                        move || LiveCounts::take(&wanted)
                    }));
                }
            }
        }
    }

    fn place(&mut self, counts: LiveCounts) -> Live {
        let mut live = Live {
            processes: counts.processes,
            places: Vec::new(),
        };
        let mut of = HashMap::<Place, Vec<ProcessRow>>::new();
        for (paths, processes) in counts.by_cgroups {
            let container = paths.iter().find_map(|path| self.container_of(path));
            let place = container.map_or_else(
                || Place::cgroup(paths.first().map_or("/", String::as_str)),
                |container| Place::container(&container),
            );
            of.entry(place).or_default().extend(processes);
        }
        live.places.extend(of);
        live
    }

    fn container_of(&mut self, path: &str) -> Option<Arc<Container>> {
        // The resolver uses the path only.
        let id = CgroupId {
            hierarchy: 0,
            id: 0,
        };
        let path = Some(path.into());
        self.records.container_of(&Cgroup { id, path })
    }
}

/// Counts of live processes by cgroup.
#[derive(Debug, Default)]
struct LiveCounts {
    processes: u64,
    /// The keys are the paths of the cgroups of a process, in the order in which they decide on
    /// its container.
    by_cgroups: HashMap<Vec<String>, Vec<ProcessRow>>,
}

impl LiveCounts {
    /// Counts the live processes in the targets. One that starts or exits meanwhile may be counted
    /// or not.
    fn take(wanted: &Filter) -> Self {
        let mut counts = Self::default();
        let found = scan::scan(false)
            .into_iter()
            .flatten()
            .map_while(Result::ok);
        for found in found.filter(|found| !found.process.state.has_exited()) {
            let places = found.places().map(|it| (it.hierarchy, it.path.as_str()));
            if !wanted.is_in_target(found.process.tgid, places) {
                continue;
            }
            counts.processes += 1;
            let mut paths: Vec<_> = found.places().map(|it| it.path.clone()).collect();
            // Most processes have the same path in every v1 hierarchy.
            paths.dedup();
            let processes = counts.by_cgroups.entry(paths).or_default();
            processes.push(ProcessRow::new(&found));
        }
        counts
    }
}

/// Resolves when the processes are counted, or never if no count is running.
async fn counted(counting: &mut Option<JoinHandle<LiveCounts>>) -> LiveCounts {
    match counting {
        None => std::future::pending().await,
        // The task does not panic, and only the end of the runtime cancels it.
        Some(counting) => counting.await.unwrap_or_default(),
    }
}
