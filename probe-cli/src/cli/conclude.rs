//! What `wait` and `kill` have in common: from pinned targets to an armed session,
//! and from its result to the verdict.

use std::{
    cell::Cell,
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use probe_daemon::api::Outcome;
use probe_daemon::api::quantity::nanoseconds;
use probe_user::{
    model::{Backend, Filter, Until},
    unstable::{
        bpf::{
            hook::Hook,
            load::{DEFAULT_STREAM_BYTES, Plan},
        },
        cgroup::mounts::Mounts,
        container::Resolver,
        proc::survivors,
    },
};

use super::{
    Failure,
    end::{End, Findings},
    named::PinnedTarget,
    target,
    terminal::{self, Say},
    until::UntilArg,
};
use crate::{
    output::{Out, StopFlag, human::Columns, is_closed, subject::Subject, verdict},
    session::{ReportOptions, Session, SessionResult},
};

/// One run of a verb.
pub(super) struct Call {
    pub(super) begun: Instant,
    pub(super) say: Say,
    pub(super) mounts: Mounts,
    verb: &'static str,
    json: bool,
    took: Cell<Option<Duration>>,
    /// In the order of the command line, with the condition, and whether the session
    /// has a wait for it. Targets that were gone at the start have none.
    targets: Vec<(Subject, Until, bool)>,
}

impl Call {
    pub(super) fn new(
        begun: Instant,
        say: Say,
        verb: &'static str,
        json: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            begun,
            say,
            mounts: target::mounts()?,
            verb,
            json,
            took: Cell::new(None),
            targets: Vec::new(),
        })
    }

    /// Makes a session, and arms a wait for each target that is there. Returns also
    /// the BPF programs that may join the session, and how many waits must be done
    /// until `count` targets (`None`: all) are.
    pub(super) fn arm(
        &mut self,
        named: Vec<PinnedTarget>,
        tier: Backend,
        (until, count): (Option<UntilArg>, Option<usize>),
        resolver: Resolver,
        stop: StopFlag,
    ) -> Result<(Session, Plan, usize), Failure> {
        let options = self.report_options(&named, resolver, stop)?;
        let plan = Self::plan(&named, &options.wanted)?;
        let mut session = Session::new(tier, options);
        let count = count.unwrap_or(named.len());
        let mut gone = 0;
        for target in named {
            for cgroup in &target.cgroups {
                session.learn_paths(&cgroup.mount, &cgroup.directory);
            }
            let until = until.map_or(target.default_until, |it| it.0);
            let is_there = target.pinned.is_some();
            if let Some(pinned) = target.pinned {
                session.arm(pinned, until)?;
            } else {
                gone += 1;
                self.say_gone(&target.subject)?;
            }
            self.targets.push((target.subject, until, is_there));
        }
        Ok((session, plan, count.saturating_sub(gone)))
    }

    /// Reports the exits in the targets' cgroups and of their processes. A record
    /// names one v1 cgroup only, so of several v1 hierarchies the first one counts.
    fn report_options(
        &self,
        named: &[PinnedTarget],
        resolver: Resolver,
        stop: StopFlag,
    ) -> Result<ReportOptions, Failure> {
        let mut wanted = Filter::default();
        let mut v1 = None;
        for target in named {
            // The cgroups of a container hold the same processes in every hierarchy.
            if let Some(cgroup) = target.cgroups.first() {
                let subtree = cgroup.subtree();
                if subtree.hierarchy != 0
                    && *v1.get_or_insert(subtree.hierarchy) != subtree.hierarchy
                {
                    tracing::warn!(
                        path = subtree.path,
                        "exits are not reported: another v1 hierarchy is"
                    );
                    continue;
                }
                wanted.subtrees.push(subtree);
            } else if let Some(pinned) = &target.pinned {
                wanted
                    .pids
                    .extend(pinned.processes.iter().map(|it| it.tgid));
            }
        }
        let columns = || Columns::new(terminal::width(), terminal::colour());
        Ok(ReportOptions {
            wanted,
            columns: (!self.json).then(columns),
            mounts: self.mounts.clone(),
            resolver,
            out: Out::stdout(stop)?,
        })
    }

    /// The BPF programs: those that wake waits, and those for the records of
    /// `wanted`.
    fn plan(named: &[PinnedTarget], wanted: &Filter) -> io::Result<Plan> {
        let mut hooks = vec![Hook::CgroupPopulated, Hook::CgroupRemoved];
        if !wanted.subtrees.is_empty() {
            hooks.push(Hook::CgroupAttach);
        }
        hooks.extend(Hook::EXITS);
        let mut cgroups = Vec::new();
        if wanted.kernel_tests_subtrees() {
            for pinned in named.iter().filter_map(|it| it.pinned.as_ref()) {
                if let Some((cgroup, _)) = pinned.cgroups.first() {
                    cgroups.push(cgroup.as_fd().try_clone_to_owned()?);
                }
            }
        }
        let mut filter = wanted.kernel_filter(DEFAULT_STREAM_BYTES);
        filter.cgroup_slots = u32::try_from(cgroups.len()).unwrap_or(0);
        let mut pids = wanted.pids.clone();
        if !wanted.kernel_tests_pids() {
            pids.clear();
        }
        Ok(Plan {
            hooks,
            filter,
            cgroups,
            pids,
            stream_bytes: DEFAULT_STREAM_BYTES,
        })
    }

    fn say_gone(&self, subject: &Subject) -> io::Result<()> {
        let mut name = Vec::new();
        subject.write_human(&mut name)?;
        let name = String::from_utf8_lossy(&name);
        self.say.line(&format!("{name} is gone already"));
        Ok(())
    }

    /// Shows a bar on stderr, if that is a terminal and -q is not given.
    pub(super) fn watch_progress(&self, session: &mut Session) {
        if !self.say.is_interactive() {
            return;
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} gone, {elapsed}") {
            bar.set_style(style);
        }
        session.show_progress(bar);
    }

    /// Notes that the last look was now.
    pub(super) fn decided(&self) {
        self.took.set(Some(self.begun.elapsed()));
    }

    /// Prints the verdict, and the processes that are still there.
    pub(super) fn conclude(&self, mut result: SessionResult, end: End) -> Result<(), Failure> {
        let took = self.took.get().unwrap_or_else(|| self.begun.elapsed());
        let verdict = self.verdict(&result, end, took)?;
        let written = if self.json {
            result.out.line(|line| verdict.write_json(line))
        } else {
            result.out.line(|line| verdict.write_human(line))
        };
        match written.and_then(|()| result.out.flush()) {
            Err(error) if !is_closed(&error) => return Err(error.into()),
            _ => {}
        }
        let mut list = Vec::new();
        verdict.write_migrated(&mut list)?;
        self.say_list("moved out and alive:", &list);
        list.clear();
        verdict.write_survivors(&mut list)?;
        self.say_list("still there:", &list);
        Ok(())
    }

    fn say_list(&self, title: &str, list: &[u8]) {
        if !list.is_empty() {
            let list = String::from_utf8_lossy(list);
            self.say.line(&format!("{title}\n{}", list.trim_end()));
        }
    }

    fn verdict(
        &self,
        result: &SessionResult,
        end: End,
        took: Duration,
    ) -> io::Result<verdict::Verdict> {
        let mut waits = result.set.waits();
        let mut findings = Findings::new(end);
        let mut targets = Vec::new();
        for (subject, until, is_there) in &self.targets {
            let outcome = match is_there.then(|| waits.next()).flatten() {
                Some((wait, met)) => findings.add(wait, met)?,
                None => Outcome::Already,
            };
            targets.push(verdict::Judged {
                subject: subject.clone(),
                until: *until,
                outcome,
            });
        }
        let is_known = result.sees_moves || !findings.migrated.is_empty();
        Ok(verdict::Verdict {
            verb: self.verb,
            outcome: end.outcome,
            is_left: end.is_left,
            backends: result.backends.clone(),
            woken_by: result.woken_by.filter(|_| end.is_met()),
            exact: findings.exact,
            elapsed_ns: nanoseconds(took),
            targets,
            exits: result.reported.shown,
            lost: result.reported.lost,
            survivors: survivors::describe(&findings.survivors),
            migrated: is_known.then_some(findings.migrated),
        })
    }
}
