//! `cargo xtask demo`: probe waits for a real cgroup, then beside other watchers.

use std::{
    io::{BufRead, BufReader, IsTerminal, Lines},
    os::unix::process::CommandExt,
    process::{ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use crate::{
    bench::{Kind, Program, Programs, Target},
    checkout,
    command::{self, OwnedChild},
    environment::variable,
    privilege::Privilege,
    table,
};

/// Kill a cgroup of 50 processes and see when it is over
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary is there; set when sudo runs this again
    #[arg(long, hide = true)]
    built: bool,
}

/// Number of processes: enough that the kernel takes a visible time to tear them down.
const PROCESSES: usize = 50;

/// The watchers that are compared; `None` is `probe wait`.
const WATCHERS: [(&str, Option<Kind>); 4] = [
    (
        "kill -0 every 100 ms, as runc delete -f",
        Some(Kind::KillZero(100)),
    ),
    (
        "rmdir every 10 ms, as crun delete -f",
        Some(Kind::Rmdir(10)),
    ),
    ("poll of cgroup.events", Some(Kind::Poll(10_000))),
    ("probe wait", None),
];

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.built {
        if !checkout::probe().exists() {
            println!("building probe (the first time takes a few minutes)");
        }
        checkout::build_probe()?;
    }
    if Privilege::own() == Privilege::Sudo {
        println!("BPF needs root: asking sudo");
        let program = std::env::current_exe().context("find this program")?;
        let mut sudo = Command::new("sudo");
        return Err(sudo.arg(program).args(["demo", "--built"]).exec()).context("run sudo");
    }
    // These signals end nothing by themselves, so that the cgroups are removed.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register(signal, interrupted.clone()).context("handle a signal")?;
    }
    let target = match Target::create(false) {
        Ok(target) => target,
        Err(error) => {
            println!("No cgroup can be made here. What this machine offers:");
            show_command("probe doctor");
            // It fails if nothing works, and prints the reason.
            Command::new(checkout::probe()).arg("doctor").status()?;
            return Err(error.context("needs root: run this as root, or install sudo"));
        }
    };
    let programs = Programs::peers()?;
    let mut spawner = programs.spawner()?;
    show(target, &mut spawner)?;
    println!("\nThe same {PROCESSES} processes four times more, frozen, killed and thawed.");
    println!("How long after the kill is the answer there?\n");
    let mut times = Vec::new();
    for (name, kind) in WATCHERS {
        ensure!(!interrupted.load(Ordering::SeqCst), "interrupted");
        let time = time(kind, &programs, &mut spawner).with_context(|| name.to_owned());
        times.push((name, time?));
    }
    print!("{}", bars(&times));
    Ok(())
}

/// Shows how `probe wait` reports the end of a cgroup.
fn show(mut target: Target, spawner: &mut Program) -> Result<()> {
    let place = target.directory().display().to_string();
    println!("A cgroup with {PROCESSES} processes, as a container would be:");
    show_command(&format!("mkdir {place}"));
    spawner.ask(&format!("{PROCESSES} keep {place}"))?;
    println!("\nprobe waits for it to become empty, in the background:");
    show_command(&format!("probe wait --cgroup {place} &"));
    let (mut probe, stderr) = start_wait(&target, &[])?;
    println!("\nNow all of them are killed:");
    let begun = Instant::now();
    target.kill()?;
    let returned = begun.elapsed();
    let listed = fs::read_to_string(target.directory().join("cgroup.procs"))?;
    show_command(&format!("echo 1 > {place}/cgroup.kill"));
    let left = listed.lines().count();
    println!("done after {returned:.0?}; cgroup.procs lists {left} processes.\n");
    for line in stderr.map_while(Result::ok) {
        eprintln!("{line}");
    }
    let status = probe.0.wait().context("wait for probe")?;
    let over = begun.elapsed();
    let removed = fs::remove_dir(target.directory());
    ensure!(status.success(), "probe wait ended with {status}");
    println!("\nprobe was done {over:.1?} after the kill. So the directory can go, at once:");
    show_command(&format!("rmdir {place}"));
    removed.context("rmdir right after the verdict")?;
    println!("done, nothing is left behind.");
    spawner.receive().map(drop)
}

/// A `probe wait` that is armed, and the rest of its stderr. With `--json` its output is
/// read, otherwise the user sees it.
fn start_wait(
    target: &Target,
    words: &[&str],
) -> Result<(OwnedChild, Lines<BufReader<ChildStderr>>)> {
    let is_shown = words.is_empty();
    let mut command = Command::new(checkout::probe());
    command.args(["-v", "wait", "--cgroup"]);
    command.arg(target.directory()).args(words);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    if !is_shown {
        command.stdout(Stdio::piped());
    }
    let mut child = command::spawn(&mut command)?;
    let mut stderr = BufReader::new(child.0.stderr.take().context("no stderr")?).lines();
    for line in stderr.by_ref() {
        let line = line.context("stderr of probe wait")?;
        if is_shown {
            eprintln!("{line}");
        }
        if line.contains("armed") {
            return Ok((child, stderr));
        }
    }
    let status = child.0.wait()?;
    bail!("probe wait ended before it was armed, with {status}")
}

/// The time from a kill to the answer of a watcher.
fn time(kind: Option<Kind>, programs: &Programs, spawner: &mut Program) -> Result<Duration> {
    let mut target = Target::create(false)?;
    let directory = target.directory().display().to_string();
    let pid = spawner.ask(&format!("{PROCESSES} keep {directory}"))?;
    let begun;
    if let Some(kind) = kind {
        let mut watcher = programs.start(kind)?;
        watcher.ask(&kind.request(false, &directory, &pid))?;
        begun = kill_frozen(&mut target)?;
        watcher.receive()?;
    } else {
        let (mut probe, _stderr) = start_wait(&target, &["--json"])?;
        let stdout = probe.0.stdout.take().context("no stdout")?;
        begun = kill_frozen(&mut target)?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let is_verdict = |line: String| line.contains("\"type\":\"wait\"");
        ensure!(lines.any(is_verdict), "probe wait ended without a verdict");
    }
    let took = begun.elapsed();
    spawner.receive()?;
    Ok(took)
}

/// Returns the moment before the kill.
fn kill_frozen(target: &mut Target) -> Result<Instant> {
    target.freeze()?;
    let begun = Instant::now();
    target.kill()?;
    target.thaw()?;
    Ok(begun)
}

/// The times as bars. The longest bar has 40 characters, and every bar is visible.
fn bars(times: &[(&str, Duration)]) -> String {
    let longest = times.iter().map(|(_, time)| time.as_micros()).max();
    let longest = longest.unwrap_or(0).max(1);
    let row = |(name, time): &(&str, Duration)| {
        let length = (time.as_micros() * 40 / longest).max(1);
        let bar: String = (0..length).map(|_| '█').collect();
        let ms = time.as_secs_f64() * 1000.0;
        table::row([name, &format!("{bar} {ms:.1} ms")])
    };
    table::aligned(&times.iter().map(row).collect::<Vec<_>>())
}

/// Shows a command as a user would type it.
fn show_command(command: &str) {
    if std::io::stdout().is_terminal() && variable("NO_COLOR").is_none() {
        println!("\x1b[1m$ {command}\x1b[0m");
    } else {
        println!("$ {command}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_times_and_always_visible() {
        let bars = bars(&[
            ("long name", Duration::from_millis(100)),
            ("x", Duration::from_micros(1)),
        ]);
        let longest = "█".repeat(40);
        let expected = format!("long name  {longest} 100.0 ms\nx          █ 0.0 ms\n");
        assert_eq!(bars, expected);
    }
}
