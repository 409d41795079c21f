//! Runs the rounds of a group: a new cgroup and a new process for each command.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::groups::{Course, Group};
use crate::bench::{
    contender::{Contender, End},
    rounds,
    wait::{Program, Programs, REPOPULATED, RESTED, Target},
};

/// The period of the loops that the commands are compared with, in microseconds.
const PERIOD_US: u64 = 10_000;

/// The times of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// From the spawn until it was armed.
    pub(super) armed: Option<Duration>,
    pub(super) end: End,
    /// From the population of the cgroup to the kill, or to the start of a cold command.
    pub(super) populated: Duration,
}

/// The samples of each round, by entrant.
pub(super) type Samples = Vec<Vec<Sample>>;

pub(super) struct Runner {
    spawner: Program,
    random: Rng,
    rounds: usize,
}

impl Runner {
    pub(super) fn start(programs: &Programs, rounds: usize) -> Result<Self> {
        Ok(Self {
            spawner: programs.spawner()?,
            random: Rng::with_seed(5),
            rounds,
        })
    }

    pub(super) fn run(&mut self, group: &Group) -> Result<Samples> {
        let mut order: Vec<_> = (0..group.entrants.len()).collect();
        rounds::run(group.name, self.rounds, || {
            self.random.shuffle(&mut order);
            let mut samples = vec![None; order.len()];
            for &index in &order {
                let contender = &group.entrants[index].contender;
                let sample = self.measure(group, contender);
                samples[index] = Some(sample.with_context(|| contender.name)?);
            }
            Ok(samples.into_iter().flatten().collect())
        })
    }

    fn measure(&mut self, group: &Group, contender: &Contender) -> Result<Sample> {
        let mut target = Target::create(false)?;
        let cgroup = target.directory().display().to_string();
        let populated = Instant::now();
        let line = format!("{} keep {cgroup}", group.processes);
        let pid = self.spawner.ask(&line)?;
        let mut armed = None;
        let mut started = match group.course {
            Course::Cold | Course::Armed => {
                self.rest();
                contender.start(&cgroup, &pid)?
            }
            course => {
                let mut started = contender.start(&cgroup, &pid)?;
                armed = Some(started.armed()?);
                if course == Course::Repopulated {
                    rounds::pause(REPOPULATED.saturating_sub(populated.elapsed()));
                } else {
                    self.rest();
                }
                started
            }
        };
        let populated = populated.elapsed();
        let end = match group.course {
            Course::Killed | Course::Repopulated => {
                let begun = Instant::now();
                target.kill()?;
                started.end(begun)?
            }
            Course::Frozen => {
                target.freeze()?;
                let begun = Instant::now();
                target.kill()?;
                target.thaw()?;
                started.end(begun)?
            }
            Course::ProcessKilled => {
                // The spawner reaps the process, which is alive until then.
                let pid = Pid::from_raw(pid.parse()?).context("pid 0")?;
                let begun = Instant::now();
                kill_process(pid, Signal::KILL)?;
                started.end(begun)?
            }
            Course::Cold => {
                let begun = started.begun;
                let end = started.end(begun)?;
                // Not every command ends the processes.
                target.kill()?;
                end
            }
            Course::Armed => {
                armed = Some(started.armed()?);
                let begun = started.begun;
                target.kill()?;
                started.end(begun)?
            }
        };
        let reply = self.spawner.receive()?;
        ensure!(reply == "over", "the spawner replied {reply:?}");
        Ok(Sample {
            armed,
            end,
            populated,
        })
    }

    /// Lets a notification of the kernel pass, and then a random part of a period.
    fn rest(&mut self) {
        rounds::pause(RESTED + Duration::from_micros(self.random.u64(..PERIOD_US)));
    }
}
