//! What a program calls: a [`Waiter`], the waits that it makes, and their errors.

use std::{
    future::{Future, IntoFuture},
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{runtime, time::timeout};

use super::{
    armed::{Met, Wait},
    condition::Answer,
    hub::Hub,
    target::{Target, TargetError},
};
use crate::{
    model::{Backend, Until},
    proc::survivors::{self, Survivor},
};

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
    fn start(bpf: bool) -> Self {
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
    fn start(_bpf: bool) -> Self {
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

/// A wait that is armed. Dropping it disarms it, which costs the caller nothing.
#[derive(Debug)]
pub struct ArmedWait {
    wait: Wait,
    name: String,
    timeout: Option<Duration>,
    /// The programs serve as long as a wait needs them.
    _hub: Arc<Hub>,
}

impl ArmedWait {
    /// Resolves when the condition holds. May be dropped and called again; the time
    /// limit begins anew with each call.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`] after the time limit, [`WaitError::Look`] if the
    /// state of the target cannot be read.
    pub async fn met(&mut self) -> Result<Met, WaitError> {
        let Some(limit) = self.timeout else {
            return self
                .wait
                .met()
                .await
                .map_err(|source| self.look_error(source));
        };
        match timeout(limit, self.wait.met()).await {
            Ok(met) => met.map_err(|source| self.look_error(source)),
            Err(_elapsed) => match self.look_at_last()? {
                Some(met) => Ok(met),
                None => Err(self.timed_out(limit)?),
            },
        }
    }

    /// Looks once: how the condition holds, or `None` if it does not.
    pub fn look(&mut self) -> Result<Option<Met>, WaitError> {
        let answer = self.wait.look();
        match answer.map_err(|source| self.look_error(source))? {
            Answer::No => Ok(None),
            Answer::Yes { exact } => Ok(Some(Met {
                exact,
                already: true,
                woken_by: None,
            })),
        }
    }

    /// The processes that keep the condition from being true now, and why each may
    /// still be there.
    pub fn survivors(&self) -> Result<Vec<Survivor>, WaitError> {
        let pids = self.wait.survivors();
        Ok(survivors::describe(
            &pids.map_err(|source| self.look_error(source))?,
        ))
    }

    fn look_at_last(&mut self) -> Result<Option<Met>, WaitError> {
        self.wait.give_up_strangers();
        let met = self.look()?;
        Ok(met.map(|met| Met {
            already: false,
            ..met
        }))
    }

    fn timed_out(&self, after: Duration) -> Result<WaitError, WaitError> {
        Ok(WaitError::TimedOut {
            target: self.name.clone(),
            until: self.wait.until(),
            after,
            survivors: self.survivors()?,
        })
    }

    fn look_error(&self, source: io::Error) -> WaitError {
        WaitError::Look {
            target: self.name.clone(),
            source,
        }
    }
}

impl IntoFuture for ArmedWait {
    type Output = Result<Met, WaitError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.met().await })
    }
}

/// Why a wait has no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The target could not be found or opened.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The wait could not be armed.
    #[error("cannot watch {target}")]
    Arm {
        /// The target, such as `cgroup /sys/fs/cgroup/a`.
        target: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state of the target could not be read.
    #[error("cannot read the state of {target}")]
    Look {
        /// The target.
        target: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The time limit passed first.
    #[error("{target} is not {} after {after:?}{}", until.as_str(), listed(survivors))]
    TimedOut {
        /// The target.
        target: String,
        /// The condition.
        until: Until,
        /// The time limit.
        after: Duration,
        /// The processes that are left, and why each may still be there. Without the
        /// right to see them the list is empty.
        survivors: Vec<Survivor>,
    },
    /// [`wait_blocking`] was called inside a tokio runtime, whose thread it would
    /// block, or could not start one of its own.
    #[error("cannot wait on this thread")]
    Runtime(#[source] io::Error),
}

/// Survivors in an error's text: more would make the line unreadable.
const MOST_LISTED: usize = 3;

fn listed(survivors: &[Survivor]) -> String {
    let mut text = String::new();
    for (index, it) in survivors.iter().take(MOST_LISTED).enumerate() {
        text += if index == 0 { ": " } else { ", " };
        text += &format!("{} (pid {}, state {}", it.comm, it.pid, it.state);
        if let Some(reason) = &it.reason {
            text += &format!(": {reason}");
        }
        text += ")";
    }
    if survivors.len() > MOST_LISTED {
        text += &format!(" and {} more", survivors.len() - MOST_LISTED);
    }
    text
}

/// Waits for a cgroup on the calling thread, without a time limit, for programs that
/// have no tokio runtime.
///
/// # Errors
///
/// [`WaitError::Runtime`] inside a tokio runtime: await [`Waiter::cgroup`] there.
pub fn wait_blocking(path: impl AsRef<Path>, until: Until) -> Result<Met, WaitError> {
    block(path.as_ref(), until, None)
}

/// [`wait_blocking`] with a time limit.
///
/// # Errors
///
/// Those of [`wait_blocking`], and [`WaitError::TimedOut`].
pub fn wait_blocking_for(
    path: impl AsRef<Path>,
    until: Until,
    limit: Duration,
) -> Result<Met, WaitError> {
    block(path.as_ref(), until, Some(limit))
}

fn block(path: &Path, until: Until, limit: Option<Duration>) -> Result<Met, WaitError> {
    if runtime::Handle::try_current().is_ok() {
        let inside = io::Error::other("it runs a tokio runtime: await the wait instead");
        return Err(WaitError::Runtime(inside));
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WaitError::Runtime)?;
    runtime.block_on(async {
        let mut wait = Waiter::start(true).cgroup(path)?.until(until);
        wait.timeout = limit;
        wait.await
    })
}
