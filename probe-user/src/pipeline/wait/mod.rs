//! What `probe wait` and `probe kill` have in common: waits are armed, records
//! are told, and levels decide.
//!
//! Exit records wake nobody: a reader that wakes for them takes the CPU from
//! the task that is dying. BPF joins while the wait runs, because loading it
//! takes tens of milliseconds.

mod exits;

use std::{
    future::{Future, pending},
    io,
    path::Path,
    pin::Pin,
    time::Duration,
};

use indicatif::ProgressBar;
use tokio::time::{Instant, sleep_until};

use self::exits::Exits;
use super::{
    places::Places,
    teller::{Teller, Told},
};
use crate::{
    container::Resolver,
    exit_status::ExitStatus,
    filter::Wanted,
    output::{Out, Stdout, human::Columns},
    process::Process,
    source::{
        cgroupfs::{self, Mount},
        load::{LoadError, Plan},
        pinned_process::PinnedProcess,
        ring::Stream,
    },
    wait::{Hub, Target, Wait, WaitSet, WokenBy},
    waiter::{Answer, Backend, Outcome, Until},
};

/// How often somebody who looks on is told how many are left.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The state of a target could not be read.
    #[error("cannot read the state of a target")]
    Level(#[source] io::Error),
    /// stdout took no more.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
}

/// What is told of those that end meanwhile, and how.
#[derive(Debug)]
pub struct Telling {
    /// Which exits.
    pub wanted: Wanted,
    /// Columns; `None` for JSON.
    pub columns: Option<Columns>,
    /// Where the cgroups are.
    pub mounts: Vec<Mount>,
    /// Names their containers.
    pub resolver: Resolver,
    /// stdout.
    pub out: Out<Stdout>,
}

/// See the module.
pub struct Session {
    hub: Hub,
    set: WaitSet,
    exits: Exits,
    teller: Teller,
    is_loading: bool,
    load_at: Option<(Instant, Plan)>,
    backends: Vec<Backend>,
    status_of: Option<(PinnedProcess, Wait)>,
    progress: Option<ProgressBar>,
    /// What was said of it last: with BPF, or without.
    said_armed: Option<bool>,
}

impl Session {
    /// Nothing is armed yet. `tier` is the best backend that may be used.
    #[must_use]
    pub fn new(tier: Backend, telling: Telling) -> Self {
        let Telling {
            wanted,
            columns,
            mounts,
            resolver,
            out,
        } = telling;
        Self {
            hub: Hub::start(tier),
            set: WaitSet::default(),
            exits: Exits::none(),
            teller: Teller::new(wanted, columns, Places::new(mounts, resolver), out),
            is_loading: false,
            load_at: None,
            backends: Vec::new(),
            status_of: None,
            progress: None,
            said_armed: None,
        }
    }

    /// What happens to it from now on is not missed.
    pub fn arm(&mut self, target: Target, until: Until) -> Result<(), WaitError> {
        self.set
            .arm(&self.hub, target, until)
            .map_err(WaitError::Level)
    }

    /// Names a cgroup and all below it, so that records of it have paths.
    pub fn place(&mut self, mount: &Mount, directory: &Path) {
        let subtree = cgroupfs::path_below(mount, directory).map(|root| Mount {
            mount_point: directory.to_owned(),
            root,
            ..mount.clone()
        });
        if let Some(subtree) = subtree
            && let Ok(id) = cgroupfs::root(&subtree)
        {
            Places::feed_subtree(&mut self.teller.tracker, &subtree, id);
        }
    }

    /// The wait is not done before the status of this process is known, or it
    /// is reaped without that.
    pub fn want_status(&mut self, process: PinnedProcess) -> Result<(), WaitError> {
        self.teller.status_of = Some((process.tgid, process.start_ticks()));
        let target = Target {
            cgroups: Vec::new(),
            processes: vec![process.try_clone().map_err(WaitError::Level)?],
        };
        let reaped = self.set.arm_beside(&self.hub, target, Until::Reaped);
        self.status_of = Some((process, reaped.map_err(WaitError::Level)?));
        Ok(())
    }

