//! The common part of `wait` and `kill`: arms a session for pinned targets.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::AsFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use probe_daemon::api::{json::SubjectObject, quantity::duration};
use probe_user::{
    model::{Backend, Filter, Signal, Until},
    unstable::{
        bpf::{hook::Hook, load::Plan},
        cgroup::mounts::Mounts,
        container::Resolver,
        proc::pinned::PinnedProcess,
    },
};

use super::{
    Failure,
    backend::{BackendChoice, BackendSelection},
    format::FormatArg,
    named::{MissingArg, PinnedTarget, TargetArgs},
    ready_fd::ReadyFd,
    socket::Socket,
    target,
    terminal::Messages,
    until::UntilArg,
};
use crate::{
    output::{Out, Progress, StopFlag, human::Columns, verdict},
    session::{ReportOptions, Session},
};

/// Size of the ring of exit records: 4,600 exits, of which the reader is woken after a quarter. A
/// larger ring takes longer to make and to unmap.
const STREAM_BYTES: u32 = 1 << 20;

/// The arguments that `wait` and `kill` share.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(
    clap::ArgGroup::new("target")
        .args(TargetArgs::GROUP)
        .required(true)
        .multiple(true)
))]
pub(super) struct WaitArgs {
    #[command(flatten)]
    pub(super) targets: TargetArgs,

    #[command(flatten)]
    pub(super) missing: MissingArg,

    /// Condition to wait for [default: depends on the target]
    ///
    /// The default is `exited` for a process, `empty` for a cgroup or unit, and
    /// `stopped` for a container.
    #[arg(long, value_name = "STATE", value_enum)]
    pub(super) until: Option<UntilArg>,

    /// Give up after this time (250ms, 2.5 or 1m30s) [default: no limit]
    ///
    /// A number without a unit is in seconds. The time starts with the command; probe
    /// exits with code 3 when it is up. With 0, probe checks the targets once.
    #[arg(short, long, value_name = "DUR", value_parser = duration)]
    pub(super) timeout: Option<Duration>,

    /// What wakes the wait
    ///
    /// A backend changes how soon the wait ends, never its result. Naming a backend
    /// that is not available is an error (exit code 5).
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub(super) backend: BackendChoice,

    #[command(flatten)]
    socket: Socket,

    #[command(flatten)]
    format: FormatArg,

    /// Write a newline to this file descriptor when the wait is armed
    ///
    /// From then on no change of the targets is missed. The descriptor, 3 or above, is then
    /// closed. If probe ends before, its reader gets the end of the file alone.
    #[arg(long, value_name = "FD", value_parser = ReadyFd::parse)]
    ready_fd: Option<ReadyFd>,
}

impl WaitArgs {
    pub(super) const fn backends(&self, plan: Plan) -> BackendSelection<'_> {
        BackendSelection {
            choice: self.backend,
            socket: &self.socket,
            timeout: self.timeout,
            plan: Some(plan),
        }
    }
}

/// One run of `wait` or `kill`.
pub(super) struct Invocation {
    pub(super) begun: Instant,
    pub(super) messages: Messages,
    pub(super) mounts: Mounts,
    pub(super) verb: &'static str,
    pub(super) json: bool,
    /// Whether anything is printed on stdout.
    prints: bool,
    /// The columns of exits; `None` for JSON.
    columns: Option<Columns>,
    pub(super) took: Cell<Option<Duration>>,
    /// The signal of a kill, unless it is SIGKILL, which no process handles.
    pub(super) sent: Cell<Option<Signal>>,
    /// Number of processes that a kill has signalled.
    pub(super) killed: Cell<Option<u64>>,
    /// Whether the command removes the cgroups of the targets.
    pub(super) removes: Cell<bool>,
    /// The cgroups that a kill leaves behind and in which the kernel kills processes that are
    /// started directly in them.
    pub(super) kills_clones: RefCell<Vec<PathBuf>>,
    /// The targets in the order of the command line, with their conditions, and whether the
    /// session has a wait for them. It has none for targets that were gone at the start.
    pub(super) targets: Vec<(SubjectObject, Until, bool)>,
}

impl Invocation {
    pub(super) fn new(
        messages: Messages,
        verb: &'static str,
        args: &WaitArgs,
    ) -> Result<Self, Failure> {
        Ok(Self {
            begun: Instant::now(),
            messages,
            mounts: target::mounts()?,
            verb,
            json: args.format.is_json(),
            prints: !messages.are_quiet() || args.format.is_chosen(),
            columns: args.format.records()?,
            took: Cell::new(None),
            sent: Cell::new(None),
            killed: Cell::new(None),
            removes: Cell::new(false),
            kills_clones: RefCell::default(),
            targets: Vec::new(),
        })
    }

