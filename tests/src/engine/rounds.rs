//! The rounds of a container: each starts it, lists it, traces it, and ends it by a kill of
//! the engine that `probe wait` follows, or by `probe kill`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{CleanUp, Container, Engine};
use crate::{Output, Probe, Waiting, probe_in, requirements};

/// What a round checks, in the order of [`Results`].
pub const CHECKS: [&str; 6] = ["wait", "kill", "trace", "ps", "removal", "bystanders"];

const WAIT: usize = 0;
const KILL: usize = 1;
const TRACE: usize = 2;
const PS: usize = 3;
const REMOVAL: usize = 4;
const BYSTANDERS: usize = 5;

/// Rounds with a fault after which no more are run.
const MOST_FAULTS: usize = 3;

/// The results of the rounds of one engine.
#[derive(Debug, Default)]
pub struct Results {
    /// How often each of [`CHECKS`] passed, and how often it was made.
    pub passed: [(usize, usize); CHECKS.len()],
    /// How often the engine refused the removal until it had noticed the end.
    pub late: usize,
    /// The longest time from the first refusal to the removal.
    pub latest: Duration,
    /// A message for each check that failed.
    pub faults: Vec<String>,
}

impl Results {
    /// Makes a check and counts it.
    fn check(&mut self, which: usize, round: usize, check: impl FnOnce()) {
        self.passed[which].1 += 1;
        if self.attempt(which, round, check).is_some() {
            self.passed[which].0 += 1;
        }
    }

    /// Begins a check, which counts when it is finished or fails.
    fn begin<T>(&mut self, which: usize, round: usize, begin: impl FnOnce() -> T) -> Option<T> {
        let begun = self.attempt(which, round, begin);
        self.passed[which].1 += usize::from(begun.is_none());
        begun
    }

    fn attempt<T>(&mut self, which: usize, round: usize, part: impl FnOnce() -> T) -> Option<T> {
        let panic = match catch_unwind(AssertUnwindSafe(part)) {
            Ok(done) => return Some(done),
            Err(panic) => panic,
        };
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied());
        let message = message.unwrap_or("a panic without a message");
        let what = CHECKS[which];
        self.faults
            .push(format!("round {round}, {what}: {message}"));
        None
    }
}

/// Runs this number of rounds, with two bystanders: a container of the same engine with a name
/// that begins with the first one's, and a container of the same name elsewhere.
///
/// # Errors
///
/// If the engine starts no container.
pub fn rounds(engine: &dyn Engine, number: usize) -> Result<Results, String> {
    let name = &format!("e{}web", std::process::id());
    let longer = &format!("{name}2");
    let _clean_up = [CleanUp(engine, name), CleanUp(engine, longer)];
    engine.start(longer)?;
    let longer = Container::of(engine.init(longer), engine.processes(), engine.place());
    let twin = engine.twin();
    let _twin_clean_up = CleanUp(&*twin, name);
    twin.start(name)?;
    let twin = Container::of(twin.init(name), twin.processes(), twin.place());
    let bystanders = [(&longer, longer.living()), (&twin, twin.living())];
    let mut results = Results::default();
    for round in 0..number {
        if results.faults.len() >= MOST_FAULTS {
            break;
        }
        let _clean_up = CleanUp(engine, name);
        engine.start(name)?;
        let container = Container::of(engine.init(name), engine.processes(), engine.place());
        let run = Round {
            engine,
            name,
            container: &container,
        };
        results.check(PS, round, || run.ps());
        let mut trace = None;
        // A trace follows cgroups, and podman of a user may make none.
        if requirements::has_bpf() && !container.cgroups.is_empty() {
            trace = results.begin(TRACE, round, || run.trace());
        }
        if let Some(target) = engine.ambiguous(name).filter(|_| round == 0) {
            results.check(BYSTANDERS, round, || run.assert_refused(&target));
        }
        if round % 2 == 0 {
            results.check(WAIT, round, || run.wait(round));
        } else {
            results.check(KILL, round, || run.kill());
        }
        let mut late = None;
        results.check(REMOVAL, round, || late = run.removal());
        results.late += usize::from(late.is_some());
        results.latest = results.latest.max(late.unwrap_or_default());
        if let Some(trace) = trace {
            results.check(TRACE, round, || run.traced(trace));
        }
        results.check(BYSTANDERS, round, || {
            for (bystander, before) in &bystanders {
                assert_eq!(bystander.living(), *before, "processes of a bystander");
            }
        });
    }
    Ok(results)
}

/// A container that runs.
struct Round<'a> {
    engine: &'a dyn Engine,
    name: &'a str,
    container: &'a Container,
}

