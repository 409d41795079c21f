//! `probe wait`: until a cgroup is empty.

use std::{
    io,
    os::fd::AsFd,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use tokio::sync::oneshot;

use super::{
    ExitCode, Failure,
    quantity::{duration, nanoseconds},
    stop,
    target::{self, CgroupTarget},
    terminal::{self, Say},
};
use crate::{
    container::{Resolver, StateRoots},
    filter::Wanted,
    output::{Out, Stdout, StopFlag, human::Columns, is_closed, verdict::Verdict},
    pipeline::{
        Told,
        wait::{self, Settings},
    },
    source::{
        cgroup_events::{PinError, PinnedCgroup},
        cgroupfs::Mount,
        hook::Hook,
        load::{self, DEFAULT_STREAM_BYTES, Plan},
        survivors,
    },
    waiter::{Backend, Level, Outcome},
};

/// Wait until a cgroup holds no process any more
///
/// Done means: `populated` is 0, `cgroup.procs` is empty and `rmdir` succeeds,
/// for the cgroup and all below it. A cgroup that is empty, or that somebody
/// removed already, is done at once. Prints the processes that ended meanwhile,
/// then the verdict.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A path on a cgroup mount, or below the root of a hierarchy
    #[arg(long, value_name = "PATH", required = true)]
    cgroup: PathBuf,

    /// Which hierarchy --cgroup means: v2, or the name of a v1 controller
    #[arg(long, value_name = "NAME")]
    hierarchy: Option<String>,

    /// Give up after this time: 250ms, 2.5 (seconds), 1m30s; 0 looks once
    #[arg(short, long, value_name = "DUR", value_parser = duration)]
    timeout: Option<Duration>,

    /// A cgroup that is not there is an error (exit code 4)
    #[arg(long)]
    must_exist: bool,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, say: Say) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let mounts = target::mounts()?;
    let target = target::cgroup(&mounts, &args.cgroup, args.hierarchy.as_deref())?;
    let mut wait = Wait {
        args,
        say,
        begun,
        target,
    };
    let Some(pinned) = wait.pin()? else {
        say.line(&format!("{} is gone already", wait.target.path));
        let ended = wait::Ended::at_once(Outcome::Already, Backend::Pidfd);
        return wait.finish(None, &ended, None);
    };
    let at_once = |outcome| wait::Ended::at_once(outcome, wait::unprivileged(&pinned));
    if wait::look(&pinned)? != Level::Populated {
        return wait.finish(None, &at_once(Outcome::Already), Some(&pinned));
    }
    if wait.args.timeout == Some(Duration::ZERO) {
        return wait.finish(None, &at_once(Outcome::Timeout), Some(&pinned));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(wait.until_empty(&pinned, mounts))
}

struct Wait {
    args: Args,
    say: Say,
    begun: Instant,
    target: CgroupTarget,
}

impl Wait {
    /// `None`: it is gone already, and that is what was waited for.
    fn pin(&self) -> Result<Option<PinnedCgroup>, Failure> {
        let Self { target, args, .. } = self;
        let error = match PinnedCgroup::open(target.mount.hierarchy, &target.directory) {
            Ok(pinned) => return Ok(Some(pinned)),
            Err(error) => error,
        };
        let errno = match &error {
            PinError::Open { source, .. } => Errno::from_io_error(source),
            PinError::Root { .. } => None,
        };
        match errno {
            Some(Errno::NOENT | Errno::NODEV) if !target.parent_exists() => Err(target
                .missing()
                .hint("its parent is not there either: a typo?")),
            Some(Errno::NOENT | Errno::NODEV) if self.is_elsewhere() => Err(target
                .missing()
                .hint(format!("{} is on no cgroup mount", args.cgroup.display()))),
            Some(Errno::NOENT | Errno::NODEV) if args.must_exist => Err(target.missing()),
            Some(Errno::NOENT | Errno::NODEV) => Ok(None),
            Some(Errno::NOTDIR) => Err(Failure::new(ExitCode::NoSuchTarget, error)),
            Some(Errno::ACCESS | Errno::PERM) => Err(Failure::new(ExitCode::NotAvailable, error)),
            _ => Err(Failure::new(ExitCode::Usage, error).hint("wait for a cgroup below it")),
        }
    }

    /// A path of something else that exists is no cgroup that was removed.
    fn is_elsewhere(&self) -> bool {
        self.args.cgroup.is_absolute() && self.args.cgroup.exists()
    }

