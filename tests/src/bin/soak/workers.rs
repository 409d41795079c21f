//! Threads that run trials, and the collection of their results.

use std::{
    collections::BTreeSet,
    ops::{ControlFlow, Range},
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

/// The running workers, as the main thread sees them.
pub(crate) struct Workers<'a> {
    soak: &'a Soak,
    messages: Receiver<Message>,
    running: BTreeSet<u64>,
    /// The number of the next trial, and the end.
    next: Arc<AtomicU64>,
    end: u64,
}

enum Message {
    Begun(u64),
    Ended(Box<Trial>),
    Broken(anyhow::Error),
}

impl<'a> Workers<'a> {
    pub(crate) fn start(soak: &'a Arc<Soak>, jobs: u8, trials: Range<u64>) -> Self {
        let (sender, messages) = channel();
        let next = Arc::new(AtomicU64::new(trials.start));
        for _ in 0..jobs {
            let (soak, sender, next) = (Arc::clone(soak), sender.clone(), Arc::clone(&next));
            let claim = move || {
                let index = next.fetch_add(1, Ordering::Relaxed);
                Some(index).filter(|&index| index < trials.end)
            };
            thread::spawn(move || work(&soak, &sender, claim));
        }
        Self {
            soak,
            messages,
            running: BTreeSet::new(),
            next,
            end: trials.end,
        }
    }

    /// Collects the results until `take` breaks; returns false if a trial hangs.
    pub(crate) fn collect(
        mut self,
        mut take: impl FnMut(Box<Trial>) -> ControlFlow<()>,
    ) -> Result<bool> {
        // The time for a wait and for the clean-up.
        let patience = self.soak.patience * 4;
        loop {
            match self.messages.recv_timeout(patience) {
                Ok(Message::Begun(index)) => drop(self.running.insert(index)),
                Ok(Message::Broken(error)) => return Err(error),
                Ok(Message::Ended(trial)) => {
                    self.running.remove(&trial.index);
                    if take(trial).is_break() {
                        self.next.store(self.end, Ordering::Relaxed);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.report_hang();
                    return Ok(false);
                }
            }
        }
        // A running trial without a worker: the worker has panicked.
        ensure!(
            self.running.is_empty(),
            "trials without an end: {:?}",
            self.running
        );
        Ok(true)
    }

    /// Reports trials without a result: the runtime hangs, and with it the timeouts of the waits.
    fn report_hang(&self) {
        let replays = self.running.iter().map(|&index| self.soak.replay(index));
        let replays: Vec<_> = replays.collect();
        say(&format!("HUNG, one of:\n    {}", replays.join("\n    ")));
    }
}

fn work(soak: &Soak, sender: &Sender<Message>, next: impl Fn() -> Option<u64>) {
    let mut spawner = match Spawner::start() {
        Ok(spawner) => spawner,
        Err(error) => return drop(sender.send(Message::Broken(error))),
    };
    while let Some(index) = next() {
        // The main thread has stopped collecting.
        if sender.send(Message::Begun(index)).is_err() {
            return;
        }
        let trial = soak.run(index, &mut spawner);
        if trial.result.is_err() {
            match Spawner::start() {
                Ok(other) => spawner = other,
                Err(error) => return drop(sender.send(Message::Broken(error))),
            }
        }
        if sender.send(Message::Ended(Box::new(trial))).is_err() {
            return;
        }
    }
}
