//! Makes processes that end, one after the other on one CPU, and measures the time: a load that
//! `cargo xtask bench` runs with and without a tracer.
//!
//! `workload exits N [--cpu C]`: N times vfork, `_exit(0)`, waitpid.
//! `workload kills N [--cpu C]`: N times a child that sleeps, SIGKILL, waitpid.
//!
//! Prints one JSON object.

#![deny(unsafe_code)]

mod child;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, bail, ensure};
use child::Stack;
use rustix::thread::{CpuSet, sched_setaffinity};

const USAGE: &str = "usage: workload exits|kills N [--cpu C]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A failed write to stderr could not be reported.
            let _written = writeln!(io::stderr(), "workload: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (what, count, cpu) = match args[..] {
        [what, count] => (what, count, None),
        [what, count, "--cpu", cpu] => (what, count, Some(cpu)),
        _ => bail!(USAGE),
    };
    let one: fn(Stack) -> anyhow::Result<Stack> = match what {
        "exits" => exit_once,
        "kills" => kill_once,
        _ => bail!(USAGE),
    };
    let count: usize = count.parse().context(USAGE)?;
    ensure!(count > 0, USAGE);
    if let Some(cpu) = cpu {
        pin(cpu.parse().context(USAGE)?)?;
    }
    report(&time(count, one)?)
}

fn pin(cpu: usize) -> anyhow::Result<()> {
    ensure!(cpu < CpuSet::MAX_CPU, "no CPU {cpu}");
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("cannot run on CPU {cpu} only"))
}

fn exit_once(stack: Stack) -> anyhow::Result<Stack> {
    child::exits(stack).context("cannot make a child that exits")
}

fn kill_once(stack: Stack) -> anyhow::Result<Stack> {
    let sleeper = child::sleeps(stack).context("cannot make a child that sleeps")?;
    sleeper.kill().context("cannot kill the child")
}

struct Times {
    total_ns: u128,
    each_ns: Vec<u128>,
}

fn time(count: usize, one: impl Fn(Stack) -> anyhow::Result<Stack>) -> anyhow::Result<Times> {
    let mut stack = Stack::new();
    let mut each_ns = Vec::with_capacity(count);
    let begun = Instant::now();
    let mut before = begun;
    for _ in 0..count {
        stack = one(stack)?;
        let now = Instant::now();
        each_ns.push((now - before).as_nanos());
        before = now;
    }
    Ok(Times {
        total_ns: (before - begun).as_nanos(),
        each_ns,
    })
}

fn report(times: &Times) -> anyhow::Result<()> {
    let mut sorted = times.each_ns.clone();
    sorted.sort_unstable();
    let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    writeln!(
        io::stdout(),
        r#"{{"n":{},"ns_total":{},"p50_ns":{},"p95_ns":{}}}"#,
        sorted.len(),
        times.total_ns,
        at(50),
        at(95)
    )
    .context("cannot write to stdout")
}
