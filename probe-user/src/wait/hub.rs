//! What many waits share: the BPF programs, the watches, the doubt.
//!
//! A task of its own reads the decisive ring (`decisive.rs`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use probe_ebpf::config::occupancy;
use tokio::{
    sync::{Notify, oneshot, watch},
    task::JoinSet,
};

use super::{
    backoff::Doubt,
    bell::WokenBy,
    decisive,
    directories::Directories,
    occupancy::{Occupancy, Told},
    watch::Watch,
};
use crate::{
    bpf::{
        counters::ProgramRuns,
        hook::ExitShape,
        load::{Attached, LoadError, Plan},
        ring::Stream,
    },
    cgroup::pinned::PinnedCgroup,
    model::{Backend, CgroupId},
};

/// See the module. Dropping it detaches the programs and ends its tasks; waits
/// that are armed go on by what they watch themselves.
pub struct Hub {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    loaded: Option<oneshot::Receiver<Result<Stream, LoadError>>>,
}

pub(super) struct Shared {
    /// The best that may be used.
    tier: Backend,
    pub(super) cgroups: Mutex<HashMap<CgroupId, Weak<Watch<Occupancy>>>>,
    pub(super) attached: Mutex<Option<Attached>>,
    pub(super) doubt: watch::Sender<Doubt>,
    directories: Arc<Directories>,
    /// For tests: as if the ring could not be read any more.
    pub(super) stop: Notify,
}

impl Hub {
    /// Serves at once, by what needs no privilege. `tier` is the best backend
    /// that may be used.
    #[must_use]
    pub fn start(tier: Backend) -> Self {
        Self {
            shared: Arc::new(Shared {
                tier,
                cgroups: Mutex::default(),
                attached: Mutex::new(None),
                doubt: watch::Sender::new(Doubt::Always),
                directories: Arc::default(),
                stop: Notify::new(),
            }),
            tasks: JoinSet::new(),
            loaded: None,
        }
    }

    /// Lets BPF join as soon as it is loaded; waits that are armed go on
    /// meanwhile.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn load(&mut self, plan: Plan) {
        let (tell, told) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        self.tasks
            .spawn(decisive::serve(shared, decisive::load(plan), tell));
        self.loaded = Some(told);
    }

    /// Resolves when BPF has joined, with the stream of what ends, or when it is
    /// clear that it will not. Only the first call has an answer.
    pub async fn bpf(&mut self) -> Option<Result<Stream, LoadError>> {
        let loaded = self.loaded.as_mut()?.await;
        self.loaded = None;
        loaded.ok()
    }

    /// Whether BPF serves now.
    #[must_use]
    pub fn has_bpf(&self) -> bool {
        lock(&self.shared.attached).is_some()
    }

    /// Exits and starts that the kernel half dropped so far; 0 without it.
    #[must_use]
    pub fn stream_dropped(&self) -> u64 {
        let attached = lock(&self.shared.attached);
        let dropped = attached.as_ref().map(Attached::stream_dropped);
        dropped.and_then(Result::ok).unwrap_or(0)
    }

    /// Calls of a program that the kernel skipped so far; 0 without BPF.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        let attached = lock(&self.shared.attached);
        attached.as_ref().map_or(0, Attached::recursion_misses)
    }

    /// Whether cgroups can be watched with the privileges that the caller has
    /// left.
    #[must_use]
    pub fn can_watch(&self) -> bool {
        const NOBODYS: CgroupId = CgroupId {
            hierarchy: u32::MAX,
            id: u64::MAX,
        };
        let mut attached = lock(&self.shared.attached);
        attached.as_mut().is_some_and(|attached| {
            let works = attached.watch(NOBODYS).is_ok();
            attached.unwatch(NOBODYS);
            works
        })
    }

    /// How often the programs ran, and how long.
    #[must_use]
    pub fn program_runs(&self) -> Vec<ProgramRuns> {
        let attached = lock(&self.shared.attached);
        attached
            .as_ref()
            .map(Attached::program_runs)
            .unwrap_or_default()
    }

    /// Whether the kernel told its types to the programs.
    #[must_use]
    pub fn has_types(&self) -> bool {
        let attached = lock(&self.shared.attached);
        attached.as_ref().is_some_and(|it| it.types.is_some())
    }

    /// Which exit program runs.
    #[must_use]
    pub fn exit_shape(&self) -> Option<ExitShape> {
        lock(&self.shared.attached).as_ref()?.exit_shape()
    }

    /// For tests: as if the rings could not be read any more.
    #[doc(hidden)]
    pub fn stop_reading(&self) {
        self.shared.stop.notify_one();
    }

    /// For tests: as if somebody had closed the files of the kernel half, which
    /// its reader has yet to notice.
    #[doc(hidden)]
    pub fn close_files(&self) {
        *lock(&self.shared.attached) = None;
    }

    pub(super) fn tier(&self) -> Backend {
        self.shared.tier
    }

    /// The watch of a cgroup, the one that others have already if there is one.
    pub(super) fn watch(&self, pinned: PinnedCgroup) -> Arc<Watch<Occupancy>> {
        let id = pinned.id;
        self.shared.forget_the_abandoned();
        let mut cgroups = lock(&self.shared.cgroups);
        if let Some(watch) = cgroups.get(&id).and_then(Weak::upgrade) {
            return watch;
        }
        let doubt = self.shared.doubt.subscribe();
        let directories = Arc::clone(&self.shared.directories);
        let pinned = Occupancy::new(pinned, Arc::downgrade(&self.shared));
        let watch = Arc::new(Watch::cgroup(pinned, self.shared.tier, doubt, directories));
        cgroups.insert(id, Arc::downgrade(&watch));
        drop(cgroups);
        self.shared.watch_in_kernel(&watch);
        watch
    }
}

