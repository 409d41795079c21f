//! The loop of a session: look, wait for the next event, apply it. BPF joins while the loop
//! runs.

use std::{future::Future, io, pin::Pin, time::Duration};

use probe_daemon::api::{
    Outcome,
    json::{self, ArmedLine},
};
use probe_user::{
    model,
    unstable::bpf::{
        load::{LoadError, Plan},
        ring::Stream,
    },
};
use tokio::time::{Instant, sleep_until};

use super::{
    Session, WaitError,
    daemon_backend::State,
    exits::{Exits, flush_or_discard},
    explainer::Explaining,
};
use crate::{deadline::until, output::Backend};

/// Time between two updates of the progress bar.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// For tests: the part of BPF to break once it has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BpfFault {
    // The reader of the decisive ring ends.
    Reader,
    // The files of the programs and maps are closed.
    Files,
}

impl Session {
    /// Waits until `needed` waits are done, the deadline has passed, or `stop`
    /// resolves.
    pub async fn follow(
        &mut self,
        needed: usize,
        deadline: Option<Instant>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Outcome, WaitError> {
        if !self.awaits_bpf() && self.daemon.state != State::Asked {
            self.report_armed();
        }
        let mut progress_at = Instant::now() + PROGRESS_EVERY * 5;
        loop {
            if self.look()? >= needed {
                return Ok(Outcome::Done);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                let is_done = self.look_at_last()? >= needed;
                return Ok(if is_done {
                    Outcome::Done
                } else {
                    Outcome::Timeout
                });
            }
            let may_look = !(self.daemon_only && self.daemon.is_connected());
            let explain_at = self.explaining.as_ref().map(Explaining::next);
            let load_at = self.load_bpf_at.as_ref().map(|(when, _)| *when);
            tokio::select! {
                biased;
                () = &mut stop => return Ok(Outcome::Interrupted),
                () = self.set.woken(), if may_look => self.record_current_backend(),
                loaded = self.hub.bpf(), if self.is_loading => self.bpf_loaded(loaded),
                filled = self.exits.filled() => self.ring_filled(filled).map_err(WaitError::Write)?,
                received = self.daemon.messages() => {
                    self.apply_messages(received).map_err(WaitError::Write)?;
                    continue;
                }
                () = until(load_at) => self.start_loading(),
                () = until(deadline) => self.record_current_backend(),
                () = until(explain_at) => {
                    self.explain_now();
                    continue;
                }
                () = sleep_until(progress_at), if self.progress.is_some() => {
                    self.move_progress();
                    progress_at = Instant::now() + PROGRESS_EVERY;
                }
            }
            self.report_exits().map_err(WaitError::Write)?;
        }
    }

    fn bpf_loaded(&mut self, loaded: Option<Result<Stream, LoadError>>) {
        match loaded {
            Some(loaded) => {
                // A failure is in the log already; the wait continues without BPF.
                let _logged = self.join_bpf(loaded);
                self.report_armed();
            }
            None => self.is_loading = false,
        }
    }

    fn ring_filled(&mut self, filled: io::Result<()>) -> io::Result<()> {
        if let Err(error) = filled {
            tracing::info!(%error, "exits are no longer reported");
            return self.lose_ring();
        }
        Ok(())
    }

    /// Starts loading BPF if that is scheduled for later.
    fn start_loading(&mut self) {
        if let Some((_, plan)) = self.load_bpf_at.take() {
            self.load_bpf(plan);
        }
    }

    fn move_progress(&mut self) {
        let live = self.live() as u64;
        if let Some(progress) = &self.progress {
            progress.set_live(live);
        }
    }

    /// For tests: breaks BPF once it has joined.
    #[cfg(feature = "test-switches")]
    pub(crate) fn break_bpf(&mut self, fault: BpfFault) {
        self.bpf_fault = Some(fault);
    }

    /// Starts loading BPF, which joins once it is loaded.
    pub(crate) fn load_bpf(&mut self, plan: Plan) {
        self.hub.load(plan);
        self.is_loading = true;
    }

    /// Loads BPF now if it is scheduled for later, and resolves when it has joined.
    pub(crate) async fn load_bpf_now(&mut self) -> Result<(), LoadError> {
        self.start_loading();
        self.bpf_joined().await
    }

    /// Resolves when BPF has joined, or with the reason why it does not load.
    pub(crate) async fn bpf_joined(&mut self) -> Result<(), LoadError> {
        match self.hub.bpf().await {
            Some(loaded) => self.join_bpf(loaded),
            None => Ok(()),
        }
    }

    fn join_bpf(&mut self, loaded: Result<Stream, LoadError>) -> Result<(), LoadError> {
        self.is_loading = false;
        if let Ok(stream) = &loaded {
            self.reporter.tracker.name_v1(stream.v1_hierarchy());
            self.learn_paths_of_processes();
        }
        let result = match loaded.map(Exits::of) {
            Ok(Ok(exits)) => {
                self.exits = exits;
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "exits are not reported");
                Ok(())
            }
            Err(error) => {
                tracing::info!("continuing without BPF: {:#}", anyhow::anyhow!("{error}"));
                Err(error)
            }
        };
        if result.is_ok() {
            // Done here, where it delays no verdict.
            self.closes_after_exit = probe_user::close_after_exit();
            if !self.closes_after_exit {
                tracing::debug!("no io_uring: the command may end 15 to 60 ms after its verdict");
            }
        }
        self.record_backend(self.current_backend());
        if let Some(fault) = self.bpf_fault {
            match fault {
                BpfFault::Reader => self.hub.fail_ring_reader(),
                BpfFault::Files => self.hub.close_bpf_files(),
            }
            tracing::info!("BPF has joined and was broken on request");
            self.record_backend(self.current_backend());
        }
        result
    }

