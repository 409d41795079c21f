//! Waits with the library repeatedly, for `cargo xtask bench wait`, which compares it with a
//! bare poll.
//!
//! `bench_waiter bpf|pidfd|poll` prints `ready` when the backend serves. For each input line,
//! `empty DIRECTORY` or `reaped PID`, it prints `armed`, then the moment of the verdict
//! (`CLOCK_MONOTONIC`, ns) and the name of the waker. `bench_waiter daemon SOCKET` sends each
//! wait to a daemon, as the command does, and `bench_waiter daemon-only SOCKET` has no other
//! waker.

use std::{
    future::pending,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use probe_cli::{
    output::{Out, StopFlag},
    session::{DaemonRequest, ReportOptions, Session},
};
use probe_daemon::client::Trust;
use probe_user::{
    model::{Backend, Filter, Until},
    unstable::{
        bpf::load::Plan,
        cgroup::mounts::Mounts,
        container::{Resolver, StateRoots},
        wait::{Hub, Target, WokenBy},
    },
};
use rustix::time::{ClockId, clock_gettime};

const USAGE: &str = "usage: bench_waiter bpf|pidfd|poll|daemon SOCKET|daemon-only SOCKET";

/// The library itself, or a client of a daemon.
enum Waiter {
    Hub(Hub),
    Client { socket: PathBuf, daemon_only: bool },
}

// The command uses this flavor too.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let waiter = match (args.next().as_deref(), args.next()) {
        (Some("bpf"), None) => Waiter::Hub(loaded().await?),
        (Some("pidfd"), None) => Waiter::Hub(Hub::start(Backend::Pidfd)),
        (Some("poll"), None) => Waiter::Hub(Hub::start(Backend::Poll)),
        (Some(mode @ ("daemon" | "daemon-only")), Some(socket)) => Waiter::Client {
            socket: socket.into(),
            daemon_only: mode == "daemon-only",
        },
        _ => bail!(USAGE),
    };
    say("ready")?;
    // Between two waits the runtime may block: no record needs to be read then.
    for line in io::stdin().lock().lines() {
        let (target, until) = parse(&line?)?;
        let by = match &waiter {
            Waiter::Hub(hub) => wait(hub, target, until).await?,
            Waiter::Client {
                socket,
                daemon_only,
            } => ask(socket, *daemon_only, target, until).await?,
        };
        say(&by)?;
    }
    Ok(())
}

async fn loaded() -> Result<Hub> {
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(Plan::decisive());
    hub.bpf().await.context("the hub is gone")??;
    Ok(hub)
}

fn parse(line: &str) -> Result<(Target, Until)> {
    Ok(match line.split_once(' ').context(USAGE)? {
        ("empty", path) => (Target::cgroup(Path::new(path))?, Until::Empty),
        ("reaped", pid) => (Target::process(pid.parse()?)?, Until::Reaped),
        _ => bail!("unknown request: {line}"),
    })
}

async fn wait(hub: &Hub, target: Target, until: Until) -> Result<String> {
    let mut wait = hub.arm(target, until)?;
    say("armed")?;
    let met = wait.met().await?;
    let moment = monotonic_ns()?;
    Ok(verdict(moment, met.woken_by.map(WokenBy::as_str)))
}

/// Waits as `probe wait` does, without output.
async fn ask(socket: &Path, daemon_only: bool, target: Target, until: Until) -> Result<String> {
    let mut out = Out::stdout(StopFlag::default())?;
    out.discard_output();
    let mut session = Session::new(
        Backend::Pidfd,
        ReportOptions {
            wanted: Filter::default(),
            columns: None,
            mounts: Mounts::read()?,
            resolver: Resolver::unwatched(StateRoots::system(None, Vec::new())),
            out,
        },
    );
    session.arm(target, until)?;
    if daemon_only {
        session.wake_by_daemon_only();
    }
    session.ask_daemon(DaemonRequest {
        socket: socket.to_owned(),
        trust: Trust::default(),
        patience: PATIENCE,
        is_named: true,
        timeout: None,
        fallback: (Plan::decisive(), Duration::ZERO),
    });
    session.daemon_answered().await??;
    say("armed")?;
    let never = pin!(pending());
    session.follow(1, None, never).await?;
    let moment = monotonic_ns()?;
    Ok(verdict(moment, session.woken_by()))
}

fn verdict(moment_ns: u64, woken_by: Option<&str>) -> String {
    let by = woken_by.unwrap_or("nothing");
    format!("{moment_ns} {by}")
}

/// Limit for the daemon's first responses.
const PATIENCE: Duration = Duration::from_secs(10);

fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec)?;
    Ok(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}

fn say(line: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("write to stdout")
}
