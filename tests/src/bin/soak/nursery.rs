//! The program that makes the members of a trial, and what it is told.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{ground::Ground, plan::Plan};

/// One at a time for each trial that runs.
pub(crate) struct Nursery {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What lives in a trial.
#[derive(Debug, Default)]
pub(crate) struct Brood {
    pub(crate) pids: Vec<u32>,
    pub(crate) tcp: Vec<SocketAddrV4>,
    /// Abstract names.
    pub(crate) unix: Vec<String>,
}

fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    Ok(own.with_file_name("soak_nursery"))
}

impl Nursery {
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

    pub(crate) fn breed(&mut self, plan: &Plan, ground: &Ground) -> Result<Brood> {
        let run = std::process::id();
        // All of 127/8 is this machine; each run has its own part of it, and
        // each trial its own port: what the judge has bound may be held for a
        // moment more by a child on its way to another program.
        let [_, _, high, low] = run.to_be_bytes();
        let port = u16::try_from(20_000 + ground.index % 10_000)?;
        let tcp = |number: usize| {
            let number = u8::try_from(number).unwrap_or(0);
            SocketAddrV4::new(Ipv4Addr::new(127, high, low, number + 1), port)
        };
        let unix = |number: usize| format!("probe-soak-{run}-{}-{number}", ground.index);
        let mut brood = Brood {
            pids: Vec::new(),
            tcp: (0..plan.sockets).map(tcp).collect(),
            unix: (0..plan.sockets).map(unix).collect(),
        };
        let addresses: Vec<_> = brood.tcp.iter().map(ToString::to_string).collect();
        let answer = self.order(&json!({
            "do": "breed",
            "places": ground.places(),
            "processes": plan.processes,
            "threads": plan.threads,
            "kibibytes": (plan.mebibytes << 10) / plan.processes,
            "tcp": addresses,
            "unix": brood.unix,
            "shares_sockets": plan.shares_sockets,
            "conduct": plan.conduct.as_str(),
        }))?;
        let pids = answer["pids"].as_array().context("pids")?;
        brood.pids = pids
            .iter()
            .filter_map(|pid| pid.as_u64()?.try_into().ok())
            .collect();
        Ok(brood)
    }

    /// One process that holds nothing.
    pub(crate) fn breed_one(&mut self, ground: &Ground) -> Result<()> {
        self.order(&json!({
            "do": "breed", "places": [ground.places()[0]],
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

    /// Whether nobody is left of all that ever lived in the trial.
    pub(crate) fn is_childless(&mut self) -> Result<bool> {
        let answer = self.order(&json!({ "do": "census" }))?;
        answer["childless"].as_bool().context("a yes or no")
    }

    pub(crate) fn end(&mut self) -> Result<()> {
        self.order(&json!({ "do": "end" })).map(drop)
    }

    fn order(&mut self, order: &Value) -> Result<Value> {
        writeln!(self.orders, "{order}").context("tell the nursery")?;
        let mut line = String::new();
        let length = self
            .answers
            .read_line(&mut line)
            .context("hear the nursery")?;
        ensure!(length > 0, "the nursery has ended");
        let answer: Value = serde_json::from_str(&line).context("an answer is JSON")?;
        if let Some(error) = answer["error"].as_str() {
            bail!("the nursery: {error}");
        }
        Ok(answer)
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A process that burns a CPU until it is dropped.
pub(crate) struct Hog(Child);

impl Hog {
    pub(crate) fn start() -> Result<Self> {
        let child = Command::new(program()?).arg("hog").spawn();
        Ok(Self(child.context("run a hog")?))
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
