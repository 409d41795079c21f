//! One `probe wait` or `probe kill`: it arms waits, reports exits, and ends when the state of
//! the targets is as requested.
//!
//! An event is only a reason to look at that state. A daemon that answers is one more source
//! of events (`daemon.rs`). BPF joins while the session runs, because loading it takes tens of
//! milliseconds (`events.rs`).
//!
//! A wait from the command line to the verdict:
//!
//! 1. `main` parses the command line;
//! 2. `Cli::run` chooses the verb;
//! 3. `cli::wait::run` calls the following functions, one after the other:
//! 4. `TargetArgs::pin` opens the targets: cgroups, containers, units, processes;
//! 5. `Invocation::arm` creates the session, and calls for each target
//! 6. `Session::arm`, which subscribes to everything that may change the target;
//! 7. `BackendSelection::join_best` asks a daemon; if none answers, BPF is loaded later;
//! 8. `Session::follow` is the loop, which waits for a reason to look and calls
//! 9. `Session::look`, which reads the state of the targets and ends the loop once the
//!    library's `Wait::look` finds that it meets the condition;
//! 10. `Session::finish` reports the last exits and returns the result;
//! 11. `Invocation::conclude` prints the verdict.

mod daemon;
mod daemon_backend;
mod events;
mod exits;
mod explainer;
mod messages;

use std::{io, time::Duration};

use probe_daemon::api::Outcome;
use probe_user::{
    model::{self, ExitStatus, Until},
    unstable::{
        bpf::load::Plan,
        cgroup::pinned::PinnedCgroup,
        proc::pinned::PinnedProcess,
        trace::lookup::CgroupLookup,
        wait::{Hub, Target, Wait, WaitSet},
    },
};
use tokio::time::{Instant, timeout_at};

pub use self::daemon::DaemonRequest;
pub(crate) use self::events::BpfFault;
pub(crate) use self::{daemon::log_missing_daemon, explainer::Explainer};
pub use crate::output::reporter::ReportOptions;

use self::{
    daemon_backend::{DaemonBackend, State},
    exits::Exits,
    explainer::Explaining,
};
use crate::output::{
    Backend, Out, Progress, Stdout,
    reporter::{Reported, Reporter},
    waker_name,
};

/// How long the verdict is delayed for the next of the daemon's last messages, and for all.
const NEXT_MESSAGE: Duration = Duration::from_millis(500);
const LAST_MESSAGES: Duration = Duration::from_secs(5);

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The state of a target could not be read.
    #[error("cannot read the state of a target")]
    Look(#[source] io::Error),
    /// A write to stdout failed.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
}

/// The result of a session.
pub(crate) struct SessionResult {
    /// The waits, with their survivors and migrants.
    pub(crate) set: WaitSet,
    /// The backends that served, in the order in which they joined.
    pub(crate) backends: Vec<Backend>,
    /// The source that woke the last look.
    pub(crate) woken_by: Option<&'static str>,
    /// Counts of records that were printed and lost.
    pub(crate) reported: Reported,
    /// Exit status of the process of [`Session::want_status`].
    pub(crate) status: Option<ExitStatus>,
    /// Whether a daemon found all targets done, and knows every process of them.
    pub(crate) daemon_is_exact: bool,
    /// stdout.
    pub(crate) out: Out<Stdout>,
    /// Whether the kernel closes the descriptors of BPF after the process has ended.
    pub(crate) closes_after_exit: bool,
    /// The BPF programs and the watches, which live as long as the result.
    hub: Hub,
    #[expect(dead_code, reason = "a drop would unmap the ring before the verdict")]
    exits: Exits,
}

impl SessionResult {
    /// Whether the session sees processes that are moved out of a target.
    pub(crate) fn sees_moves(&self) -> bool {
        self.hub.has_bpf()
    }
}

/// The waits of one run of the command, and the sources that may wake them.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each fact is independent of the others"
)]
pub struct Session {
    hub: Hub,
    set: WaitSet,
    exits: Exits,
    daemon: DaemonBackend,
    has_looked: bool,
    /// Whether a first look was not enough.
    has_waited: bool,
    reporter: Reporter,
    is_loading: bool,
    load_bpf_at: Option<(Instant, Plan)>,
    backends: Vec<Backend>,
    status_of: Option<(PinnedProcess, Wait)>,
    progress: Option<Progress>,
    bpf_fault: Option<BpfFault>,
    daemon_only: bool,
    /// Whether the kernel closes the descriptors of BPF after the process has ended.
    closes_after_exit: bool,
    /// Whether the session was last reported as armed with exits or without.
    reported_armed: Option<bool>,
    explaining: Option<Explaining>,
}

