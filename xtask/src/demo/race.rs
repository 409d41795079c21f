//! The same cgroup, killed in front of one watcher after the other.

use std::{
    fs::File,
    io::{BufReader, Lines, Read, Seek},
    process::ChildStderr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, test_kill_process},
};

use super::{cgroup::Cgroup, interrupt::Interrupt, wait::Wait};

/// None of them should need it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who waits, and how long it took.
pub(super) type Time = (&'static str, Option<Duration>);

/// Each with a fresh cgroup; no time where the kernel lacks what it needs.
pub(super) fn run(processes: usize, interrupt: &Interrupt) -> Result<Vec<Time>> {
    let mut times = Vec::new();
    for watcher in [
        Watcher::Alive,
        Watcher::Rmdir,
        Watcher::Events,
        Watcher::Probe,
    ] {
        let mut cgroup = Cgroup::create()?;
        cgroup.fill(processes, interrupt)?;
        let time = watcher
            .time(&mut cgroup, interrupt)
            .with_context(|| watcher.name().to_owned());
        interrupt.check()?;
        times.push((watcher.name(), time?));
    }
    Ok(times)
}

#[derive(Clone, Copy)]
enum Watcher {
    Alive,
    Rmdir,
    Events,
    Probe,
}

/// What it needs to know before the kill.
enum Armed {
    Pids(Vec<u32>),
    Nothing,
    Events(File),
    Probe(Wait, Lines<BufReader<ChildStderr>>),
}

impl Watcher {
    const fn name(self) -> &'static str {
        match self {
            Self::Alive => "kill -0 every 100 ms, as runc delete -f",
            Self::Rmdir => "rmdir every 10 ms, as crun delete -f",
            Self::Events => "poll of cgroup.events",
            Self::Probe => "probe wait",
        }
    }

    fn time(self, cgroup: &mut Cgroup, interrupt: &Interrupt) -> Result<Option<Duration>> {
        // v1 has no such file.
        if matches!(self, Self::Events) && !cgroup.events().exists() {
            return Ok(None);
        }
        let armed = self.arm(cgroup, interrupt)?;
        cgroup.freeze()?;
        let begun = Instant::now();
        cgroup.kill();
        cgroup.thaw()?;
        let reaper = cgroup.reap();
        armed.wait(cgroup)?;
        let took = begun.elapsed();
        interrupt.forward_to(0);
        // Nothing in it can panic.
        let _reaped = reaper.join();
        Ok(Some(took))
    }

    fn arm(self, cgroup: &Cgroup, interrupt: &Interrupt) -> Result<Armed> {
        Ok(match self {
            Self::Alive => Armed::Pids(cgroup.pids()),
            Self::Rmdir => Armed::Nothing,
            Self::Events => Armed::Events(File::open(cgroup.events())?),
            Self::Probe => {
                let mut wait = Wait::start_json(cgroup)?;
                interrupt.forward_to(wait.pid());
                let stderr = wait.until_armed(|_| ())?;
                Armed::Probe(wait, stderr)
            }
        })
    }
}

impl Armed {
    fn wait(self, cgroup: &Cgroup) -> Result<()> {
        match self {
            // It sleeps first.
            Self::Pids(pids) => again_and_again(Duration::from_millis(100), true, || {
                pids.iter().all(|&pid| !is_alive(pid))
            }),
            Self::Nothing => {
                again_and_again(Duration::from_millis(10), false, || cgroup.remove().is_ok())
            }
            Self::Events(file) => poll_events(file),
            Self::Probe(mut wait, stderr) => {
                let verdict = wait.until_verdict();
                drop(stderr);
                verdict
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how others wait is what is shown"
)]
fn again_and_again(
    period: Duration,
    sleeps_first: bool,
    mut is_over: impl FnMut() -> bool,
) -> Result<()> {
    let begun = Instant::now();
    if !sleeps_first && is_over() {
        return Ok(());
    }
    while begun.elapsed() < PATIENCE {
        thread::sleep(period);
        if is_over() {
            return Ok(());
        }
    }
    bail!("not over after {} s", PATIENCE.as_secs())
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid).is_ok())
}

fn poll_events(mut file: File) -> Result<()> {
    let patience = Timespec::try_from(PATIENCE)?;
    loop {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        if text.contains("populated 0") {
            return Ok(());
        }
        let mut fds = [PollFd::new(&file, PollFlags::PRI)];
        if poll(&mut fds, Some(&patience))? == 0 {
            bail!("no notification");
        }
    }
}