impl Round<'_> {
    /// `probe` with these words before those of the container.
    fn probe(&self, words: &[&str], target: &[String]) -> std::process::Command {
        let target = target.iter().map(String::as_str);
        let args: Vec<_> = words.iter().copied().chain(target).collect();
        self.engine.place().probe(&args)
    }

    fn target(&self) -> Vec<String> {
        self.engine.target(self.name)
    }

    fn ps(&self) {
        let output = probe_in(&mut self.probe(&["ps", "--json"], &self.target()));
        assert_eq!(output.code, Some(0), "{output:#?}");
        let lines = output.json();
        let listed: Vec<_> = lines.iter().filter(|it| it["type"] == "process").collect();
        assert_eq!(listed.len(), self.engine.processes(), "{output:#?}");
        if !self.engine.place().is_guest() {
            let mut pids = self.container.pids();
            pids.retain(|pid| !listed.iter().any(|it| it["pid"] == *pid));
            assert!(pids.is_empty(), "{pids:?} are missing: {output:#?}");
        }
    }

    fn trace(&self) -> Probe {
        Probe::trace_in(&mut self.probe(&["trace", "--json"], &self.target()))
    }

    /// An ambiguous name is refused, and no process dies.
    fn assert_refused(&self, target: &[String]) {
        let output = probe_in(&mut self.probe(&["kill"], target));
        assert_eq!(output.code, Some(2), "{output:#?}");
        let living = self.container.living();
        assert!(living.len() >= self.engine.processes(), "{output:#?}");
    }

    /// The engine kills, and a wait ends when the container has stopped. A second wait has one
    /// of the cgroups as its target.
    fn wait(&self, round: usize) {
        let place = self.engine.place();
        let cgroups = &self.container.cgroups;
        let by_cgroup = (round % 4 == 2 && !place.is_guest() && !cgroups.is_empty()).then(|| {
            let index = (round / 4) % cgroups.len();
            let path = cgroups[index].to_str().expect("UTF-8");
            let args = Waiting::args(&["--cgroup", path]);
            (index, Waiting::armed_in(&mut place.probe(&args)))
        });
        let by_name = self.probe(&Waiting::args(&[]), &self.target());
        let by_name = Waiting::armed_in(&mut { by_name });
        self.engine.kill(self.name);
        if cgroups.is_empty() {
            // In the pid namespace of the host podman kills the first process alone.
            self.container.kill();
        }
        if let Some((index, waiting)) = by_cgroup {
            let output = waiting.finish();
            let left = self.container.procs(index);
            assert_eq!(output.code, Some(0), "{output:#?}");
            assert!(left.is_empty(), "{left:?} in {output:#?}");
        }
        let output = by_name.finish();
        self.assert_stopped(&output);
        self.assert_exits(&output);
    }

    fn kill(&self) {
        let words = ["kill", "--json", "-t", "30"];
        let output = probe_in(&mut self.probe(&words, &self.target()));
        self.assert_stopped(&output);
    }

    fn assert_stopped(&self, output: &Output) {
        let living = self.container.living();
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert!(living.is_empty(), "{living:?} live: {output:#?}");
        let verdict = output.verdict("done");
        let told = &verdict["targets"][0]["container"];
        assert_eq!(told["runtime"], self.engine.runtime(), "{output:#?}");
    }

    /// Asserts that the wait reported each exit, or counted it as lost.
    fn assert_exits(&self, output: &Output) {
        let mut lines = output.json();
        let verdict = lines.pop().expect("a verdict");
        if !requirements::has_bpf() {
            assert!(lines.is_empty(), "exits without BPF: {output:#?}");
            return;
        }
        let number = |name: &str| verdict[name].as_u64().expect("a number");
        let all = number("exits") + number("lost");
        assert!(all >= self.engine.processes() as u64, "{output:#?}");
    }

    /// Removes the container. If the engine refuses the first time, returns the time until it
    /// had noticed the end and removed the container.
    fn removal(&self) -> Option<Duration> {
        let refused = self.engine.remove(self.name).err()?;
        let begun = Instant::now();
        self.engine.settle(self.name);
        let removed = self.engine.remove(self.name);
        assert_eq!(removed, Ok(()), "the first time: {refused}");
        Some(begun.elapsed())
    }

    /// Ends the trace, which has a record of each exit.
    fn traced(&self, trace: Probe) {
        let finished = if self.engine.place().is_guest() {
            trace.finish_child()
        } else {
            trace.finish()
        };
        let is_its = |line: &&Value| line["container"]["runtime"] == self.engine.runtime();
        let exits = finished.exits().filter(is_its).count();
        let lost = usize::try_from(finished.lost).expect("a count");
        let expected = self.engine.processes();
        assert!(
            exits + lost >= expected,
            "{exits} of {expected}: {finished:#?}"
        );
        let exited = |pid: &u32| !finished.exits_of(*pid).is_empty();
        if lost == 0 && !self.engine.place().is_guest() {
            let mut pids = self.container.pids();
            pids.retain(|pid| !exited(pid));
            assert!(pids.is_empty(), "no exit of {pids:?}: {finished:#?}");
        }
    }
}