impl Session {
    /// Creates a session without waits. `tier` is the best backend of the library that the
    /// session may use.
    #[must_use]
    pub fn new(tier: model::Backend, options: ReportOptions) -> Self {
        Self {
            hub: Hub::start(tier),
            set: WaitSet::default(),
            exits: Exits::none(),
            daemon: DaemonBackend::default(),
            has_looked: false,
            has_waited: false,
            reporter: Reporter::new(options),
            is_loading: false,
            load_bpf_at: None,
            backends: Vec::new(),
            status_of: None,
            progress: None,
            bpf_fault: None,
            daemon_only: false,
            closes_after_exit: false,
            reported_armed: None,
            explaining: None,
        }
    }

    /// Arms a wait: from now on no change of the target is missed.
    pub fn arm(&mut self, target: Target, until: Until) -> Result<(), WaitError> {
        self.daemon.add(&target, until);
        self.set
            .arm(&self.hub, target, until)
            .map_err(WaitError::Look)
    }

    /// Learns the paths of a cgroup and its descendants, so that records name them.
    pub(crate) fn learn_paths(&mut self, cgroup: &PinnedCgroup) {
        CgroupLookup::add_subtree(&mut self.reporter.tracker, cgroup);
    }

    /// Learns the paths of the cgroups of the target processes. Done before they exit, it delays
    /// no verdict.
    fn learn_paths_of_processes(&mut self) {
        let Reporter {
            lookup,
            tracker,
            wanted,
            ..
        } = &mut self.reporter;
        for process in &wanted.processes {
            lookup.add_cgroups_of(tracker, process.pid);
        }
    }

    /// Shows how many processes are left if the session takes long.
    pub(crate) fn show_progress(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    /// For tests: as long as a daemon is connected, only its messages wake the session.
    #[doc(hidden)]
    pub fn wake_by_daemon_only(&mut self) {
        self.daemon_only = true;
    }

    /// Reads the state of the targets once. Returns how many waits are done.
    pub(crate) fn look(&mut self) -> Result<usize, WaitError> {
        let done = self.set.look();
        self.looked(done)
    }

    /// Looks for the last time; see [`WaitSet::look_at_last`].
    pub(crate) fn look_at_last(&mut self) -> Result<usize, WaitError> {
        let done = self.set.look_at_last();
        self.looked(done)
    }

    fn looked(&mut self, done: io::Result<usize>) -> Result<usize, WaitError> {
        let done = done.map_err(WaitError::Look)?;
        self.has_waited |= done < self.set.len();
        self.has_looked = true;
        if self.backends.is_empty() {
            self.backends.push(self.current_backend());
        }
        // The wait goes on after the last message of the daemon.
        if self.daemon.state == State::Finished
            && !self.daemon.has_timed_out
            && done < self.set.len()
        {
            self.lose_exits_of_daemon().map_err(WaitError::Write)?;
        }
        if self.status_of.is_some() && done == self.set.len() && self.lacks_status()? {
            return Ok(done - 1);
        }
        Ok(done)
    }

    /// The source that woke the last look; `None` if no wake-up was needed.
    #[must_use]
    pub fn woken_by(&self) -> Option<&'static str> {
        self.set.woken_by().map(waker_name)
    }

    fn live(&self) -> usize {
        let survivors = self.set.waits().map(|(wait, _)| wait.survivors());
        survivors
            .map(|pids| pids.map_or(0, |pids| pids.len()))
            .sum()
    }

    /// Reports the remaining exits after the last look.
    pub(crate) async fn finish(mut self, outcome: Outcome) -> Result<SessionResult, WaitError> {
        let handed_over_to = self.daemon.handed_over_to;
        self.drain_daemon(outcome).await?;
        // A daemon that is lost after the verdict has served until then.
        self.daemon.handed_over_to = handed_over_to;
        self.progress = None;
        self.report_last_exits().map_err(WaitError::Write)?;
        self.record_hand_over();
        Ok(SessionResult {
            status: self.status(),
            daemon_is_exact: self.daemon.is_exact,
            woken_by: self.woken_by(),
            set: self.set,
            backends: self.backends,
            reported: self.reporter.reported,
            out: self.reporter.printer.out,
            closes_after_exit: self.closes_after_exit,
            hub: self.hub,
            exits: self.exits,
        })
    }

    /// Receives the rest of the daemon's messages, for a limited time.
    async fn drain_daemon(&mut self, outcome: Outcome) -> Result<(), WaitError> {
        // A timeout ends the wait of the daemon too.
        if outcome != Outcome::Timeout || !self.daemon.has_timeout {
            self.daemon.ask_for_rest();
        }
        let limit = Instant::now() + LAST_MESSAGES;
        while self.daemon.state == State::Armed {
            let deadline = limit.min(Instant::now() + NEXT_MESSAGE);
            let Ok(received) = timeout_at(deadline, self.daemon.messages()).await else {
                tracing::warn!("the daemon did not end its stream in time: exits may be missing");
                return self.lose_exits_of_daemon().map_err(WaitError::Write);
            };
            self.apply_messages(received).map_err(WaitError::Write)?;
        }
        Ok(())
    }
}
