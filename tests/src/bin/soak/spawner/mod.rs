//! A process of the soak that makes and reaps the members of the trials. It serves one trial
//! after the other, because starting a program for each trial would take longer than the trial.

mod behaviour;
mod member;
mod order;
mod server;

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddrV4},
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Error, Result, ensure};
use serde::de::DeserializeOwned;

use self::order::{Batch, Directory, Order, Visitor, encode};
pub(crate) use self::{behaviour::executed, order::Child, server::run};
use crate::{
    cgroups::Cgroups,
    pinned::Pinned,
    plan::{Entry, Leave, Plan, Shape},
};

/// The argument with which the soak runs as a spawner.
pub(crate) const ARGUMENT: &str = "spawner";

/// The argument with which a member executes the soak again.
pub(crate) const EXECUTED: &str = "executed";

/// Limit of members that a trial holds open: the descriptors are needed for the waits.
const MAX_PINNED: usize = 50;

/// A running spawner, for one trial at a time.
pub(crate) struct Spawner {
    child: process::Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The processes of a trial, and their sockets.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) pids: Vec<u32>,
    /// The first of them, held open.
    pub(crate) pinned: Vec<Pinned>,
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
        let run = process::id();
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
        let mut pids: Vec<u32> = self.order(&Order::Spawn(Batch {
            places: encode(&cgroups.places),
            children: encode(&cgroups.children),
            processes: plan.processes,
            threads: plan.threads,
            kibibytes: (plan.mebibytes << 10) / plan.processes,
            tcp: tcp.clone(),
            unix: unix.clone(),
            shares_sockets: plan.shares_sockets,
            behaviour: plan.behaviour,
            name: plan.name.to_owned(),
        }))?;
        if plan.shape == Shape::ReusedPids {
            // This one is a child of the spawner, which reaps it at once.
            let how = (Entry::ByItself, Leave::Stays);
            pids.insert(0, self.visit(plan, cgroups, how, None)?);
        }
        // Without free descriptors the children of the spawner alone are the witness.
        let pinned = pids.iter().take(if plan.free_descriptors.is_some() {
            0
        } else {
            MAX_PINNED
        });
        let pinned = pinned
            .map(|&pid| Pinned::open(pid))
            .collect::<Result<_>>()?;
        Ok(Members {
            pids,
            pinned,
            tcp,
            unix,
        })
    }

    /// Makes one process without sockets.
    pub(crate) fn spawn_one(&mut self, cgroups: &Cgroups) -> Result<()> {
        let _pids: Vec<u32> = self.order(&Order::Spawn(Batch {
            places: encode(&cgroups.places[..1]),
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

    /// Makes a process that enters the target, and returns its pid.
    pub(crate) fn visit(
        &mut self,
        plan: &Plan,
        cgroups: &Cgroups,
        (entry, leave): (Entry, Leave),
        pid: Option<u32>,
    ) -> Result<u32> {
        self.order(&Order::Visit(visitor(
            plan,
            cgroups,
            (entry, leave),
            pid,
            false,
        )))
    }

    /// Makes a process outside of the target that has the pid of an earlier process.
    pub(crate) fn replace(&mut self, plan: &Plan, cgroups: &Cgroups, pid: u32) -> Result<()> {
        let what = (Entry::Moved, Leave::Stays);
        let _pid: u32 = self.order(&Order::Visit(visitor(plan, cgroups, what, Some(pid), true)))?;
        Ok(())
    }

    /// Kills and reaps one process.
    pub(crate) fn kill_one(&mut self, pid: u32) -> Result<()> {
        self.order(&Order::KillOne(pid))
    }

    /// Kills all processes until none is left.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.order(&Order::Kill)
    }

    /// The processes that have not been reaped: all of them, unless a living member is the parent
    /// of an exited process.
    pub(crate) fn children(&mut self) -> Result<Vec<Child>> {
        self.order(&Order::Children)
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

fn visitor(
    plan: &Plan,
    cgroups: &Cgroups,
    (entry, leave): (Entry, Leave),
    pid: Option<u32>,
    is_stranger: bool,
) -> Visitor {
    let tops = cgroups.tops.iter().map(probe_fixture::Scratch::directory);
    Visitor {
        entry,
        leave,
        target: tops.map(Directory::from).collect(),
        refuge: cgroups.refuges().into_iter().map(Directory::from).collect(),
        threads: plan.threads,
        pid,
        is_stranger,
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
