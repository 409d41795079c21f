//! Whole processes, as a script starts them.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};

use super::{pen::Pen, programs::Programs, talker::Talker};
use crate::{
    bench::{
        report::{Figure, RATIO},
        rounds,
        stats::Estimate,
    },
    command,
};

const LIMIT_MS: f64 = 5.0;
/// Of each, in a round.
const TURNS: usize = 10;

pub(super) fn measure(count: usize, programs: &Programs) -> Result<Vec<Figure>> {
    let mut figures = looks(count, programs)?;
    figures.push(kills(count, programs)?);
    Ok(figures)
}

/// `probe wait` that need not wait.
fn looks(count: usize, programs: &Programs) -> Result<Vec<Figure>> {
    let pen = Pen::make()?;
    let directory = &pen.directory;
    let wait = |words: &[&str]| {
        let mut command = Command::new(&programs.probe);
        command
            .arg("wait")
            .args(words)
            .arg("--cgroup")
            .arg(directory);
        command
    };
    let mut empty = Vec::new();
    let mut once = Vec::new();
    let mut nothing = Vec::new();
    rounds::run("whole process", count, |_| {
        for _ in 0..TURNS {
            empty.push(took_ms(&mut wait(&[]))?);
            nothing.push(took_ms(&mut Command::new("true"))?);
            once.push(took_ms(&mut wait(&["-t", "0"]))?);
        }
        Ok(())
    })?;
    let harness = Estimate::median(&nothing).value;
    let figure = |name: &str, sample: &[f64]| {
        Figure::new(name, "ms", Estimate::median(sample))
            .at_most(LIMIT_MS)
            .note(format!("so long takes `true`: {harness:.2} ms"))
    };
    Ok(vec![
        figure("probe wait, empty already", &empty),
        figure("probe wait -t 0, empty already", &once),
    ])
}

/// `probe kill` beside `kill` and `waitpid` of util-linux.
fn kills(count: usize, programs: &Programs) -> Result<Figure> {
    const NAME: &str = "probe kill of one process";
    let nothing = Figure::new(NAME, RATIO, Estimate::exact(f64::NAN));
    let has_kill = command::quiet(Command::new(&programs.probe).args(["kill", "--help"])).is_ok();
    if !has_kill {
        return Ok(nothing.note("LEFT OUT: this probe has no verb kill"));
    }
    let mut herd = programs.herd()?;
    let peer = Peer::find();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    rounds::run(NAME, count, |_| {
        for _ in 0..TURNS {
            ours.push(kill_ms(&mut herd, |pid| probe_kill(&programs.probe, pid))?);
            if let Some(peer) = &peer {
                theirs.push(kill_ms(&mut herd, |pid| peer.command(pid))?);
            }
        }
        Ok(())
    })?;
    if peer.is_none() {
        return Ok(Figure::new(NAME, "ms", Estimate::median(&ours))
            .note("NOT COMPARED: no waitpid of util-linux (2.39) on this machine"));
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    Ok(Figure::new(NAME, RATIO, Estimate::median(&ratios))
        .at_most(1.0)
        .note(format!(
            "{:.2} ms, kill and waitpid {:.2} ms",
            Estimate::median(&ours).value,
            Estimate::median(&theirs).value
        )))
}

fn probe_kill(probe: &Path, pid: &str) -> Command {
    let mut command = Command::new(probe);
    command.args(["kill", pid]);
    command
}

struct Peer {
    script: String,
}

impl Peer {
    fn find() -> Option<Self> {
        let kill = command::find("kill")?;
        let waitpid = command::find("waitpid")?;
        Some(Self {
            script: format!("{} -KILL $0; {} $0", kill.display(), waitpid.display()),
        })
    }

    fn command(&self, pid: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &self.script, pid]);
        command
    }
}

fn kill_ms(herd: &mut Talker, killer: impl FnOnce(&str) -> Command) -> Result<f64> {
    let pen = Pen::make()?;
    herd.tell(&format!("1 keep {}", pen.directory.display()))?;
    let pid = herd.hear()?;
    let took = took_ms(&mut killer(&pid))?;
    herd.hear()?;
    Ok(took)
}

/// However it ends: one that was reaped before it was waited for is an error
/// to waitpid.
fn took_ms(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    command
        .status()
        .with_context(|| format!("run {}", command.get_program().display()))?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}
