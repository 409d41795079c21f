//! A cgroup with a running trace.

use serde_json::Value;

use crate::{Cgroup, Finished, Probe, Victim, record};

/// A cgroup and a running trace of its exits.
#[derive(Debug)]
pub struct TracedCgroup {
    /// The trace. Dropped before the cgroup.
    pub probe: Probe,
    /// The traced cgroup.
    pub cgroup: Cgroup,
}

/// The end of a process, as its parent and as `probe` report it.
#[derive(Debug)]
pub struct Death {
    /// The parent's report: `pid`, `status`, `parent`, `forked_ns` …
    pub report: Value,
    /// The exit record.
    pub exit: Value,
    /// Earlier reports of the victim.
    pub before: Vec<Value>,
}

impl TracedCgroup {
    /// Traces a new cgroup.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self::with(label, &[])
    }

    /// Traces a new cgroup with more arguments to `probe trace`.
    #[must_use]
    pub fn with(label: &str, args: &[&str]) -> Self {
        Self::within(Cgroup::v2(label), args)
    }

    /// Traces this cgroup.
    #[must_use]
    pub fn within(cgroup: Cgroup, args: &[&str]) -> Self {
        let args: Vec<&str> = ["--cgroup", cgroup.path()]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        let probe = Probe::trace(&args);
        Self { probe, cgroup }
    }

    /// Starts a victim in the cgroup.
    #[must_use]
    pub fn start(&self, words: &[&str]) -> Victim {
        Victim::start(words, Some(&self.cgroup))
    }

    /// Starts a victim in the cgroup and returns when it reports that it is ready. `words` must
    /// contain `ready`.
    #[must_use]
    pub fn ready(&self, words: &[&str]) -> Victim {
        let victim = self.start(words);
        let ready = victim.report();
        assert_eq!(record::pid(&ready), victim.pid());
        victim
    }

    /// Runs a victim that is a parent. Asserts that the record of its child has the status
    /// that the parent reports.
    pub fn run_parent(&mut self, words: &[&str]) -> Death {
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

    /// Waits for a victim, a child of this process. Asserts that its record has the status of
    /// `waitpid`.
    pub fn reap(&mut self, victim: &mut Victim) -> Value {
        let status = victim.wait();
        let exit = self.probe.exit_of(victim.pid());
        assert_eq!(status, record::wait_status(&exit), "{exit}");
        exit
    }

    /// Returns when all exits up to now have been reported.
    pub fn catch_up(&mut self) {
        let mut marker = self.start(&["exit", "0"]);
        marker.wait();
        self.probe.exit_of(marker.pid());
    }

    /// Ends the trace and removes the cgroup.
    #[must_use]
    pub fn finish(self) -> Finished {
        let Self { probe, cgroup } = self;
        let finished = probe.finish();
        drop(cgroup);
        finished
    }
}
