//! Reports of single trials on stderr, while others run.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use crate::{
    say,
    trial::{Outcome, Soak, Trial},
};

/// Limit of reported trials; the table counts the rest.
const MOST: usize = 20;

/// Reports failed and slow trials.
pub(crate) struct Reporter {
    reported: usize,
    /// Verdicts that take longer are reported too.
    slow: Option<Duration>,
}

impl Reporter {
    pub(crate) const fn new(slow: Option<Duration>) -> Self {
        Self { reported: 0, slow }
    }

    pub(crate) fn report(&mut self, soak: &Soak, trial: &Trial) {
        let message = trial
            .failure(soak)
            .or_else(|| trial.slowness(soak, self.slow?));
        if let Some(message) = message.filter(|_| self.reported < MOST) {
            self.reported += 1;
            say(&message);
        }
    }
}

/// Prints the number of trials on a terminal, after every thousand.
pub(crate) fn progress(trials: usize) {
    if trials.is_multiple_of(1000) && io::stderr().is_terminal() {
        say(&format!("soak: {trials} done"));
    }
}

impl Trial {
    /// The report of a wrong, hung or failed trial, with the command that repeats it.
    fn failure(&self, soak: &Soak) -> Option<String> {
        let (what, lines) = match &self.result {
            Err(error) => ("FAILED", vec![format!("{error:#}")]),
            Ok(outcome) if outcome.is_refused => return None,
            Ok(outcome) if outcome.met.is_none() => ("HUNG", outcome.state.clone()),
            Ok(outcome) if !outcome.contradictions.is_empty() => {
                let but = outcome.contradictions.iter().map(|it| format!("but {it}"));
                let verdict = format!("verdict {:?} after {:?}", outcome.met, outcome.took);
                let state = outcome.state.iter().cloned();
                (
                    "WRONG",
                    [verdict].into_iter().chain(but).chain(state).collect(),
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
