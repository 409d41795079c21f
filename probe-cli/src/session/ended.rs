//! What is left of a session.

use probe_user::{model::ExitStatus, unstable::wait::WaitSet};

use super::{Session, WaitError};
use crate::output::{Backend, Out, Stdout, reporter::Told, waker_word};

/// What is left of a session.
pub struct Ended {
    /// The waits, to be asked for survivors and migrants.
    pub set: WaitSet,
    /// What served, in the order in which it came.
    pub(crate) backends: Vec<Backend>,
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
    /// The word for what led to the last look.
    #[must_use]
    pub fn woken_by(&self) -> Option<&'static str> {
        self.set.woken_by().map(waker_word)
    }
}

impl Session {
    /// Tells the last records; what is left to say is the verdict.
    pub fn finish(mut self) -> Result<Ended, WaitError> {
        if let Some(bar) = &self.progress {
            bar.finish_and_clear();
        }
        let losses = self.hub.stream_losses();
        let mut moved = Vec::new();
        self.exits
            .tell_all(&mut self.teller, &mut moved, losses)
            .map_err(WaitError::Write)?;
        self.follow(&moved);
        self.bridged();
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
