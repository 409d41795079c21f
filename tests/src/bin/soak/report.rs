//! What is said of single trials while the others run.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use crate::{
    say,
    trial::{Outcome, Soak, Trial},
};

/// Trials that are told of in full; the rest is counted.
const MOST: usize = 20;

/// See the module.
pub(crate) struct Reporter {
    told: usize,
    /// Verdicts that came later are told of too.
    slow: Option<Duration>,
}

impl Reporter {
    pub(crate) const fn new(slow: Option<Duration>) -> Self {
        Self { told: 0, slow }
    }

    pub(crate) fn tell(&mut self, soak: &Soak, trial: &Trial) {
        let message = trial
            .failure(soak)
            .or_else(|| trial.slowness(soak, self.slow?));
        if let Some(message) = message.filter(|_| self.told < MOST) {
            self.told += 1;
            say(&message);
        }
    }
}

/// On a terminal, now and then.
pub(crate) fn progress(trials: usize) {
    if trials.is_multiple_of(1000) && io::stderr().is_terminal() {
        say(&format!("soak: {trials} done"));
    }
}

impl Trial {
    /// All that is needed to have it again, if it went wrong.
    fn failure(&self, soak: &Soak) -> Option<String> {
        let (what, lines) = match &self.result {
            Err(error) => ("FAILED", vec![format!("{error:#}")]),
            Ok(outcome) if outcome.met.is_none() => ("HUNG", outcome.state.clone()),
            Ok(outcome) if !outcome.contradictions.is_empty() => {
                let but = outcome.contradictions.iter().map(|it| format!("but {it}"));
                let said = format!("said {:?} after {:?}", outcome.met, outcome.took);
                let state = outcome.state.iter().cloned();
                (
                    "WRONG",
                    [said].into_iter().chain(but).chain(state).collect(),
                )
            }
            Ok(_) => return None,
        };
        let replay = soak.replay(self.index);
        let lines = lines.join("\n    ");
        Some(format!(
            "{what}: {replay}\n    {:?}\n    {lines}",
            self.plan
        ))
    }
}

impl Trial {
    fn slowness(&self, soak: &Soak, limit: Duration) -> Option<String> {
        let outcome = self.result.as_ref().ok()?;
        (outcome.took > limit).then(|| {
            let replay = soak.replay(self.index);
            let Outcome { met, took, .. } = outcome;
            format!(
                "slow: {replay}\n    {:?}\n    {met:?} after {took:?}",
                self.plan
            )
        })
    }
}
