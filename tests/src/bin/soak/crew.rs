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
    nursery::Nursery,
    say,
    trial::{Course, Trial},
};

/// See the module.
pub(crate) struct Crew<'a> {
    course: &'a Course,
    news: Receiver<News>,
    running: BTreeSet<u64>,
}

enum News {
    Begun(u64),
    Ended(Box<Trial>),
    Broken(anyhow::Error),
}

impl<'a> Crew<'a> {
    pub(crate) fn start(course: &'a Arc<Course>, jobs: u8, trials: Range<u64>) -> Self {
        let (tell, news) = channel();
        let next = Arc::new(AtomicU64::new(trials.start));
        for _ in 0..jobs {
            let (course, tell, next) = (Arc::clone(course), tell.clone(), Arc::clone(&next));
            let claim = move || {
                let index = next.fetch_add(1, Ordering::Relaxed);
                Some(index).filter(|&index| index < trials.end)
            };
            thread::spawn(move || work(&course, &tell, claim));
        }
        Self {
            course,
            news,
            running: BTreeSet::new(),
        }
    }

    /// Whether all came to an end.
    pub(crate) fn collect(mut self, mut take: impl FnMut(Box<Trial>)) -> Result<bool> {
        // A wait, and all that has to be cleared away afterwards.
        let patience = self.course.patience * 4;
        loop {
            match self.news.recv_timeout(patience) {
                Ok(News::Begun(index)) => drop(self.running.insert(index)),
                Ok(News::Broken(error)) => return Err(error),
                Ok(News::Ended(trial)) => {
                    self.running.remove(&trial.index);
                    take(trial);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.tell_of_stuck();
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
    fn tell_of_stuck(&self) {
        let replays = self.running.iter().map(|&index| self.course.replay(index));
        let replays: Vec<_> = replays.collect();
        say(&format!("HUNG, one of:\n    {}", replays.join("\n    ")));
    }
}

fn work(course: &Course, tell: &Sender<News>, next: impl Fn() -> Option<u64>) {
    let mut nursery = match Nursery::start() {
        Ok(nursery) => nursery,
        Err(error) => return drop(tell.send(News::Broken(error))),
    };
    while let Some(index) = next() {
        // Whoever listened has left: then so do we.
        if tell.send(News::Begun(index)).is_err() {
            return;
        }
        let trial = course.run(index, &mut nursery);
        if trial.result.is_err() {
            match Nursery::start() {
                Ok(other) => nursery = other,
                Err(error) => return drop(tell.send(News::Broken(error))),
            }
        }
        if tell.send(News::Ended(Box::new(trial))).is_err() {
            return;
        }
    }
}
