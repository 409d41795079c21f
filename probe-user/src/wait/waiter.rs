//! What a program calls: a [`Waiter`], and the waits that it makes.

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

/// Waits for cgroups and processes, as many as are asked for.
///
/// All its waits share one set of BPF programs, if there is BPF, and one inotify
/// instance. It is cheap to clone; the programs are detached when the last clone and
/// the last wait are dropped, on a thread of their own.
///
/// It runs on the tokio runtime in which it was built, which needs I/O and time.
#[derive(Clone, Debug)]
pub struct Waiter {
    hub: Arc<Hub>,
    #[cfg(feature = "bpf")]
    joined: tokio::sync::watch::Receiver<Option<Result<(), Arc<crate::BpfError>>>>,
}

/// What a [`Waiter`] is to use.
#[derive(Clone, Copy, Debug)]
pub struct WaiterBuilder {
    bpf: bool,
}

/// Why there is no waiter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A waiter needs a tokio runtime with I/O and time.
    #[error("a waiter must be built inside a tokio runtime")]
    NoRuntime(#[source] runtime::TryCurrentError),
}

impl WaiterBuilder {
    /// Whether BPF may wake waits. It is on by default, joins by itself 20 to 50 ms
    /// later and needs `CAP_BPF` and `CAP_PERFMON`; where it is not available (see
    /// [`Waiter::bpf`]), or the crate is built without its feature `bpf`, waits are
    /// right all the same. With it a verdict is prompt where `cgroup.events` is
    /// told late, and for v1 cgroups, which have no such file.
    #[must_use]
    pub const fn bpf(mut self, wanted: bool) -> Self {
        self.bpf = wanted;
        self
    }

    /// The waiter. Nothing is watched yet.
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
                // Without an answer the hub is gone, and so is every receiver.
                if let Ok(loaded) = loaded.await {
                    sender.send_replace(Some(
                        loaded.map(drop).map_err(|error| Arc::new(error.into())),
                    ));
                }
            });
        } else {
            sender.send_replace(Some(Err(Arc::new(crate::BpfError::NotWanted))));
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

    /// Resolves when BPF has joined, or with the reason why it does not. Waits need
    /// not wait for this.
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
    /// If the path lies on no cgroup mount, or the cgroup cannot be opened. For a
    /// cgroup that is gone [`TargetError::is_gone`] is true: a runtime may take that
    /// as the end of the wait.
    pub fn cgroup(&self, path: impl AsRef<Path>) -> Result<WaitBuilder, TargetError> {
        let path = path.as_ref();
        let name = format!("cgroup {}", path.display());
        Ok(self.wait_for(Target::cgroup(path)?, name, Until::Empty))
    }

    /// A wait for a process, which need not be a child. The process is held by its
    /// pidfd (Linux 5.3), so no later process with its pid is mistaken for it.
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

    /// Gives up after this time, counted from the moment at which the wait is
    /// awaited, with [`WaitError::TimedOut`], which names the survivors. Without it
    /// the wait has no limit.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// One more cgroup for the same wait, such as that of the same container in
    /// another v1 hierarchy: the condition must hold for all of them.
    pub fn and_cgroup(mut self, path: impl AsRef<Path>) -> Result<Self, TargetError> {
        let other = Target::cgroup(path.as_ref())?;
        self.target.cgroups.extend(other.cgroups);
        Ok(self)
    }

    /// One more process for the same wait, such as the init of a container.
    pub fn and_process(mut self, pid: u32) -> Result<Self, TargetError> {
        let other = Target::process(pid)?;
        self.target.processes.extend(other.processes);
        Ok(self)
    }

    /// Arms the wait: whatever happens to the target from now on is not missed. The
    /// caller may then kill by itself, and await the result.
    ///
    /// # Errors
    ///
    /// [`WaitError::Arm`] if the members of the target cannot be read, for example
    /// because it was removed meanwhile.
    pub fn arm(self) -> Result<ArmedWait, WaitError> {
        let wait = self.hub.arm(self.target, self.until);
        match wait {
            Ok(wait) => Ok(ArmedWait {
                wait,
                name: self.name,
                timeout: self.timeout,
                _hub: self.hub,
            }),
            Err(source) => Err(WaitError::Arm {
                target: self.name,
                source,
            }),
        }
    }
}

impl IntoFuture for WaitBuilder {
    type Output = Result<Met, WaitError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.arm()?.met().await })
    }
}