    async fn until_empty(
        &mut self,
        pinned: &PinnedCgroup,
        mounts: Vec<Mount>,
    ) -> Result<ExitCode, Failure> {
        let (stop, flag) = stop::requested()?;
        let mut stop = Box::pin(stop);
        let mut interrupted = None;
        let wanted = Wanted {
            subtrees: vec![self.target.subtree()],
            ..Wanted::default()
        };
        let loading = load(pinned, &wanted)?;
        let subtree = wait::as_subtree(&self.target.mount, &self.target.directory)
            .ok_or_else(|| self.target.missing())?;
        let settings = Settings {
            wanted,
            columns: self.columns(),
            timeout: self
                .args
                .timeout
                .map(|timeout| timeout.saturating_sub(self.begun.elapsed())),
        };
        let resolver = Resolver::new(StateRoots::system(terminal::runtime_dir(), Vec::new()));
        let (ended, out) = wait::run(
            settings,
            pinned,
            loading,
            (mounts, subtree),
            Out::stdout(flag)?,
            resolver,
            async { interrupted = Some(stop.as_mut().await) },
        )
        .await?;
        let code = self.finish(Some(out), &ended, Some(pinned))?;
        Ok(interrupted.map_or(code, ExitCode::Signal))
    }

    fn columns(&self) -> Option<Columns> {
        (!self.args.json).then(|| Columns::new(terminal::width(), terminal::colour()))
    }

    fn finish(
        &self,
        out: Option<Out<Stdout>>,
        ended: &wait::Ended,
        pinned: Option<&PinnedCgroup>,
    ) -> Result<ExitCode, Failure> {
        let survivors = match (ended.outcome, pinned) {
            (Outcome::Timeout | Outcome::Interrupted, Some(pinned)) => {
                survivors::describe(&pinned.members()?)
            }
            _ => Vec::new(),
        };
        let Told { shown, lost, .. } = ended.told;
        let verdict = Verdict {
            outcome: ended.outcome,
            backends: ended.backends.clone(),
            woken_by: ended.woken_by.map(wait::WokenBy::as_str),
            exact: true,
            elapsed_ns: nanoseconds(self.begun.elapsed()),
            cgroup: pinned.map(|pinned| pinned.id),
            path: self.target.path.clone(),
            exits: shown,
            lost,
            survivors,
        };
        self.print(out, &verdict)?;
        Ok(match ended.outcome {
            Outcome::Timeout => ExitCode::TimedOut,
            _ => ExitCode::Done,
        })
    }

    fn print(&self, out: Option<Out<Stdout>>, verdict: &Verdict) -> io::Result<()> {
        let mut out = out.map_or_else(|| Out::stdout(StopFlag::default()), Ok)?;
        let written = if self.args.json {
            out.line(|line| verdict.write_json(line))
        } else {
            out.line(|line| verdict.write_human(line))
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if !is_closed(&error) => return Err(error),
            _ => {}
        }
        let mut list = Vec::new();
        verdict.write_survivors(&mut list)?;
        if !list.is_empty() {
            self.say.line(&format!(
                "still there:\n{}",
                String::from_utf8_lossy(&list).trim_end()
            ));
        }
        Ok(())
    }
}

/// Loads on a thread of its own: the wait goes on meanwhile, and is right
/// without BPF too, so a refusal is no failure.
fn load(pinned: &PinnedCgroup, wanted: &Wanted) -> io::Result<oneshot::Receiver<wait::Loaded>> {
    let mut hooks = vec![Hook::CgroupPopulated, Hook::CgroupRemoved];
    hooks.extend(Hook::EXITS);
    let mut cgroups = Vec::new();
    if wanted.kernel_tests_subtrees() {
        cgroups.push(pinned.as_fd().try_clone_to_owned()?);
    }
    let plan = Plan {
        hooks,
        filter: wanted.kernel_filter(DEFAULT_STREAM_BYTES),
        cgroups,
        pids: Vec::new(),
        stream_bytes: DEFAULT_STREAM_BYTES,
    };
    let id = pinned.id;
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("loader".to_owned())
        .spawn(move || {
            let loaded = load::load(&plan).and_then(|(mut attached, rings)| {
                attached.watch(id)?;
                Ok((attached, rings))
            });
            // The wait may be over: then nobody needs it.
            let _over = tell.send(loaded);
        })?;
    Ok(told)
}
