//! A cgroup with a trace on it: what almost every test begins with.

use serde_json::Value;

use crate::{Cgroup, Finished, Probe, Victim, record};

/// A running trace of all that dies in a cgroup of its own.
#[derive(Debug)]
pub struct TracedCgroup {
    /// The trace. Dropped before the cgroup.
    pub probe: Probe,
    /// What it is of.
    pub cgroup: Cgroup,
}

/// A death, told by both sides.
#[derive(Debug)]
pub struct Death {
    /// What the parent reported: `pid`, `status`, `parent`, `forked_ns` …
    pub report: Value,
    /// The exit line.
    pub exit: Value,
    /// What the victim reported before, if it did.
    pub before: Vec<Value>,
}

impl TracedCgroup {
    /// With no more arguments than the cgroup.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self::with(label, &[])
    }

    /// With more arguments to `probe trace`.
    #[must_use]
    pub fn with(label: &str, args: &[&str]) -> Self {
        Self::within(Cgroup::v2(label), args)
    }

    /// In a cgroup that is there.
    #[must_use]
    pub fn within(cgroup: Cgroup, args: &[&str]) -> Self {
        let args: Vec<&str> = ["--cgroup", cgroup.path()]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        let probe = Probe::trace(&args);
        Self { probe, cgroup }
    }

    /// Starts a victim inside.
    #[must_use]
    pub fn start(&self, words: &[&str]) -> Victim {
        Victim::start(words, Some(&self.cgroup))
    }

    /// Starts a victim inside and returns when it says that it is ready: the
    /// words must say so.
    #[must_use]
    pub fn ready(&self, words: &[&str]) -> Victim {
        let victim = self.start(words);
        let ready = victim.report();
        assert_eq!(record::pid(&ready), victim.pid());
        victim
    }

    /// Runs a victim that is a parent to its end. Its child must have died as
    /// the record says.
    pub fn judge(&mut self, words: &[&str]) -> Death {
        let mut parent = self.start(words);
        let mut before = parent.reports();
        assert_eq!(parent.wait(), 0, "{words:?}: {before:#?}");
        let report = before.pop().expect("a parent reports");
        let exit = self.probe.exit_of(record::pid(&report));
        assert_eq!(
            report["status"],
            record::wait_status(&exit),
            "{words:?}: {report} but {exit}"
        );
        Death {
            report,
            exit,
            before,
        }
    }

    /// Waits for a victim that this process is the parent of. It must have died
    /// as the record says.
    pub fn judge_child(&mut self, victim: &mut Victim) -> Value {
        let status = victim.wait();
        let exit = self.probe.exit_of(victim.pid());
        assert_eq!(status, record::wait_status(&exit), "{exit}");
        exit
    }

    /// Returns when everything that died until now has been told.
    pub fn catch_up(&mut self) {
        let mut marker = self.start(&["exit", "0"]);
        marker.wait();
        let _marked = self.probe.exit_of(marker.pid());
    }

    /// Ends the trace.
    #[must_use]
    pub fn finish(self) -> Finished {
        let Self { probe, cgroup } = self;
        let finished = probe.finish();
        drop(cgroup);
        finished
    }
}
