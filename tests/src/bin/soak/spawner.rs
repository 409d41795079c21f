//! The program `soak_spawner`, which makes the members of a trial.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{cgroups::Cgroups, plan::Plan};

/// A running `soak_spawner`, for one trial at a time.
pub(crate) struct Spawner {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The processes of a trial, and their sockets.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) pids: Vec<u32>,
    pub(crate) tcp: Vec<SocketAddrV4>,
    /// Abstract names.
    pub(crate) unix: Vec<String>,
}

fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    Ok(own.with_file_name("soak_spawner"))
}

impl Spawner {
    pub(crate) fn start() -> Result<Self> {
        let program = program()?;
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {}", program.display()))?;
        Ok(Self {
            orders: child.stdin.take().context("piped")?,
            answers: BufReader::new(child.stdout.take().context("piped")?),
            child,
        })
    }

    pub(crate) fn spawn(&mut self, plan: &Plan, cgroups: &Cgroups) -> Result<Members> {
        let run = std::process::id();
        // Each run has its own part of 127/8, and each trial its own port: a child that was
        // forked while the checks had a socket bound holds it until its `exec`.
        let [_, _, high, low] = run.to_be_bytes();
        let port = u16::try_from(20_000 + cgroups.index % 10_000)?;
        let tcp = |number: usize| {
            let number = u8::try_from(number).unwrap_or(0);
            SocketAddrV4::new(Ipv4Addr::new(127, high, low, number + 1), port)
        };
        let unix = |number: usize| format!("probe-soak-{run}-{}-{number}", cgroups.index);
        let mut members = Members {
            pids: Vec::new(),
            tcp: (0..plan.sockets).map(tcp).collect(),
            unix: (0..plan.sockets).map(unix).collect(),
        };
        let addresses: Vec<_> = members.tcp.iter().map(ToString::to_string).collect();
        let answer = self.order(&json!({
            "do": "spawn",
            "places": cgroups.places(),
            "processes": plan.processes,
            "threads": plan.threads,
            "kibibytes": (plan.mebibytes << 10) / plan.processes,
            "tcp": addresses,
            "unix": members.unix,
            "shares_sockets": plan.shares_sockets,
            "behaviour": plan.behaviour.as_str(),
        }))?;
        let pids = answer["pids"].as_array().context("pids")?;
        members.pids = pids
            .iter()
            .filter_map(|pid| pid.as_u64()?.try_into().ok())
            .collect();
        Ok(members)
    }

    /// Makes one process without sockets.
    pub(crate) fn spawn_one(&mut self, cgroups: &Cgroups) -> Result<()> {
        self.order(&json!({
            "do": "spawn", "places": [cgroups.places()[0]],
            "processes": 1, "threads": 1, "kibibytes": 0,
        }))?;
        Ok(())
    }

    pub(crate) fn leave(&mut self) -> Result<()> {
        self.order(&json!({ "do": "leave" })).map(drop)
    }

    pub(crate) fn reap(&mut self) -> Result<()> {
        self.order(&json!({ "do": "reap" })).map(drop)
    }

    /// Whether all members have been reaped.
    pub(crate) fn has_no_children(&mut self) -> Result<bool> {
        let answer = self.order(&json!({ "do": "has_no_children" }))?;
        answer["has_no_children"].as_bool().context("not a boolean")
    }

    pub(crate) fn reset(&mut self) -> Result<()> {
        self.order(&json!({ "do": "reset" })).map(drop)
    }

    fn order(&mut self, order: &Value) -> Result<Value> {
        writeln!(self.orders, "{order}").context("write to soak_spawner")?;
        let mut line = String::new();
        let length = self
            .answers
            .read_line(&mut line)
            .context("read from soak_spawner")?;
        ensure!(length > 0, "soak_spawner has ended");
        let answer: Value =
            serde_json::from_str(&line).context("parse the answer of soak_spawner")?;
        if let Some(error) = answer["error"].as_str() {
            bail!("soak_spawner: {error}");
        }
        Ok(answer)
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A process that burns a CPU until it is dropped.
pub(crate) struct CpuHog(Child);

impl CpuHog {
    pub(crate) fn start() -> Result<Self> {
        let child = Command::new(program()?).arg("hog").spawn();
        Ok(Self(child.context("run a hog")?))
    }
}

impl Drop for CpuHog {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
