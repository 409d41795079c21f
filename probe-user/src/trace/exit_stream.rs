//! [`ExitStream`], the public stream of exit records.

use std::{
    collections::VecDeque,
    io, iter,
    os::fd::OwnedFd,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use tokio::sync::oneshot;

use super::{
    lookup::CgroupLookup,
    reader::{StreamError, StreamReader},
    tracker::Tracker,
};
use crate::{
    bpf::load::{Attached, DEFAULT_STREAM_BYTES, LoadError, Plan, Rings, load_on_thread},
    cgroup::{
        locate::Located,
        mounts::{MountError, Mounts},
        pinned,
    },
    container::{Resolver, StateRoots},
    model::{Backend, Cgroup, Container, Filter, Record, Subtree},
    proc::pinned::{PinProcessError, PinnedProcess},
};

/// Time between two drains of the ring while records arrive.
const DRAIN_EVERY: Duration = Duration::from_millis(20);

/// Exits of processes as the kernel reports them, each with its cgroup and
/// container: a [`Stream`] of [`Record`]s.
///
/// The kernel writes a record when the last task of a process begins to exit: the
/// process is still in its cgroup then, and may hold memory and ports for some
/// milliseconds. [`crate::Waiter`] tells when it is gone. Records arrive within 20 ms; a
/// [`Record::Lost`] takes the place of records that were lost. An error ends the stream:
/// no item follows it.
///
/// Dropping the stream detaches the BPF programs on a separate thread, because that
/// takes tens of milliseconds.
pub struct ExitStream {
    reader: StreamReader,
    tracker: Tracker,
    lookup: CgroupLookup,
    filter: Filter,
    pending: VecDeque<Record>,
    has_ended: bool,
}

/// Why exits cannot be streamed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The cgroup mounts could not be read.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// A path of the filter is not on a cgroup mount.
    #[error("{} is not on a cgroup mount", path.display())]
    NoCgroup {
        /// The path of the filter.
        path: PathBuf,
    },
    /// A cgroup of the filter could not be opened; it may be gone.
    #[error("cannot open cgroup {}", path.display())]
    OpenCgroup {
        /// The directory of the cgroup.
        path: PathBuf,
        /// The error of the open.
        #[source]
        source: io::Error,
    },
    /// A process of the filter could not be pinned; it may be gone.
    #[error(transparent)]
    Process(#[from] PinProcessError),
    /// The filter names cgroups of several v1 hierarchies, but a record has only one v1
    /// cgroup.
    #[error("the filter names cgroups of several v1 hierarchies")]
    SeveralHierarchies,
    /// The filter names a v1 cgroup, but this kernel has no BTF, without which records
    /// have no v1 cgroup.
    #[error("without BTF the v1 cgroup of a process is unknown")]
    NoTypes,
    /// BPF is not available.
    #[error("cannot load the BPF programs")]
    Load(#[from] LoadError),
    /// The ring buffer could not be registered.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl ExitStream {
    /// Loads the BPF programs, and reports the exits that `filter` selects from then on.
    ///
    /// Needs root, or `CAP_BPF` and `CAP_PERFMON`, and Linux 5.8. Loading takes 20
    /// to 50 ms and happens on a separate thread.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn open(mut filter: Filter) -> Result<Self, OpenError> {
        let mounts = Mounts::read()?;
        let cgroups = resolve(&mut filter, &mounts)?;
        let plan = Plan::exits(&filter, cgroups, DEFAULT_STREAM_BYTES).with_v1(&mounts);
        let (attached, rings) = loaded(plan).await?;
        if filter.hierarchy().is_some() && attached.types.is_none() {
            return Err(OpenError::NoTypes);
        }
        let resolver = Resolver::new(StateRoots::system(None, Vec::new()));
        Ok(Self::new((attached, rings), mounts, resolver, filter)?)
    }

    /// A stream from attached programs. `filter` applies the conditions that the kernel
    /// does not test.
    pub fn new(
        loaded: (Attached, Rings),
        mounts: Mounts,
        resolver: Resolver,
        filter: Filter,
    ) -> Result<Self, StreamError> {
        let reader = StreamReader::new(loaded, DRAIN_EVERY)?;
        let mut tracker = Tracker::for_filter(&filter);
        tracker.name_v1(reader.v1_hierarchy());
        let mut lookup = CgroupLookup::new(mounts, resolver);
        lookup.add_all_cgroups(&mut tracker);
        Ok(Self {
            reader,
            tracker,
            lookup,
            filter,
            pending: VecDeque::new(),
            has_ended: false,
        })
    }

    /// The next record; `None` after an error. Cancel safe: dropping the future loses no
    /// record.
    pub async fn next(&mut self) -> Option<Result<Record, StreamError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next record, and all records that the same drain of the ring returned.
    pub async fn next_batch(&mut self) -> Option<Result<Vec<Record>, StreamError>> {
        let first = self.next().await?;
        Some(first.map(|first| iter::once(first).chain(self.pending.drain(..)).collect()))
    }

    /// The container that a cgroup belongs to.
    pub fn container_of(&mut self, cgroup: &Cgroup) -> Option<Arc<Container>> {
        self.lookup.container_of(Some(cgroup))
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        let Self {
            reader,
            tracker,
            lookup,
            filter,
            pending,
            ..
        } = self;
        reader.drain(|timed| {
            let record = lookup.record(tracker, timed);
            if let Some(renamed) = tracker.take_renamed() {
                filter.rename(&renamed);
            }
            pending.extend(record.filter(|record| filter.admits(record)));
            Ok(())
        })
    }
}

impl Stream for ExitStream {
    type Item = Result<Record, StreamError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(record) = this.pending.pop_front() {
                return Poll::Ready(Some(Ok(record)));
            }
            if this.has_ended {
                return Poll::Ready(None);
            }
            let due = ready!(this.reader.poll_due(context));
            if let Err(error) = due.and_then(|()| this.drain()) {
                this.has_ended = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// Turns the directories of a filter into subtrees and its pids into processes, and opens the directories if the
/// kernel tests the subtrees.
fn resolve(filter: &mut Filter, mounts: &Mounts) -> Result<Vec<OwnedFd>, OpenError> {
    for pid in std::mem::take(&mut filter.pids) {
        let process = PinnedProcess::open(pid, Backend::Pidfd)?;
        filter.processes.push(process.as_target());
    }
    let mut opened = Vec::new();
    for path in std::mem::take(&mut filter.directories) {
        let Located::OnMount(mount, directory) = mounts.locate(&path)? else {
            return Err(OpenError::NoCgroup { path });
        };
        filter.subtrees.push(Subtree {
            hierarchy: mount.hierarchy,
            path: mount.path_of(&directory).unwrap_or_default(),
        });
        // Also opened where the kernel tests no subtree: a missing cgroup is an error.
        let directory = pinned::lookup(&mount, &directory);
        opened.push(directory.map_err(|error| OpenError::OpenCgroup {
            path,
            source: error.into(),
        })?);
    }
    let hierarchy = filter.hierarchy();
    let is_other = |it: &Subtree| it.hierarchy != 0 && Some(it.hierarchy) != hierarchy;
    if filter.subtrees.iter().any(is_other) {
        return Err(OpenError::SeveralHierarchies);
    }
    let is_needed = filter.kernel_tests_subtrees();
    Ok(opened.into_iter().filter(|_| is_needed).collect())
}

async fn loaded(plan: Plan) -> Result<(Attached, Rings), OpenError> {
    let loading: oneshot::Receiver<_> = load_on_thread(plan);
    match loading.await {
        Ok(loaded) => Ok(loaded?),
        Err(_no_thread) => {
            let source = io::Error::other("no thread to load BPF on");
            Err(StreamError::Wait(source).into())
        }
    }
}
