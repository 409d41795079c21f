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
    bench::{Contender, Course, End, Program, Programs, Runner, Sign, Target},
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

/// The watchers that are compared: name, command line, sign that it is armed, and a part of the
/// line with its verdict.
const WATCHERS: [(&str, &str, Sign, &str); 4] = [
    (
        "kill -0 every 100 ms, as runc delete -f",
        "{poll} alive 100 {pid}",
        Sign::Stdout,
        " timer",
    ),
    (
        "rmdir every 10 ms, as crun delete -f",
        "{poll} rmdir 10 {cgroup}",
        Sign::Stdout,
        " timer",
    ),
    (
        "poll of cgroup.events",
        "{poll} events 10000 {cgroup}",
        Sign::Stdout,
        " events",
    ),
    (
        "probe wait",
        "{probe} -v wait --cgroup {cgroup}",
        Sign::Stderr,
        " after ",
    ),
];

/// Rounds behind each bar.
const ROUNDS: u32 = 10;

/// The part of a watcher's period at which a kill comes: the rounds divide 100 ms into equal
/// parts, and 10 ms too.
fn delay(round: u32) -> Duration {
    Duration::from_millis(100) * (round * ROUNDS + round) / (ROUNDS * ROUNDS)
}

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
    show(target, &mut programs.spawner()?)?;
    println!(
        "\nNow {PROCESSES} processes are killed in front of four programs, {ROUNDS} times each. Each program"
    );
    println!(
        "is a process of its own, armed before the kill. The bars are medians: █ from the kill"
    );
    println!("to the answer, ░ until the whole command has returned.");
    for (course, title) in [
        (Course::Killed, "Killed"),
        (
            Course::Frozen,
            "Frozen, killed and thawed, as a paused container",
        ),
    ] {
        println!("\n{title}:");
        let times = medians(course, &watchers(&programs), &programs, &interrupted);
        print!("{}", bars(&times?));
    }
    println!("\nkill -0 looks at one of the processes, the other three look at the cgroup.");
    Ok(())
}

fn watchers(programs: &Programs) -> [Contender; 4] {
    WATCHERS.map(|(name, line, sign, verdict)| {
        let words = line.split(' ').map(|word| match word {
            "{poll}" => programs.poll().display().to_string(),
            "{probe}" => programs.probe().display().to_string(),
            word => word.to_owned(),
        });
        Contender::new(name, words, sign).verdict(verdict)
    })
}

/// The times of a watcher, from the kill on.
#[derive(Clone, Copy)]
struct Times {
    verdict: Duration,
    returned: Duration,
}

/// The median times of each watcher. The watchers take turns, so that other work of the
/// machine affects all of them.
fn medians(
    course: Course,
    watchers: &[Contender],
    programs: &Programs,
    interrupted: &AtomicBool,
) -> Result<Vec<(&'static str, Times)>> {
    let mut runner = Runner::start(programs)?;
    let mut ends = vec![Vec::new(); watchers.len()];
    for round in 0..ROUNDS {
        for (watcher, ends) in watchers.iter().zip(&mut ends) {
            ensure!(!interrupted.load(Ordering::SeqCst), "interrupted");
            let sample = runner.measure(course, PROCESSES, watcher, delay(round));
            ends.push(sample.with_context(|| watcher.name)?.end);
        }
    }
    let times = |(watcher, ends): (&Contender, Vec<End>)| {
        let verdicts = ends.iter().filter_map(|it| it.verdict).collect();
        let times = Times {
            verdict: median(verdicts),
            returned: median(ends.iter().map(|it| it.returned).collect()),
        };
        (watcher.name, times)
    };
    Ok(watchers.iter().zip(ends).map(times).collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let upper = times.len() / 2;
    let lower = times.len().saturating_sub(1) / 2;
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    (at(lower) + at(upper)) / 2
}

/// Shows how `probe wait` reports the end of a cgroup.
fn show(mut target: Target, spawner: &mut Program) -> Result<()> {
    let place = target.directory().display().to_string();
    println!("A cgroup with {PROCESSES} processes, as a container would be:");
    show_command(&format!("mkdir {place}"));
    spawner.ask(&format!("{PROCESSES} keep {place}"))?;
    println!("\nprobe waits for it to become empty, in the background:");
    show_command(&format!("probe wait --cgroup {place} &"));
    let (mut probe, stderr) = start_wait(&target)?;
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

/// A `probe wait` that is armed, and the rest of its stderr.
fn start_wait(target: &Target) -> Result<(OwnedChild, Lines<BufReader<ChildStderr>>)> {
    let mut command = Command::new(checkout::probe());
    command.args(["-v", "wait", "--cgroup"]);
    command.arg(target.directory());
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command::spawn(&mut command)?;
    let mut stderr = BufReader::new(child.0.stderr.take().context("no stderr")?).lines();
    for line in stderr.by_ref() {
        let line = line.context("stderr of probe wait")?;
        eprintln!("{line}");
        if line.contains("armed") {
            return Ok((child, stderr));
        }
    }
    let status = child.0.wait()?;
    bail!("probe wait ended before it was armed, with {status}")
}

/// The times as bars. The longest bar has 40 characters, and every bar is visible.
fn bars(rows: &[(&str, Times)]) -> String {
    let longest = rows
        .iter()
        .map(|(_, times)| times.returned.as_micros())
        .max();
    let longest = longest.unwrap_or(0).max(1);
    let length = |time: Duration| usize::try_from(time.as_micros() * 40 / longest).unwrap_or(0);
    let row = |(name, times): &(&str, Times)| {
        let answered = length(times.verdict).max(1);
        let rest = length(times.returned).saturating_sub(answered);
        let bar = "█".repeat(answered) + &"░".repeat(rest);
        let [verdict, returned] = [times.verdict, times.returned];
        let [verdict, returned] = [verdict, returned].map(|it| it.as_secs_f64() * 1000.0);
        let numbers = format!("answer {verdict:.1} ms, return {returned:.1} ms");
        table::row([name, &format!("{bar} {numbers}")])
    };
    table::aligned(&rows.iter().map(row).collect::<Vec<_>>())
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
        let times = |verdict, returned| Times {
            verdict: Duration::from_micros(verdict),
            returned: Duration::from_micros(returned),
        };
        let bars = bars(&[("long name", times(75_000, 100_000)), ("x", times(1, 2))]);
        let longest = "█".repeat(30) + &"░".repeat(10);
        let expected = format!(
            "long name  {longest} answer 75.0 ms, return 100.0 ms\n\
             x          █ answer 0.0 ms, return 0.0 ms\n"
        );
        assert_eq!(bars, expected);
    }

    #[test]
    fn kills_are_spread_over_both_periods() {
        for period_ms in [100, 10] {
            let mut parts: Vec<_> = (0..ROUNDS)
                .map(|round| delay(round).as_millis() * 10 / period_ms % 10)
                .collect();
            parts.sort_unstable();
            assert_eq!(parts, (0..10).collect::<Vec<_>>(), "{period_ms} ms");
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let times = [9, 1, 4, 2].map(Duration::from_secs);
        assert_eq!(median(times.to_vec()), Duration::from_secs(3));
        assert_eq!(median(times[..3].to_vec()), Duration::from_secs(4));
    }
}
