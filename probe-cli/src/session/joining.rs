//! BPF that joins a session while it waits, and who serves it otherwise.

use probe_user::{
    model,
    unstable::bpf::{
        load::{LoadError, Plan},
        ring::Stream,
    },
};
use tokio::time::Instant;

use super::{Session, exits::Exits};
use crate::output::Backend;

/// What a test breaks of the kernel half once it has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The decisive ring is not read any more.
    Reader,
    /// Its files are closed.
    Files,
}

impl Session {
    /// For tests.
    #[doc(hidden)]
    pub fn break_bpf(&mut self, what: Broken) {
        self.to_break = Some(what);
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

    /// Loads what was to be loaded later, and resolves when it has joined.
    pub async fn load_now(&mut self) -> Result<(), LoadError> {
        if let Some((_, plan)) = self.load_at.take() {
            self.load(plan);
        }
        self.joined().await
    }

    /// Resolves when BPF has joined, or with the reason why it does not.
    pub async fn joined(&mut self) -> Result<(), LoadError> {
        match self.hub.bpf().await {
            Some(loaded) => self.join(loaded),
            None => Ok(()),
        }
    }

    pub(super) fn join(&mut self, loaded: Result<Stream, LoadError>) -> Result<(), LoadError> {
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
        if let Some(what) = self.to_break {
            match what {
                Broken::Reader => self.hub.fail_ring_reader(),
                Broken::Files => self.hub.close_bpf_files(),
            }
            tracing::info!("BPF has joined, and is broken as was asked for");
            self.serve_by(self.serving());
        }
        result
    }

    pub(super) fn say_armed(&mut self) {
        let is_told = self.hub.has_bpf() || self.seat.serves();
        if self.said_armed.replace(is_told) == Some(is_told) {
            return;
        }
        let live = self.live();
        if is_told {
            tracing::info!("armed: {live} processes live, no exit is missed from here on");
        } else {
            tracing::info!("armed: {live} processes live, but exits are not reported");
        }
    }

    pub(super) fn serving(&self) -> Backend {
        if self.hub.has_bpf() {
            return Backend::Bpf;
        }
        if self.seat.serves() {
            return Backend::Daemon;
        }
        let mut each = self.set.waits().map(|(wait, _)| wait.unprivileged());
        if each.any(|backend| backend == model::Backend::Pidfd) {
            Backend::Pidfd
        } else {
            Backend::Poll
        }
    }

    /// What bridges the gap until BPF has joined is told only if the verdict comes
    /// in it.
    pub(super) fn served(&mut self) {
        let is_loading = self.is_loading || self.load_at.is_some();
        if !(is_loading && self.is_left()) {
            self.serve_by(self.serving());
        }
    }

    /// The verdict came in the gap.
    pub(super) fn bridged(&mut self) {
        if let Some(bridge) = self.seat.bridge.filter(|_| self.is_left()) {
            self.serve_by(bridge);
        }
    }

    fn is_left(&self) -> bool {
        self.backends.last() == Some(&Backend::Daemon) && !self.seat.serves()
    }

    pub(super) fn serve_by(&mut self, backend: Backend) {
        if self.backends.last() != Some(&backend) {
            self.backends.push(backend);
        }
    }
}
