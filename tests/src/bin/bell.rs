//! Waits with the library, again and again: what `cargo xtask bench wait` holds
//! against a bare poll.
//!
//! `bell bpf|pidfd|poll` says `ready` when the backend serves. To each line,
//! `empty DIRECTORY` or `reaped PID`, it answers `armed`, then the moment
//! (`CLOCK_MONOTONIC`, ns) of the verdict and what woke it.

use std::{
    io::{self, BufRead, Write},
    path::Path,
};

use anyhow::{Context, Result, bail};
use probe_user::{
    source::load::Plan,
    wait::{Hub, Target, WokenBy},
    waiter::{Backend, Until},
};
use rustix::time::{ClockId, clock_gettime};

const USAGE: &str = "usage: bell bpf|pidfd|poll";

// As the command has it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let hub = match args.next().as_deref() {
        Some("bpf") => loaded().await?,
        Some("pidfd") => Hub::start(Backend::Pidfd),
        Some("poll") => Hub::start(Backend::Poll),
        _ => bail!(USAGE),
    };
    say("ready")?;
    // Between two waits nothing has to be served: a record for nobody may lie.
    for line in io::stdin().lock().lines() {
        wait(&hub, &line?).await?;
    }
    Ok(())
}

async fn loaded() -> Result<Hub> {
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(Plan::decisive());
    hub.bpf().await.context("the hub is gone")??;
    Ok(hub)
}

async fn wait(hub: &Hub, line: &str) -> Result<()> {
    let (target, until) = match line.split_once(' ').context(USAGE)? {
        ("empty", path) => (Target::cgroup(Path::new(path))?, Until::Empty),
        ("reaped", pid) => (Target::process(pid.parse()?)?, Until::Reaped),
        _ => bail!("no such question: {line}"),
    };
    let mut wait = hub.arm(target, until)?;
    say("armed")?;
    let met = wait.met().await?;
    let moment = monotonic_ns()?;
    let by = met.woken_by.map_or("nothing", WokenBy::as_str);
    say(&format!("{moment} {by}"))
}

fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec)?;
    Ok(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}

fn say(line: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("nobody listens")
}
