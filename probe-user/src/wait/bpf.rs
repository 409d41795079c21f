//! Loads the BPF programs that wake the waits of a hub, and reads their counters.

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
    /// The builder of the waiter disabled BPF.
    #[error("BPF is disabled")]
    Disabled,
    /// The thread that loads the programs could not be started.
    #[error("cannot start the thread that loads BPF")]
    NoThread,
    /// The programs could not be loaded or attached.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The task that loads the programs and reads their ring. Dropping it ends the task, which
/// detaches the programs.
#[derive(Default)]
pub(super) struct BpfTask {
    tasks: JoinSet<()>,
    loaded: Option<oneshot::Receiver<Result<Stream, LoadError>>>,
    /// For tests: ends the reader as if the ring had failed.
    fail_reader: Arc<Notify>,
}

impl Hub {
    /// Starts to load BPF, which wakes the waits once it is loaded. Waits that are armed go on
    /// meanwhile.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime with I/O and time.
    pub fn load(&mut self, plan: Plan) {
        self.bpf.loaded = Some(self.load_in_background(plan));
    }

    /// Starts to load BPF. The receiver resolves when the programs are attached, with the
    /// ring of exit records, or with the error.
    pub(super) fn load_in_background(
        &mut self,
        plan: Plan,
    ) -> oneshot::Receiver<Result<Stream, LoadError>> {
        let (sender, receiver) = oneshot::channel();
        let task = decisive::load_and_read(
            Arc::clone(&self.shared),
            Arc::clone(&self.bpf.fail_reader),
            load_on_thread(plan),
            sender,
        );
        self.bpf.tasks.spawn(task);
        receiver
    }

    /// Resolves when the programs are attached, with the ring of exit records, or with the
    /// error. Only the first call returns a result.
    pub async fn bpf(&mut self) -> Option<Result<Stream, LoadError>> {
        let loaded = self.bpf.loaded.as_mut()?.await;
        self.bpf.loaded = None;
        loaded.ok()
    }

    /// Whether the programs are attached.
    #[must_use]
    pub fn has_bpf(&self) -> bool {
        self.shared.programs.lock().is_some()
    }

    /// The losses of the stream so far; `None` if the programs are gone, or their counters
    /// cannot be read.
    #[must_use]
    pub fn stream_losses(&self) -> Option<StreamLosses> {
        self.with_programs(Attached::stream_losses)?.ok()
    }

    /// Whether the programs can watch cgroups with the privileges that this process still
    /// has.
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
        self.with_programs(Attached::program_runs)
            .unwrap_or_default()
    }

    /// Whether the kernel has BTF, which describes its types to the programs.
    #[must_use]
    pub fn has_types(&self) -> bool {
        self.with_programs(|it| it.types.is_some()).unwrap_or(false)
    }

    /// The attached exit program.
    #[must_use]
    pub fn exit_shape(&self) -> Option<ExitShape> {
        self.with_programs(Attached::exit_shape).flatten()
    }

    fn with_programs<T>(&self, read: impl FnOnce(&Attached) -> T) -> Option<T> {
        self.shared.programs.lock().as_ref().map(read)
    }

    /// For tests: ends the reader of the ring, as an error would.
    #[doc(hidden)]
    pub fn fail_ring_reader(&self) {
        self.bpf.fail_reader.notify_one();
    }

    /// For tests: closes the files of the BPF programs while the reader uses the ring.
    #[doc(hidden)]
    pub fn close_bpf_files(&self) {
        self.shared.programs.set(None);
    }
}
