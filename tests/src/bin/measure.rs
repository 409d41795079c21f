//! What this kernel tells of exits, as one line of JSON: which fields of a
//! record have a value, and how many exits it did not tell of.
//!
//! `cargo xtask vm` writes it into the documentation.

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// Processes that end as soon as they begin, in a row on every CPU.
const STORM: u32 = 2000;

/// Processes whose threads end together.
const CROWDS: u32 = 100;

const THREADS: u32 = 9;

fn main() -> Result<()> {
    let programs = env::current_exe().context("where this is")?;
    let programs = programs.parent().context("a directory")?;
    let file = NamedTempFile::new().context("a file")?;
    let trace = start(programs, file.path())?;
    let run = |name: &str, words: &[String]| -> Result<()> {
        let mut command = Command::new(programs.join(name));
        let command = command.args(words).stdout(Stdio::null());
        command.status().with_context(|| format!("run {name}"))?;
        Ok(())
    };
    run("storm", &[STORM.to_string()])?;
    let crowd = ["threads", &THREADS.to_string(), "exit", "3"].map(str::to_owned);
    for _ in 0..CROWDS {
        run("victim", &crowd)?;
    }
    // Who killed it is told of somebody who was killed.
    run("victim", &["signal", "9"].map(str::to_owned))?;
    finish(trace)?;
    let told = BufReader::new(File::open(file.path()).context("what was told")?);
    let lines: Vec<Value> = told
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<_>>()?;
    print(&measured(&lines));
    Ok(())
}

/// A trace of everything that has begun.
fn start(programs: &Path, to: &Path) -> Result<Child> {
    let mut probe: PathBuf = programs.into();
    probe.pop();
    let mut trace = Command::new(probe.join("release/probe"))
        .args(["trace", "--json"])
        .stdout(File::create(to).context("a file")?)
        .stderr(Stdio::piped())
        .spawn()
        .context("run probe")?;
    let stderr = trace.stderr.as_mut().context("a pipe")?;
    let mut said = String::new();
    // Nothing is read beyond the line: the child has said no more.
    BufReader::new(stderr).read_line(&mut said)?;
    ensure!(said.starts_with("tracing:"), "no trace: {}", said.trim());
    Ok(trace)
}

fn finish(mut trace: Child) -> Result<()> {
    kill_process(Pid::from_child(&trace), Signal::INT).context("end the trace")?;
    let status = trace.wait().context("the end of the trace")?;
    ensure!(status.success(), "the trace ended with {status}");
    Ok(())
}

fn measured(lines: &[Value]) -> Value {
    let of_type = |word: &'static str| lines.iter().filter(move |line| line["type"] == word);
    let lost = |reason: &str| -> u64 {
        let lost = of_type("lost").filter(|line| line["reason"] == reason);
        lost.filter_map(|line| line["count"].as_u64()).sum()
    };
    let mut fields: BTreeMap<&str, bool> = BTreeMap::new();
    for exit in of_type("exit").filter_map(Value::as_object) {
        // No container runs here, whatever the kernel.
        for (name, value) in exit.iter().filter(|(name, _)| *name != "container") {
            *fields.entry(name).or_default() |= !value.is_null();
        }
    }
    let with = |has: bool| -> Vec<&str> {
        let some = fields.iter().filter(|(_, it)| **it == has);
        some.map(|(name, _)| *name).collect()
    };
    json!({
        "made": STORM + CROWDS,
        "told": of_type("exit").count(),
        "skipped": lost("skipped"),
        "ring_full": lost("ring_full"),
        "fields": with(true),
        "null": with(false),
    })
}

#[expect(clippy::print_stdout, reason = "pid 1 of the guest reads it")]
fn print(value: &Value) {
    println!("{value}");
}
