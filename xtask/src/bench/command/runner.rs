//! Runs the rounds of a group: a new cgroup and a new process for each command.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::groups::{Course, Group, PERIOD};
use crate::bench::{
    contender::{Contender, End},
    rounds,
    wait::{Program, Programs, REPOPULATED, RESTED, Target},
};

/// The times of one command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// From the spawn until it was armed.
    pub(super) armed: Option<Duration>,
    pub(crate) end: End,
    /// From the population of the cgroup to the kill, or to the start of a cold command.
    pub(super) populated: Duration,
}

/// The samples of each round, by entrant.
pub(super) type Samples = Vec<Vec<Sample>>;

pub(crate) struct Runner {
    spawner: Program,
    random: Rng,
}

impl Runner {
    pub(crate) fn start(programs: &Programs) -> Result<Self> {
        Ok(Self {
            spawner: programs.spawner()?,
            random: Rng::with_seed(5),
        })
    }

    pub(super) fn run(&mut self, group: &Group, rounds: usize) -> Result<Samples> {
        let mut order: Vec<_> = (0..group.entrants.len()).collect();
        rounds::run(group.name, rounds, || {
            self.random.shuffle(&mut order);
            let mut samples = vec![None; order.len()];
            for &index in &order {
                let contender = &group.entrants[index].contender;
                // Kills fall on every part of a period.
                let delay = PERIOD.mul_f64(self.random.f64());
                let sample = self.measure(group.course, group.processes, contender, delay);
                samples[index] = Some(sample.with_context(|| contender.name)?);
            }
            Ok(samples.into_iter().flatten().collect())
        })
    }

    /// Runs a command once. The kill, or the start of a cold command, comes `delay` after the
    /// kernel's notifications have passed.
    pub(crate) fn measure(
        &mut self,
        course: Course,
        processes: usize,
        contender: &Contender,
        delay: Duration,
    ) -> Result<Sample> {
        let mut target = Target::create(false)?;
        let cgroup = target.directory().display().to_string();
        let populated = Instant::now();
        let line = format!("{processes} keep {cgroup}");
        let pid = self.spawner.ask(&line)?;
        let mut armed = None;
        let mut started = match course {
            Course::Cold | Course::Armed => {
                rounds::pause(RESTED + delay);
                contender.start(&cgroup, &pid)?
            }
            _ => {
                let mut started = contender.start(&cgroup, &pid)?;
                armed = Some(started.armed()?);
                if course == Course::Repopulated {
                    rounds::pause(REPOPULATED.saturating_sub(populated.elapsed()));
                } else {
                    rounds::pause(RESTED + delay);
                }
                started
            }
        };
        let populated = populated.elapsed();
        let end = match course {
            Course::Killed | Course::Repopulated => {
                let begun = Instant::now();
                target.kill()?;
                started.end(begun)?
            }
            Course::Frozen => {
                target.freeze()?;
                // The notification of the freeze wakes a command too. It must have looked at the
                // cgroup by the time of the kill.
                rounds::pause(REPOPULATED);
                let begun = Instant::now();
                target.kill()?;
                // A command that removes the cgroup may have done so.
                if let Err(error) = target.thaw()
                    && target.directory().exists()
                {
                    return Err(error);
                }
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
}
