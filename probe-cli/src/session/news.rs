//! What comes while a session runs, and what is done about it.

use std::{
    future::{Future, pending},
    io,
    pin::Pin,
    time::Duration,
};

use indicatif::ProgressBar;
use probe_daemon::api::Outcome;
use probe_user::{
    model::Process,
    unstable::bpf::{load::LoadError, ring::Stream},
};
use tokio::time::{Instant, sleep_until};

use super::{Session, WaitError, exits::Exits, seat::Heard};

/// How often somebody who looks on is told how many are left.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

enum News {
    Look,
    Loaded(Option<Box<Result<Stream, LoadError>>>),
    Records(io::Result<()>),
    Words(Vec<Heard>),
    LoadNow,
    Progress,
}

impl Session {
    /// Waits until `needed` are done.
    pub async fn run(
        &mut self,
        needed: usize,
        deadline: Option<Instant>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Outcome, WaitError> {
        if !self.is_loading && self.load_at.is_none() && !self.seat.is_asked() {
            self.say_armed();
        }
        let mut progress_at = Instant::now() + PROGRESS_EVERY * 5;
        loop {
            let hears_itself = !(self.is_deaf && self.seat.is_open());
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
            let news = tokio::select! {
                biased;
                () = &mut stop => return Ok(Outcome::Interrupted),
                () = self.set.woken(), if hears_itself => News::Look,
                loaded = self.hub.bpf(), if self.is_loading => News::Loaded(loaded.map(Box::new)),
                many = self.exits.many() => News::Records(many),
                heard = self.seat.words() => News::Words(heard),
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
            News::Look => self.served(),
            News::Words(heard) => return self.heed(heard),
            News::Records(Ok(())) => {}
            News::Records(Err(error)) => {
                tracing::info!(%error, "exits are not reported any more");
                self.exits = Exits::none();
            }
            News::Loaded(Some(loaded)) => {
                // Why not is in the log: the wait goes on by itself.
                let _told = self.join(*loaded);
                self.say_armed();
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
        beside(self.progress.as_ref(), || exits.tell(teller, &mut moved))?;
        self.follow(&moved);
        Ok(())
    }

    /// Who left a cgroup that is waited for, or was put into it. A process that
    /// descends from a member is one too, though nobody saw it before it left.
    pub(super) fn follow(&mut self, moved: &[Process]) {
        for process in moved {
            for wait in self.set.waits_mut() {
                let start_ns = process.start_boottime_ns;
                if wait.was_member(process.tgid, start_ns) || wait.was_born_to_member(process) {
                    wait.follow(process.tgid, start_ns);
                }
            }
        }
    }

    fn progress(&mut self) {
        let live = self.live() as u64;
        if let Some(bar) = &self.progress {
            let most = bar.length().unwrap_or(0).max(live);
            // Nobody to be shown, as where an empty cgroup is to be removed.
            if most == 0 {
                return;
            }
            bar.set_length(most);
            bar.set_position(most - live);
        }
    }
}

/// Lines and the bar may be on the same terminal, once it shows anything.
pub(super) fn beside<T>(bar: Option<&ProgressBar>, tell: impl FnOnce() -> T) -> T {
    match bar.filter(|bar| bar.length() != Some(0)) {
        Some(bar) => bar.suspend(tell),
        None => tell(),
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
