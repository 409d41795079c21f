//! `probe run --clean`: removes the cgroups of runs that SIGKILL has ended.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use probe_user::{
    model::{CgroupState, Signal},
    unstable::{
        cgroup::{
            control::CgroupControl,
            mounts::{Mount, Mounts},
            pinned::PinnedCgroup,
        },
        kill::{FREEZE_AFTER, KillTarget, SignalRequest},
        run::{Member, stale},
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    cli::{ExitCode, Failure, target},
    output::{Out, StopFlag, human::printable, ignore_closed},
};

/// How long a cgroup may take to become empty after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run() -> Result<ExitCode, Failure> {
    let mounts: Mounts = target::mounts()?;
    let Some(mount) = mounts.of_hierarchy(0) else {
        let message = "no cgroup v2 is mounted, so no run has left a cgroup";
        return Err(Failure::message(ExitCode::NotAvailable, message));
    };
    let mut out = Out::stdout(StopFlag::default())?;
    let mut first = None;
    for path in stale::find(mount)? {
        match clean(mount, &path) {
            Ok(Some(members)) => {
                let names: Vec<_> = members
                    .iter()
                    .map(|it| format!("{}[{}]", printable(&it.comm), it.pid))
                    .collect();
                let killed = match names.as_slice() {
                    [] => "no process was left".to_owned(),
                    names => format!("killed {}", names.join(", ")),
                };
                let line = format!("removed {}: {killed}", path.display());
                ignore_closed(out.line(|it| {
                    it.extend(line.as_bytes());
                    Ok(())
                }))?;
            }
            Ok(None) => {}
            Err(failure) => {
                tracing::error!("cannot clean {}: {:#}", path.display(), failure.error);
                first.get_or_insert(failure);
            }
        }
    }
    ignore_closed(out.flush())?;
    first.map_or(Ok(ExitCode::Done), Err)
}

/// Kills what is in the cgroup and removes it. Returns the processes that it had; `None` if its run
/// is alive, or if another process has removed it.
fn clean(mount: &Mount, path: &Path) -> Result<Option<Vec<Member>>, Failure> {
    let pinned = match PinnedCgroup::open(mount, path) {
        Err(error) if error.missing().is_some() => return Ok(None),
        pinned => pinned?,
    };
    if !stale::is_over(&pinned) {
        return Ok(None);
    }
    let target = probe_user::unstable::wait::Target {
        cgroups: vec![pinned],
        ..Default::default()
    };
    let kill = KillTarget::of(&target)?;
    let pinned = &target.cgroups[0];
    let control = CgroupControl::of(pinned)?;
    let pids = control.members()?;
    let members = pids.into_iter().filter_map(Member::living).collect();
    if pinned.state()? == CgroupState::Populated {
        kill.check(Signal::KILL, false)?;
        kill.signal(&mut SignalRequest {
            signal: Signal::KILL,
            freeze_after: FREEZE_AFTER,
            should_stop: &|| false,
            before_freeze: &mut |_, _| {},
        })?;
        wait_until_empty(pinned)?;
    }
    control.remove()?;
    Ok(Some(members))
}

fn wait_until_empty(cgroup: &PinnedCgroup) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(100);
    while cgroup.state()? == CgroupState::Populated {
        if Instant::now() >= deadline {
            return Err(io::Error::other("a process survives SIGKILL"));
        }
        let events = cgroup.events().map(|it| PollFd::new(it, PollFlags::PRI));
        let mut fds: Vec<_> = events.into_iter().collect();
        poll(&mut fds, Timespec::try_from(pause).ok().as_ref())?;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    Ok(())
}