    /// Shows how many are left while it takes long.
    pub fn show_progress(&mut self, bar: ProgressBar) {
        self.progress = Some(bar);
    }

    /// Lets BPF join as soon as it is loaded.
    pub fn load(&mut self, plan: Plan) {
        self.hub.load(plan);
        self.is_loading = true;
    }

    /// The same, unless all is over by then: loading takes CPU time that the
    /// dying need.
    pub fn load_at(&mut self, when: Instant, plan: Plan) {
        self.load_at = Some((when, plan));
    }

    /// Resolves when BPF has joined, or with the reason why it does not.
    pub async fn joined(&mut self) -> Result<(), LoadError> {
        match self.hub.bpf().await {
            Some(loaded) => self.join(loaded),
            None => Ok(()),
        }
    }

    /// Looks, once; how many waits are done.
    pub fn look(&mut self) -> Result<usize, WaitError> {
        let done = self.set.look().map_err(WaitError::Level)?;
        if self.backends.is_empty() {
            self.backends.push(self.serving());
        }
        if self.status_of.is_some() && done == self.set.len() && self.lacks_status()? {
            return Ok(done - 1);
        }
        Ok(done)
    }

    /// Waits until `needed` are done.
    pub async fn run(
        &mut self,
        needed: usize,
        deadline: Option<Instant>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Outcome, WaitError> {
        if !self.is_loading && self.load_at.is_none() {
            self.say_armed();
        }
        let mut progress_at = Instant::now() + PROGRESS_EVERY * 5;
        loop {
            if self.look()? >= needed {
                return Ok(Outcome::Done);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(Outcome::Timeout);
            }
            let news = tokio::select! {
                biased;
                () = &mut stop => return Ok(Outcome::Interrupted),
                () = self.set.rung() => News::Look,
                loaded = self.hub.bpf(), if self.is_loading => News::Loaded(loaded.map(Box::new)),
                many = self.exits.many() => News::Records(many),
                () = until(self.load_at.as_ref().map(|(when, _)| *when)) => News::LoadNow,
                () = until(deadline) => News::Look,
                () = sleep_until(progress_at), if self.progress.is_some() => News::Progress,
            };
            self.take(news, &mut progress_at)
                .map_err(WaitError::Write)?;
        }
    }

    fn take(&mut self, news: News, progress_at: &mut Instant) -> io::Result<()> {
        match news {
            News::Look => {
                let serving = self.serving();
                self.serve_by(serving);
            }
            News::Records(Ok(())) => {}
            News::Records(Err(error)) => {
                tracing::info!(%error, "exits are not reported any more");
                self.exits = Exits::none();
            }
            News::Loaded(Some(loaded)) => {
                // Why not is in the log: the wait goes on by itself.
                let _told = self.join(*loaded);
            }
            News::Loaded(None) => self.is_loading = false,
            News::LoadNow => {
                if let Some((_, plan)) = self.load_at.take() {
                    self.load(plan);
                }
            }
            News::Progress => {
                self.progress();
                *progress_at = Instant::now() + PROGRESS_EVERY;
            }
        }
        let mut moved = Vec::new();
        let Self { exits, teller, .. } = self;
        let mut tell = || exits.tell(teller, &mut moved);
        match &self.progress {
            // Both may be the same terminal.
            Some(bar) => bar.suspend(&mut tell)?,
            None => tell()?,
        }
        self.follow(&moved);
        Ok(())
    }

    fn join(&mut self, loaded: Result<Stream, LoadError>) -> Result<(), LoadError> {
        self.is_loading = false;
        let joined = loaded.map(Exits::of);
        let result = match joined {
            Ok(Ok(exits)) => {
                self.exits = exits;
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "exits are not reported");
                Ok(())
            }
            Err(error) => {
                tracing::info!("without BPF: {:#}", anyhow::anyhow!("{error}"));
                Err(error)
            }
        };
        self.serve_by(self.serving());
        self.say_armed();
        result
    }

