//! BPF that joins the waits of a hub: loading it, and what it tells besides.

use std::sync::Arc;

use tokio::{
    sync::{Notify, oneshot},
    task::JoinSet,
};

use super::{decisive, hub::Hub};
use crate::{
    bpf::{
        counters::{ProgramRuns, StreamLosses},
        hook::ExitShape,
        load::{Attached, LoadError, Plan, load_on_thread},
        ring::Stream,
    },
    model::CgroupId,
};

/// Why BPF does not wake the waits of a [`crate::Waiter`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BpfError {
    /// The builder was told to do without.
    #[error("BPF was not asked for")]
    NotWanted,
    /// No thread could be started to load the programs on.
    #[error("no thread to load BPF on")]
    NoThread,
    /// The programs could not be loaded or attached.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The programs that are being loaded, and the reader of their ring. Dropping it
/// ends the reader, which detaches them.
#[derive(Default)]
pub(super) struct Joining {
    tasks: JoinSet<()>,
    loaded: Option<oneshot::Receiver<Result<Stream, LoadError>>>,
    /// For tests: the reader ends as if the ring were broken.
    fail_reader: Arc<Notify>,
}

impl Hub {
    /// Lets BPF join as soon as it is loaded; waits that are armed go on
    /// meanwhile.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn load(&mut self, plan: Plan) {
        self.bpf.loaded = Some(self.load_in_background(plan));
    }

    /// The same; the receiver resolves when BPF has joined, with the stream of
    /// what ends, or with the reason why it does not.
    pub(super) fn load_in_background(
        &mut self,
        plan: Plan,
    ) -> oneshot::Receiver<Result<Stream, LoadError>> {
        let (sender, receiver) = oneshot::channel();
        let serving = decisive::serve(
            Arc::clone(&self.shared),
            Arc::clone(&self.bpf.fail_reader),
            load_on_thread(plan),
            sender,
        );
        self.bpf.tasks.spawn(serving);
        receiver
    }

    /// Resolves when BPF has joined, with the stream of what ends, or when it is
    /// clear that it will not. Only the first call has an answer.
    pub async fn bpf(&mut self) -> Option<Result<Stream, LoadError>> {
        let loaded = self.bpf.loaded.as_mut()?.await;
        self.bpf.loaded = None;
        loaded.ok()
    }

    /// Whether BPF serves now.
    #[must_use]
    pub fn has_bpf(&self) -> bool {
        self.shared.programs.lock().is_some()
    }

    /// What the stream has lost so far; nothing without BPF.
    #[must_use]
    pub fn stream_losses(&self) -> StreamLosses {
        let losses = self.of_programs(Attached::stream_losses);
        losses.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether cgroups can be watched with the privileges that the caller has
    /// left.
    #[must_use]
    pub fn can_watch(&self) -> bool {
        /// No cgroup has this identity.
        const NONE: CgroupId = CgroupId {
            hierarchy: u32::MAX,
            id: u64::MAX,
        };
        let mut attached = self.shared.programs.lock();
        attached.as_mut().is_some_and(|attached| {
            let works = attached.watch(NONE).is_ok();
            attached.unwatch(NONE);
            works
        })
    }

    /// How often the programs ran, and how long.
    #[must_use]
    pub fn program_runs(&self) -> Vec<ProgramRuns> {
        self.of_programs(Attached::program_runs).unwrap_or_default()
    }

    /// Whether the kernel told its types to the programs.
    #[must_use]
    pub fn has_types(&self) -> bool {
        self.of_programs(|it| it.types.is_some()).unwrap_or(false)
    }

    /// Which exit program runs.
    #[must_use]
    pub fn exit_shape(&self) -> Option<ExitShape> {
        self.of_programs(Attached::exit_shape).flatten()
    }

    fn of_programs<T>(&self, ask: impl FnOnce(&Attached) -> T) -> Option<T> {
        self.shared.programs.lock().as_ref().map(ask)
    }

    /// For tests: ends the reader of the ring, as an error would.
    #[doc(hidden)]
    pub fn fail_ring_reader(&self) {
        self.bpf.fail_reader.notify_one();
    }

    /// For tests: closes the files of the BPF programs behind the back of the
    /// ring's reader.
    #[doc(hidden)]
    pub fn close_bpf_files(&self) {
        self.shared.programs.set(None);
    }
}
