//! [`Waiter`], the public interface of waits.

use std::{
    future::{Future, IntoFuture},
    path::Path,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::runtime;

use super::{
    armed::Met,
    armed_wait::ArmedWait,
    error::WaitError,
    hub::Hub,
    target::{Target, TargetError},
};
use crate::model::{Backend, Until};

/// Makes waits for cgroups and processes.
///
/// All its waits share one set of BPF programs, if BPF is available. It is cheap to clone; when
/// the last clone and the last wait are dropped, a separate thread detaches the programs. A
/// program that ends right after its wait calls
/// [`close_after_exit`](crate::close_after_exit) before.
///
/// It runs on the tokio runtime in which it was built, which needs I/O and time.
#[derive(Clone, Debug)]
pub struct Waiter {
    hub: Arc<Hub>,
    #[cfg(feature = "bpf")]
    joined: tokio::sync::watch::Receiver<Option<Result<(), Arc<crate::BpfError>>>>,
}

/// The options of a [`Waiter`].
#[derive(Clone, Copy, Debug)]
pub struct WaiterBuilder {
    bpf: bool,
}

/// Why a [`Waiter`] could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A waiter needs a tokio runtime with I/O and time.
    #[error("a waiter must be built inside a tokio runtime")]
    NoRuntime(#[source] runtime::TryCurrentError),
}

impl WaiterBuilder {
    /// Whether BPF may wake waits, which is the default. BPF is loaded in the background
    /// within 20 to 50 ms and needs `CAP_BPF` and `CAP_PERFMON`. Verdicts are also correct
    /// where it is not available (see [`Waiter::bpf`]) or the crate is built without its
    /// feature `bpf`. With BPF a verdict is prompt where the kernel notifies `cgroup.events`
    /// late, and for v1 cgroups, which have no such file.
    #[must_use]
    pub const fn bpf(mut self, wanted: bool) -> Self {
        self.bpf = wanted;
        self
    }

    /// Builds the waiter, which watches nothing yet.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoRuntime`] outside a tokio runtime.
    ///
    /// # Panics
    ///
    /// If the runtime was built without I/O or without time.
    pub fn build(self) -> Result<Waiter, BuildError> {
        runtime::Handle::try_current().map_err(BuildError::NoRuntime)?;
        Ok(Waiter::start(self.bpf))
    }
}

impl Waiter {
    /// A waiter with BPF, if that is available.
    #[must_use]
    pub const fn builder() -> WaiterBuilder {
        WaiterBuilder { bpf: true }
    }

    #[cfg(feature = "bpf")]
    pub(super) fn start(bpf: bool) -> Self {
        use crate::bpf::load::Plan;

        let (sender, joined) = tokio::sync::watch::channel(None);
        let mut hub = Hub::start(if bpf { Backend::Bpf } else { Backend::Pidfd });
        if bpf {
            let loaded = hub.load_in_background(Plan::decisive());
            tokio::spawn(async move {
                // Without a result the hub is gone, and so is every receiver.
                if let Ok(loaded) = loaded.await {
                    sender.send_replace(Some(
                        loaded.map(drop).map_err(|error| Arc::new(error.into())),
                    ));
                }
            });
        } else {
            sender.send_replace(Some(Err(Arc::new(crate::BpfError::Disabled))));
        }
        Self {
            hub: Arc::new(hub),
            joined,
        }
    }

    #[cfg(not(feature = "bpf"))]
    pub(super) fn start(_bpf: bool) -> Self {
        Self {
            hub: Arc::new(Hub::start(Backend::Pidfd)),
        }
    }

    /// Resolves when BPF is attached, or with the reason why it is not available. Waits can be
    /// armed before.
    #[cfg(feature = "bpf")]
    pub async fn bpf(&self) -> Result<(), Arc<crate::BpfError>> {
        let mut joined = self.joined.clone();
        match joined.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(joined)) => joined.clone(),
            _ => Err(Arc::new(crate::BpfError::NoThread)),
        }
    }

    /// A wait for a cgroup, v1 or v2, and all its descendants. `path` is the
    /// absolute path of its directory.
    ///
    /// # Errors
    ///
    /// If the path is not on a cgroup mount, or the cgroup cannot be opened. For a cgroup that is
    /// gone [`TargetError::is_gone`] is true, which a runtime may treat as the end of the
    /// wait.
    pub fn cgroup(&self, path: impl AsRef<Path>) -> Result<WaitBuilder, TargetError> {
        let path = path.as_ref();
        let name = format!("cgroup {}", path.display());
        Ok(self.wait_for(Target::cgroup(path)?, name, Until::Empty))
    }

    /// A wait for a process, which need not be a child. The process is held open by its pidfd
    /// (Linux 5.3), so that no later process with its pid is mistaken for it.
    ///
    /// # Errors
    ///
    /// If there is no such process ([`TargetError::is_gone`]), or `pid` is that of a
    /// thread.
    pub fn process(&self, pid: u32) -> Result<WaitBuilder, TargetError> {
        let name = format!("process {pid}");
        Ok(self.wait_for(Target::process(pid)?, name, Until::Exited))
    }

    fn wait_for(&self, target: Target, name: String, until: Until) -> WaitBuilder {
        WaitBuilder {
            hub: Arc::clone(&self.hub),
            target,
            name,
            until,
            timeout: None,
        }
    }
}

/// A wait that is not armed yet. Awaiting it arms it and resolves when its condition
/// holds.
#[derive(Debug)]
#[must_use = "a wait does nothing unless it is armed or awaited"]
pub struct WaitBuilder {
    hub: Arc<Hub>,
    target: Target,
    name: String,
    until: Until,
    timeout: Option<Duration>,
}

impl WaitBuilder {
    /// The condition. The default is [`Until::Empty`] for a cgroup and
    /// [`Until::Exited`] for a process.
    pub const fn until(mut self, until: Until) -> Self {
        self.until = until;
        self
    }

    /// The time after which awaiting the wait fails with [`WaitError::TimedOut`], which names
    /// the survivors. The default is no limit.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Adds a cgroup to the wait, such as that of the same container in another v1 hierarchy.
    /// The condition must hold for all cgroups.
    pub fn and_cgroup(mut self, path: impl AsRef<Path>) -> Result<Self, TargetError> {
        let other = Target::cgroup(path.as_ref())?;
        self.target.cgroups.extend(other.cgroups);
        Ok(self)
    }

    /// Adds a process to the wait, such as the init of a container.
    pub fn and_process(mut self, pid: u32) -> Result<Self, TargetError> {
        let other = Target::process(pid)?;
        self.target.processes.extend(other.processes);
        Ok(self)
    }

    /// Arms the wait: no change of the target from now on is missed. The caller may then kill
    /// the target and await the result.
    ///
    /// # Errors
    ///
    /// [`WaitError::Arm`] if the members of the target cannot be read, for example
    /// because it was removed meanwhile.
    pub fn arm(self) -> Result<ArmedWait, WaitError> {
        let wait = self.hub.arm(self.target, self.until);
        let target = self.name.clone();
        Ok(ArmedWait {
            wait: wait.map_err(|source| WaitError::Arm { target, source })?,
            name: self.name,
            timeout: self.timeout,
            _hub: self.hub,
        })
    }
}

impl IntoFuture for WaitBuilder {
    type Output = Result<Met, WaitError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.arm()?.met().await })
    }
}