    fn say_armed(&mut self) {
        let has_bpf = self.hub.has_bpf();
        if self.said_armed.replace(has_bpf) == Some(has_bpf) {
            return;
        }
        let live = self.live();
        if has_bpf {
            tracing::info!("armed: {live} processes live, no exit is missed from here on");
        } else {
            tracing::info!("armed: {live} processes live, but exits are not reported");
        }
    }

    fn live(&self) -> usize {
        let survivors = self.set.waits().map(|(wait, _)| wait.survivors());
        survivors
            .map(|pids| pids.map_or(0, |pids| pids.len()))
            .sum()
    }

    fn serving(&self) -> Backend {
        if self.hub.has_bpf() {
            return Backend::Bpf;
        }
        let mut each = self.set.waits().map(|(wait, _)| wait.unprivileged());
        if each.any(|backend| backend == Backend::Pidfd) {
            Backend::Pidfd
        } else {
            Backend::Poll
        }
    }

    fn serve_by(&mut self, backend: Backend) {
        if self.backends.last() != Some(&backend) {
            self.backends.push(backend);
        }
    }

    /// Who left a cgroup that is waited for, or was put into it. A process whose
    /// parent was a member is one too, though nobody saw it before it left.
    fn follow(&mut self, moved: &[Process]) {
        for process in moved {
            for wait in self.set.waits_mut() {
                let start_ns = process.start_boottime_ns;
                let is_child = || process.ppid.is_some_and(|it| wait.was_member(it, None));
                if wait.was_member(process.tgid, start_ns) || is_child() {
                    wait.follow(process.tgid, start_ns);
                }
            }
        }
    }

    fn lacks_status(&mut self) -> Result<bool, WaitError> {
        let mut moved = Vec::new();
        self.exits
            .tell(&mut self.teller, &mut moved)
            .map_err(WaitError::Write)?;
        self.follow(&moved);
        if self.status().is_some() {
            return Ok(false);
        }
        let Some((_, reaped)) = &mut self.status_of else {
            return Ok(false);
        };
        Ok(reaped.look().map_err(WaitError::Level)? == Answer::No)
    }

    /// How the process of [`Session::want_status`] ended, as far as anybody says.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.teller.status.or_else(|| {
            let (process, _) = self.status_of.as_ref()?;
            let status = process.wait_status()?;
            Some(ExitStatus::from_wait_status(status))
        })
    }

    fn progress(&mut self) {
        let live = self.live() as u64;
        if let Some(bar) = &self.progress {
            let most = bar.length().unwrap_or(0).max(live);
            bar.set_length(most);
            bar.set_position(most - live);
        }
    }

    /// Tells the last records; what is left to say is the verdict.
    pub fn finish(mut self) -> Result<Ended, WaitError> {
        if let Some(bar) = &self.progress {
            bar.finish_and_clear();
        }
        let dropped = self.hub.stream_dropped();
        let mut moved = Vec::new();
        self.exits
            .tell_all(&mut self.teller, &mut moved, dropped)
            .map_err(WaitError::Write)?;
        self.follow(&moved);
        Ok(Ended {
            status: self.status(),
            sees_moves: self.hub.has_bpf(),
            set: self.set,
            backends: self.backends,
            told: self.teller.told,
            out: self.teller.out,
        })
    }
}

/// What is left of a session.
pub struct Ended {
    /// The waits, to be asked for survivors and migrants.
    pub set: WaitSet,
    /// What served, in the order in which it came.
    pub backends: Vec<Backend>,
    /// Records printed and lost.
    pub told: Told,
    /// Of the process of [`Session::want_status`].
    pub status: Option<ExitStatus>,
    /// Whether who was moved out is known.
    pub sees_moves: bool,
    /// stdout.
    pub out: Out<Stdout>,
}

impl Ended {
    /// What led to the last look.
    #[must_use]
    pub fn woken_by(&self) -> Option<WokenBy> {
        self.set.woken_by()
    }
}

enum News {
    Look,
    Loaded(Option<Box<Result<Stream, LoadError>>>),
    Records(io::Result<()>),
    LoadNow,
    Progress,
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
