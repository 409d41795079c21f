//! Those who run trials, several at a time, and the one who hears of it.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
};

use anyhow::{Result, ensure};

use crate::{
    say,
    spawner::Spawner,
    trial::{Soak, Trial},
};

/// See the module.
pub(crate) struct Workers<'a> {
    soak: &'a Soak,
    messages: Receiver<Message>,
    running: BTreeSet<u64>,
}

enum Message {
    Begun(u64),
    Ended(Box<Trial>),
    Broken(anyhow::Error),
}

impl<'a> Workers<'a> {
    pub(crate) fn start(soak: &'a Arc<Soak>, jobs: u8, trials: Range<u64>) -> Self {
        let (tell, messages) = channel();
        let next = Arc::new(AtomicU64::new(trials.start));
        for _ in 0..jobs {
            let (soak, tell, next) = (Arc::clone(soak), tell.clone(), Arc::clone(&next));
            let claim = move || {
                let index = next.fetch_add(1, Ordering::Relaxed);
                Some(index).filter(|&index| index < trials.end)
            };
            thread::spawn(move || work(&soak, &tell, claim));
        }
        Self {
            soak,
            messages,
            running: BTreeSet::new(),
        }
    }

    /// Whether all came to an end.
    pub(crate) fn collect(mut self, mut take: impl FnMut(Box<Trial>)) -> Result<bool> {
        // A wait, and all that has to be cleared away afterwards.
        let patience = self.soak.patience * 4;
        loop {
            match self.messages.recv_timeout(patience) {
                Ok(Message::Begun(index)) => drop(self.running.insert(index)),
                Ok(Message::Broken(error)) => return Err(error),
                Ok(Message::Ended(trial)) => {
                    self.running.remove(&trial.index);
                    take(trial);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.report_hang();
                    return Ok(false);
                }
            }
        }
        // Whoever ran it has panicked.
        ensure!(
            self.running.is_empty(),
            "trials without an end: {:?}",
            self.running
        );
        Ok(true)
    }

    /// The runtime stands still, and with it the time-outs of the waits.
    fn report_hang(&self) {
        let replays = self.running.iter().map(|&index| self.soak.replay(index));
        let replays: Vec<_> = replays.collect();
        say(&format!("HUNG, one of:\n    {}", replays.join("\n    ")));
    }
}

fn work(soak: &Soak, tell: &Sender<Message>, next: impl Fn() -> Option<u64>) {
    let mut spawner = match Spawner::start() {
        Ok(spawner) => spawner,
        Err(error) => return drop(tell.send(Message::Broken(error))),
    };
    while let Some(index) = next() {
        // Whoever listened has left: then so do we.
        if tell.send(Message::Begun(index)).is_err() {
            return;
        }
        let trial = soak.run(index, &mut spawner);
        if trial.result.is_err() {
            match Spawner::start() {
                Ok(other) => spawner = other,
                Err(error) => return drop(tell.send(Message::Broken(error))),
            }
        }
        if tell.send(Message::Ended(Box::new(trial))).is_err() {
            return;
        }
    }
}
