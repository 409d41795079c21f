//! The last line of a wait.

use std::io::{self, Write};

use serde::Serialize;

use super::{
    human::{age, printable},
    json::{self, SCHEMA},
};
use crate::{cgroup::CgroupId, source::survivors::Survivor, waiter::Outcome};

/// What a wait has to say at its end.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// `bpf`, `pidfd` or `poll`: what served.
    pub backend: &'static str,
    /// `ring`, `events` or `timer`; `None` if nothing had to wake us.
    pub woken_by: Option<&'static str>,
    /// Whether the answer is exact on this kernel.
    pub exact: bool,
    /// From the first look to the last.
    pub elapsed_ns: u64,
    /// `None` if it was gone before we saw it.
    pub cgroup: Option<CgroupId>,
    /// Path below the root of the hierarchy.
    pub path: String,
    /// Exits reported meanwhile.
    pub exits: u64,
    /// Exits that were lost meanwhile.
    pub lost: u64,
    /// Who is still there.
    pub survivors: Vec<Survivor>,
}

impl Verdict {
    /// One JSON object.
    pub fn write_json(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let survivors = self.survivors.iter().map(SurvivorObject::from).collect();
        let line = WaitLine {
            schema: SCHEMA,
            r#type: "wait",
            outcome: self.outcome.as_str(),
            until: "empty",
            backend: self.backend,
            backends: [self.backend],
            woken_by: self.woken_by,
            exact: self.exact,
            elapsed_ns: self.elapsed_ns,
            targets: [TargetObject {
                cgroup: CgroupObject {
                    hierarchy: self.cgroup.map(|id| id.hierarchy),
                    id: self.cgroup.map(|id| id.id),
                    path: &self.path,
                },
                outcome: self.outcome.as_str(),
            }],
            exits: self.exits,
            lost: self.lost,
            survivors,
        };
        json::write(out, &line)
    }

    /// One sentence.
    pub fn write_human(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let what = match self.outcome {
            Outcome::Done => "is empty",
            Outcome::Already => "was empty already",
            Outcome::Timeout => "is still populated",
            Outcome::Interrupted => "may still be populated (interrupted)",
        };
        let path = printable(&self.path);
        let Self { backend, exits, .. } = self;
        let after = age(self.elapsed_ns);
        let plural = if *exits == 1 { "" } else { "s" };
        write!(
            out,
            "{path} {what} after {after} ({exits} exit{plural}, {backend})"
        )
    }

    /// Who is still there, for people.
    pub fn write_survivors(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for survivor in &self.survivors {
            let age = survivor.age_ns.map_or_else(|| "-".to_owned(), age);
            let wchan = survivor.wchan.as_deref().unwrap_or("-");
            let reason = survivor.reason.as_deref().unwrap_or("alive");
            writeln!(
                out,
                "  {:>7} {:<15} {} {age:>7} {wchan}: {reason}",
                survivor.pid,
                printable(&survivor.comm),
                survivor.state
            )?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct WaitLine<'a> {
    schema: u32,
    r#type: &'static str,
    outcome: &'static str,
    until: &'static str,
    backend: &'static str,
    backends: [&'static str; 1],
    woken_by: Option<&'static str>,
    exact: bool,
    elapsed_ns: u64,
    targets: [TargetObject<'a>; 1],
    exits: u64,
    lost: u64,
    survivors: Vec<SurvivorObject<'a>>,
}

#[derive(Serialize)]
struct TargetObject<'a> {
    cgroup: CgroupObject<'a>,
    outcome: &'static str,
}

#[derive(Serialize)]
struct CgroupObject<'a> {
    hierarchy: Option<u32>,
    id: Option<u64>,
    path: &'a str,
}

#[derive(Serialize)]
struct SurvivorObject<'a> {
    pid: u32,
    comm: &'a str,
    state: char,
    wchan: Option<&'a str>,
    age_ns: Option<u64>,
    reason: Option<&'a str>,
}

impl<'a> From<&'a Survivor> for SurvivorObject<'a> {
    fn from(survivor: &'a Survivor) -> Self {
        Self {
            pid: survivor.pid,
            comm: &survivor.comm,
            state: survivor.state,
            wchan: survivor.wchan.as_deref(),
            age_ns: survivor.age_ns,
            reason: survivor.reason.as_deref(),
        }
    }
}
