//! Whole commands, as a script runs them.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};

use super::{
    programs::{Program, Programs},
    target::Target,
};
use crate::{
    bench::{
        report::{Figure, RATIO},
        rounds,
        stats::Estimate,
    },
    command,
};

const LIMIT_MS: f64 = 5.0;
/// Commands of each kind in a round.
const REPEATED: usize = 10;

pub(super) fn measure(count: usize, programs: &Programs) -> Result<Vec<Figure>> {
    let mut figures = waits(count, programs)?;
    figures.push(kills(count, programs)?);
    Ok(figures)
}

/// `probe wait` on an empty cgroup.
fn waits(count: usize, programs: &Programs) -> Result<Vec<Figure>> {
    let target = Target::create(false)?;
    let wait = |words: &[&str]| {
        let mut wait = Command::new(&programs.probe);
        wait.arg("wait")
            .args(words)
            .arg("--cgroup")
            .arg(target.directory());
        took_ms(&mut wait)
    };
    let (mut empty, mut once, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    rounds::run("whole process", count, || {
        for _ in 0..REPEATED {
            empty.push(wait(&[])?);
            nothing.push(took_ms(&mut Command::new("true"))?);
            once.push(wait(&["-t", "0"])?);
        }
        Ok(())
    })?;
    let harness = Estimate::median(&nothing).value;
    let figure = |name: &str, sample: &[f64]| {
        let figure = Figure::new(name, "ms", Estimate::median(sample)).at_most(LIMIT_MS);
        figure.note(format!("`true` takes {harness:.2} ms"))
    };
    Ok(vec![
        figure("probe wait, empty already", &empty),
        figure("probe wait -t 0, empty already", &once),
    ])
}

/// `probe kill` beside `kill` and `waitpid` of util-linux.
fn kills(count: usize, programs: &Programs) -> Result<Figure> {
    const NAME: &str = "probe kill of one process";
    let probe = programs.probe.to_str().context("a path without UTF-8")?;
    let tools = command::find("kill").zip(command::find("waitpid"));
    let tools = tools.map(|(kill, waitpid)| [kill, waitpid].map(|it| it.display().to_string()));
    let script = tools.map(|[kill, waitpid]| format!("{kill} -KILL $0; {waitpid} $0"));
    let mut spawner = programs.spawner()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    rounds::run(NAME, count, || {
        for _ in 0..REPEATED {
            ours.push(kill_ms(&mut spawner, &[probe, "kill"])?);
            if let Some(script) = &script {
                theirs.push(kill_ms(&mut spawner, &["sh", "-c", script])?);
            }
        }
        Ok(())
    })?;
    if theirs.is_empty() {
        return Ok(Figure::new(NAME, "ms", Estimate::median(&ours))
            .note("NOT COMPARED: no waitpid of util-linux (2.39) on this machine"));
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    let [ours, theirs] = [ours, theirs].map(|it| Estimate::median(&it).value);
    Ok(Figure::new(NAME, RATIO, Estimate::median(&ratios))
        .at_most(1.0)
        .note(format!("{ours:.2} ms, kill and waitpid {theirs:.2} ms")))
}

/// The time of a command that gets the pid of a new process as its last argument.
fn kill_ms(spawner: &mut Program, words: &[&str]) -> Result<f64> {
    let target = Target::create(false)?;
    let pid = spawner.ask(&format!("1 keep {}", target.directory().display()))?;
    let took = took_ms(Command::new(words[0]).args(&words[1..]).arg(pid))?;
    spawner.receive()?;
    Ok(took)
}

/// The time of a command, whatever its status: waitpid fails if the process was reaped
/// before.
fn took_ms(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status();
    status.with_context(|| format!("run {}", command.get_program().display()))?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}
