//! `cargo xtask demo`: the main job on real input.

mod bars;
mod cgroup;
mod interrupt;
mod race;
mod wait;

use std::{fs, io::IsTerminal, os::unix::process::CommandExt, process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use self::{cgroup::Cgroup, interrupt::Interrupt, wait::Wait};
use crate::{checkout, command, environment::variable, privilege::Privilege};

/// Kill a cgroup of 50 processes and see when it is over
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary is there; set when sudo runs this again
    #[arg(long, hide = true)]
    built: bool,
}

/// Enough that the kernel takes a while.
const PROCESSES: usize = 50;

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.built {
        build()?;
    }
    if Privilege::own() == Privilege::Sudo {
        let mut sudo = Command::new("sudo");
        say("BPF needs root: asking sudo");
        let program = std::env::current_exe().context("find this program")?;
        return Err(sudo.arg(program).args(["demo", "--built"]).exec()).context("run sudo");
    }
    let interrupt = Interrupt::arm()?;
    match Cgroup::create() {
        Ok(cgroup) => {
            show(cgroup, &interrupt)?;
            compare(&interrupt)?;
        }
        Err(refusal) => {
            interrupt.check()?;
            show_less(&refusal)?;
        }
    }
    if Privilege::own() != Privilege::Root {
        say("Missing: root, or CAP_BPF and CAP_PERFMON. With them probe shows how each process");
        say("ended and who killed it. Run this as root, or install sudo.");
    }
    Ok(())
}

fn build() -> Result<()> {
    let mut cargo = checkout::cargo();
    cargo.args(["build", "--release", "--locked", "-p", "probe-cli"]);
    if !checkout::probe().exists() {
        say("building probe (the first time takes a few minutes)");
    }
    command::run(&mut cargo).context("build probe")
}

/// The whole of it.
fn show(mut cgroup: Cgroup, interrupt: &Interrupt) -> Result<()> {
    let place = cgroup.directory().display().to_string();
    say(&format!(
        "A cgroup with {PROCESSES} processes, as a container would be:"
    ));
    type_in(&format!("mkdir {place}"));
    cgroup.fill(PROCESSES, interrupt)?;
    say("\nprobe waits for it to become empty, in the background:");
    type_in(&format!("probe wait --cgroup {place} &"));
    let mut wait = Wait::start(&cgroup)?;
    interrupt.forward_to(wait.pid());
    let stderr = wait.until_armed(|line| eprintln!("{line}"))?;
    say("\nNow all of them are killed:");
    let begun = Instant::now();
    let how = cgroup.kill();
    let returned = begun.elapsed();
    let left = cgroup.listed();
    type_in(&how);
    say(&format!(
        "done after {returned:.0?}; cgroup.procs lists {left} processes.\n"
    ));
    let status = wait.finish(stderr)?;
    let over = begun.elapsed();
    interrupt.forward_to(0);
    let removed = cgroup.remove();
    interrupt.check()?;
    if !status.success() {
        bail!("probe wait ended with {status}");
    }
    say(&format!(
        "\nprobe was done {over:.1?} after the kill. So the directory can go, at once:"
    ));
    type_in(&format!("rmdir {place}"));
    removed.with_context(|| format!("rmdir {place} right after the verdict"))?;
    say("done, nothing is left behind.");
    Ok(())
}

/// The point of it.
fn compare(interrupt: &Interrupt) -> Result<()> {
    say(&format!(
        "\nThe same {PROCESSES} processes four times more, frozen, killed and thawed. How long after"
    ));
    say("the kill is the answer there?\n");
    let times = race::run(PROCESSES, interrupt)?;
    for line in bars::drawn(&times) {
        say(&line);
    }
    Ok(())
}

/// What works where no cgroup can be made.
fn show_less(refusal: &anyhow::Error) -> Result<()> {
    say(&format!(
        "No cgroup can be made here ({refusal:#}). What this machine offers:"
    ));
    type_in("probe doctor");
    // It fails if nothing works, and has said why.
    let _status = Command::new(checkout::probe())
        .arg("doctor")
        .status()
        .context("run probe")?;
    say("\nAnybody may ask whether an existing cgroup is empty; this one is not:");
    let own = own_cgroup()?;
    type_in(&format!("probe wait --cgroup {own} -t 0"));
    let status = Command::new(checkout::probe())
        .args(["wait", "--cgroup", &own, "-t", "0"])
        .status()
        .context("run probe")?;
    say(&format!("{status} (3 means: not yet)\n"));
    Ok(())
}

/// The cgroup of this process, if it is not the root.
fn own_cgroup() -> Result<String> {
    fs::read_to_string("/proc/self/cgroup")
        .context("read /proc/self/cgroup")?
        .lines()
        .rev()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .find(|path| *path != "/")
        .map(str::to_owned)
        .context("this process is in no cgroup but the root")
}

/// A line for whoever watches, apart from the output of programs.
fn say(text: &str) {
    println!("{text}");
}

/// A command, as one would type it.
fn type_in(command: &str) {
    if std::io::stdout().is_terminal() && variable("NO_COLOR").is_none() {
        println!("\x1b[1m$ {command}\x1b[0m");
    } else {
        println!("$ {command}");
    }
}
