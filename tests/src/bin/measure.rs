//! Measures the exit records of this kernel: which fields have a value, and how many exits are
//! missing. Prints one JSON line, which `cargo xtask vm` writes into the documentation.

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

/// Number of processes that exit at once, one after the other on every CPU.
const STORM: u32 = 2000;

/// Number of processes with threads that end together.
const CROWDS: u32 = 100;

const THREADS: u32 = 9;

fn main() -> Result<()> {
    let programs = env::current_exe().context("find this program")?;
    let programs = programs.parent().context("a directory")?;
    let file = NamedTempFile::new().context("a file")?;
    let trace = start(programs, file.path())?;
    let run = |words: &[&str]| -> Result<()> {
        let mut victim = Command::new(programs.join("victim"));
        let status = victim.args(words).stdout(Stdio::null()).status();
        status.map(drop).context("run victim")
    };
    run(&["storm", &STORM.to_string()])?;
    for _ in 0..CROWDS {
        run(&["threads", &THREADS.to_string(), "exit", "3"])?;
    }
    // Only a killed process has `killed_by`.
    run(&["signal", "9"])?;
    finish(trace)?;
    let output = BufReader::new(File::open(file.path()).context("open the output")?);
    let lines: Vec<Value> = output
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<_>>()?;
    print(&measured(&lines));
    Ok(())
}

/// Starts a trace of all processes.
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
    let mut line = String::new();
    // The reader buffers no second line: the child has printed only one.
    BufReader::new(stderr).read_line(&mut line)?;
    ensure!(line.starts_with("tracing:"), "no trace: {}", line.trim());
    Ok(trace)
}

fn finish(mut trace: Child) -> Result<()> {
    kill_process(Pid::from_child(&trace), Signal::INT).context("end the trace")?;
    let status = trace.wait().context("wait for the trace")?;
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
        // The virtual machine has no container.
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