    /// Creates a session and arms a wait for each target that exists. Returns also the BPF
    /// programs that may join the session, and how many of its waits must be done for
    /// `count` targets (`None` for all) to be done.
    pub(super) fn arm(
        &mut self,
        named: Vec<PinnedTarget>,
        resolver: Resolver,
        tier: Backend,
        args: &WaitArgs,
        count: Option<usize>,
        stop: StopFlag,
    ) -> Result<(Session, Plan, usize), Failure> {
        let options = self.report_options(&named, resolver, stop)?;
        let plan = Self::plan(&named, &options.wanted)?;
        let mut session = Session::new(tier, options);
        let count = count.unwrap_or(named.len());
        let mut gone = 0;
        for target in named {
            for cgroup in target.pinned.iter().flat_map(|it| &it.cgroups) {
                session.learn_paths(cgroup);
            }
            let until = args.until.map_or(target.default_until, |it| it.0);
            if let Some(note) = target.note {
                let name = verdict::name(&target.subject);
                self.messages.print(&format!("{name} {note}"));
            }
            let exists = target.pinned.is_some();
            if let Some(pinned) = target.pinned {
                session.arm(pinned, until)?;
            } else {
                gone += 1;
                // The verdict for people says that the target did not exist.
                if self.json {
                    let name = verdict::name(&target.subject);
                    self.messages.print(&format!("note: {name} did not exist"));
                }
                if let Some(missing) = target.missing {
                    let missing = missing.display();
                    self.messages
                        .print(&format!("note: {missing} does not exist"));
                }
            }
            self.targets.push((target.subject, until, exists));
        }
        Ok((session, plan, count.saturating_sub(gone)))
    }

    /// Selects which exits are reported: those in the cgroups of the targets and those of
    /// their processes. A record names one v1 cgroup only, so exits are reported in the v1
    /// hierarchy of the first such target.
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
                        "exits in this cgroup are not reported, because the targets are in several v1 hierarchies"
                    );
                    continue;
                }
                wanted.subtrees.push(subtree);
            } else if let Some(pinned) = &target.pinned {
                wanted
                    .processes
                    .extend(pinned.processes.iter().map(PinnedProcess::as_target));
            }
        }
        let mut out = Out::stdout(stop)?;
        if !self.prints {
            out.discard_output();
        }
        Ok(ReportOptions {
            wanted,
            columns: self.columns.clone(),
            mounts: self.mounts.clone(),
            resolver,
            out,
        })
    }

    /// Selects the BPF programs: those that wake waits, and those that record the `wanted`
    /// exits.
    fn plan(named: &[PinnedTarget], wanted: &Filter) -> io::Result<Plan> {
        let mut hooks = Hook::WAITS.to_vec();
        let pinned = named.iter().filter_map(|it| it.pinned.as_ref());
        if pinned
            .flat_map(|it| &it.cgroups)
            .any(|it| it.id.hierarchy != 0)
        {
            hooks.push(Hook::MemberForkedV1);
        }
        hooks.extend(Hook::EXITS);
        let mut cgroups = Vec::new();
        if wanted.kernel_tests_subtrees() {
            for pinned in named.iter().filter_map(|it| it.pinned.as_ref()) {
                if let Some(cgroup) = pinned.cgroups.first() {
                    cgroups.push(cgroup.as_fd().try_clone_to_owned()?);
                }
            }
        }
        let watched = named.iter().filter_map(|it| it.pinned.as_ref());
        let watched = watched.map(|it| it.cgroups.len()).sum::<usize>();
        let watched = u32::try_from(watched).unwrap_or(u32::MAX);
        let mut filter = wanted.kernel_filter(STREAM_BYTES);
        filter.cgroup_slots = u32::try_from(cgroups.len()).unwrap_or(0);
        let mut pids: Vec<_> = wanted.processes.iter().map(|it| it.pid).collect();
        if !wanted.kernel_tests_pids() {
            pids.clear();
        }
        Ok(Plan {
            hooks,
            filter,
            cgroups,
            pids,
            stream_bytes: STREAM_BYTES,
            // One more for a test of the right to watch.
            watched: watched.saturating_add(1),
            loads_fast: true,
        })
    }

    /// Shows a progress bar on stderr if stderr is a terminal and -q is not given.
    pub(super) fn watch_progress(&self, session: &mut Session) {
        if !self.messages.is_interactive() {
            return;
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} gone, {elapsed}") {
            bar.set_style(style);
        }
        session.show_progress(Progress::show(bar));
    }

    /// Reports that the wait is armed: as a line of JSON, and to the descriptor of `--ready-fd`.
    pub(super) fn announce(&self, session: &mut Session, args: &WaitArgs) -> Result<(), Failure> {
        if self.json {
            session.print_armed()?;
        }
        match args.ready_fd {
            Some(ready) => ready.notify(),
            None => Ok(()),
        }
    }

    /// Records the time of the last look.
    pub(super) fn decided(&self) {
        self.took.set(Some(self.begun.elapsed()));
    }
}
