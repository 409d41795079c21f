//! What the daemon says, and what is done about it.

use std::{io, time::Duration};

use probe_daemon::{
    api::Outcome,
    client::{ClientError, Word},
};
use tokio::time::{Instant, timeout_at};

use super::{
    Session, WaitError,
    asking::say_without,
    exits::heard,
    news::beside,
    seat::{Heard, State},
};

/// How long the verdict waits for what the daemon still has to tell.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The daemon says that all is over, and a look does not agree: by then it must.
const DOUBTED: Duration = Duration::from_millis(50);

impl Session {
    /// After the last look: tells what the daemon still has to tell, within
    /// bounds.
    pub async fn settle(&mut self, outcome: Outcome) -> Result<(), WaitError> {
        let done: Vec<_> = self.set.waits().map(|(_, met)| met.is_some()).collect();
        let is_over = match outcome {
            Outcome::Timeout => self.seat.has_timeout,
            Outcome::Interrupted => false,
            Outcome::Done | Outcome::Already => true,
        };
        let patience = if is_over { LAST_WORDS } else { Duration::ZERO };
        let deadline = Instant::now() + patience;
        while self.seat.state == State::Armed {
            if outcome != Outcome::Timeout && self.seat.has_told(&done) {
                return Ok(());
            }
            let Ok(heard) = timeout_at(deadline, self.seat.words()).await else {
                if is_over {
                    tracing::warn!("the daemon does not come to an end: exits may be missing");
                }
                return Ok(());
            };
            self.heed(heard).map_err(WaitError::Write)?;
        }
        Ok(())
    }

    /// Each word is a reason to look, whatever it says, and so is the end.
    pub(super) fn heed(&mut self, words: Vec<Heard>) -> io::Result<()> {
        self.set.record_external_wake();
        self.teller.clock.sync();
        let bar = self.progress.take();
        let told = beside(bar.as_ref(), || self.heed_each(words));
        self.progress = bar;
        told
    }

    fn heed_each(&mut self, words: Vec<Heard>) -> io::Result<()> {
        if words.is_empty() {
            self.lose(ClientError::Gone);
        }
        for word in words {
            match word {
                Ok(word) => self.heed_one(word)?,
                Err(error) => self.lose(error),
            }
        }
        heard(&mut self.teller, Ok(0))
    }

    fn heed_one(&mut self, word: Word) -> io::Result<()> {
        match word {
            Word::Armed(_) => {
                if self.seat.state == State::Asked {
                    self.seat.state = State::Armed;
                    self.set.reregister();
                    self.serve_by(self.serving());
                    // Or the first look is still to come: what ends from now on is
                    // told, but was not waited for.
                    if self.has_looked {
                        self.say_armed();
                    }
                }
            }
            Word::Record(record) => {
                if let Err(error) = self.teller.tell_chosen(&record) {
                    return heard(&mut self.teller, Err(error));
                }
            }
            Word::Met(target) => {
                if let Some(met) = self.seat.met.get_mut(target) {
                    *met = true;
                }
            }
            Word::Verdict(verdict) => {
                tracing::debug!(verdict.outcome, "the daemon's verdict");
                self.seat.state = State::Over;
                self.fall_back(DOUBTED);
            }
            Word::Goodbye => {
                tracing::info!("the daemon says goodbye");
                self.unseat();
            }
        }
        Ok(())
    }

    /// The wait goes on without it.
    fn lose(&mut self, error: ClientError) {
        if self.seat.is_open() {
            say_without(error, self.seat.is_named);
            self.unseat();
        }
    }

    pub(super) fn unseat(&mut self) {
        self.seat.leave();
        self.seat.bridge = Some(self.serving());
        self.fall_back(Duration::ZERO);
    }

    fn fall_back(&mut self, at_least: Duration) {
        if let Some((plan, delay)) = self.seat.fallback.take() {
            // Whoever joins says so.
            self.said_armed = None;
            self.load_at(Instant::now() + delay.max(at_least), plan);
        }
    }
}
