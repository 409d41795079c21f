//! A process of the soak that makes and reaps the members of the trials. It serves one trial
//! after the other, because starting a program for each trial would take longer than the trial.

mod member;
mod order;
mod server;
mod sys;

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddrV4},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Error, Result, ensure};
use serde::de::DeserializeOwned;

use self::order::{Batch, Order};
pub(crate) use self::server::run;
use crate::{cgroups::Cgroups, plan::Plan};

/// The argument with which the soak runs as a spawner.
pub(crate) const ARGUMENT: &str = "spawner";

/// A running spawner, for one trial at a time.
pub(crate) struct Spawner {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The processes of a trial, and their sockets.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) pids: Vec<u32>,
    pub(crate) tcp: Vec<SocketAddrV4>,
    /// Abstract names.
    pub(crate) unix: Vec<String>,
}

impl Spawner {
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("run the spawner")?;
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
        let tcp: Vec<_> = (0..plan.sockets).map(tcp).collect();
        let unix: Vec<_> = (0..plan.sockets).map(unix).collect();
        let pids = self.order(&Order::Spawn(Batch {
            places: cgroups.places(),
            processes: plan.processes,
            threads: plan.threads,
            kibibytes: (plan.mebibytes << 10) / plan.processes,
            tcp: tcp.clone(),
            unix: unix.clone(),
            shares_sockets: plan.shares_sockets,
            behaviour: plan.behaviour,
        }))?;
        Ok(Members { pids, tcp, unix })
    }

    /// Makes one process without sockets.
    pub(crate) fn spawn_one(&mut self, cgroups: &Cgroups) -> Result<()> {
        let _pids: Vec<u32> = self.order(&Order::Spawn(Batch {
            places: cgroups.places().into_iter().take(1).collect(),
            processes: 1,
            threads: 1,
            ..Batch::default()
        }))?;
        Ok(())
    }

    /// Lets all members exit.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.order(&Order::Leave)
    }

    /// Reaps members that have exited, now and from now on.
    pub(crate) fn reap(&mut self) -> Result<()> {
        self.order(&Order::Reap)
    }

    /// Whether all members have been reaped.
    pub(crate) fn has_no_children(&mut self) -> Result<bool> {
        self.order(&Order::HasNoChildren)
    }

    /// Kills and reaps all members.
    pub(crate) fn reset(&mut self) -> Result<()> {
        self.order(&Order::Reset)
    }

    fn order<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T> {
        let order = serde_json::to_string(order)?;
        writeln!(self.orders, "{order}").context("write to the spawner")?;
        let mut line = String::new();
        let length = self.answers.read_line(&mut line);
        let length = length.context("read from the spawner")?;
        ensure!(length > 0, "the spawner has ended");
        let answer: Result<T, String> = serde_json::from_str(&line)?;
        answer.map_err(Error::msg).context("the spawner failed")
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