impl Shared {
    pub(super) fn watch_in_kernel(&self, watch: &Watch<Occupancy>) {
        let id = watch.pinned.cgroup.id;
        let watched = lock(&self.attached).as_mut().map(|it| it.watch(id));
        match watched {
            Some(Ok(())) => watch.pinned.is_watched(),
            Some(Err(error)) => {
                tracing::warn!(%error, "the kernel half does not watch: the timer serves");
                self.doubt.send_replace(Doubt::Always);
            }
            None => {}
        }
    }

    /// `None` if the kernel half does not know.
    pub(super) fn told(&self, id: CgroupId) -> Option<Told> {
        match lock(&self.attached).as_ref()?.occupancy(id)? {
            occupancy::UNCHANGED => Some(Told::Unchanged),
            occupancy::EMPTY => Some(Told::Empty),
            _ => Some(Told::Populated),
        }
    }

    /// What nobody waits for any more need not be reported.
    pub(super) fn forget_the_abandoned(&self) {
        let mut attached = lock(&self.attached);
        lock(&self.cgroups).retain(|&id, watch| {
            let is_awaited = watch.strong_count() > 0;
            if let Some(attached) = attached.as_mut().filter(|_| !is_awaited) {
                attached.unwatch(id);
            }
            is_awaited
        });
    }

    pub(super) fn wake(&self, id: CgroupId, by: WokenBy) {
        let watch = lock(&self.cgroups).get(&id).and_then(Weak::upgrade);
        if let Some(watch) = watch {
            watch.wake(by);
        }
    }

    pub(super) fn wake_all(&self, by: WokenBy) {
        for watch in lock(&self.cgroups).values().filter_map(Weak::upgrade) {
            watch.wake(by);
        }
    }

    /// What was dropped or skipped so far; `None` if that cannot be told.
    pub(super) fn losses(&self) -> Option<u64> {
        let mut attached = lock(&self.attached);
        let attached = attached.as_mut()?;
        attached.flush_log();
        let dropped = attached.decisive_dropped().ok()? + attached.stream_dropped().ok()?;
        Some(dropped + attached.recursion_misses())
    }
}

/// Nothing that is locked here is left half done by a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