    /// Schedules the BPF programs that replace the daemon, not before `at_least` has passed:
    /// most waits are over by then, and loading BPF takes CPU time from the exiting tasks.
    pub(super) fn fall_back(&mut self, at_least: Duration) {
        if let Some((plan, delay)) = self.daemon.fallback.take() {
            // The session reports itself as armed again when BPF joins.
            self.reported_armed = None;
            self.load_bpf_at = Some((Instant::now() + delay.max(at_least), plan));
        }
    }

    /// Logs that the session is armed, and logs it again when BPF or a daemon joins or leaves.
    pub(super) fn report_armed(&mut self) {
        let reports_exits = self.reports_exits();
        if self.reported_armed.replace(reports_exits) == Some(reports_exits) {
            return;
        }
        let live = self.live();
        if reports_exits {
            tracing::info!("armed: {live} live processes, no exit is missed from here on");
        } else {
            tracing::info!("armed: {live} live processes, but exits are not reported");
        }
    }

    /// Prints the line of JSON that says that the session is armed.
    pub(crate) fn print_armed(&mut self) -> Result<(), WaitError> {
        let line = ArmedLine::new(self.live() as u64, self.reports_exits());
        let out = &mut self.reporter.printer.out;
        let printed = out.line(|text| json::write(text, &line));
        flush_or_discard(&mut self.reporter, printed.map(|()| 1)).map_err(WaitError::Write)
    }

    fn reports_exits(&self) -> bool {
        self.hub.has_bpf() || self.daemon.reports_exits()
    }

    /// Returns the best backend that serves now.
    pub(super) fn current_backend(&self) -> Backend {
        if self.hub.has_bpf() {
            return Backend::Bpf;
        }
        if self.daemon.serves() {
            return Backend::Daemon;
        }
        let mut each = self.set.waits().map(|(wait, _)| wait.unprivileged());
        if each.any(|backend| backend == model::Backend::Pidfd) {
            Backend::Pidfd
        } else {
            Backend::Poll
        }
    }

    /// Records the current backend, except between the end of the daemon and the start of BPF:
    /// that backend is recorded only if the verdict comes before BPF joins
    /// ([`Session::record_hand_over`]).
    fn record_current_backend(&mut self) {
        if !(self.awaits_bpf() && self.has_lost_daemon()) {
            self.record_backend(self.current_backend());
        }
    }

    /// Records the backend that served after the daemon, if BPF did not join before the verdict.
    pub(super) fn record_hand_over(&mut self) {
        let backend = self.daemon.handed_over_to;
        if let Some(backend) = backend.filter(|_| self.has_lost_daemon()) {
            self.record_backend(backend);
        }
    }

    pub(super) fn record_backend(&mut self, backend: Backend) {
        if self.backends.last() != Some(&backend) {
            self.backends.push(backend);
        }
    }

    fn awaits_bpf(&self) -> bool {
        self.is_loading || self.load_bpf_at.is_some()
    }

    fn has_lost_daemon(&self) -> bool {
        self.backends.last() == Some(&Backend::Daemon) && !self.daemon.serves()
    }
}
