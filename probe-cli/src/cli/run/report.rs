//! The report of a run: a line for people, and a JSON object.

use std::{
    fs::File,
    io::{self, Write},
};

use probe_daemon::api::{
    json::{self, KilledByObject, LeftoverObject, RunLine, SCHEMA},
    quantity::nanoseconds,
};
use probe_user::{
    model::{ExitStatus, Via},
    unstable::{diagnosis::Survivor, run::RunUsage},
};

use super::{
    LeftoverPolicy,
    everything::Everything,
    recorder::Killers,
    supervisor::{Ended, Leftover},
};
use crate::output::human::{age, printable};

/// Most processes that the line for people names.
const MAX_NAMED: usize = 8;

pub(super) struct Report<'a> {
    pub(super) name: String,
    pub(super) code: u8,
    pub(super) pid: u32,
    pub(super) ended: &'a Ended,
    pub(super) everything: &'a Everything,
    pub(super) killers: Killers,
    pub(super) policy: LeftoverPolicy,
}

impl Report<'_> {
    /// Reads what the processes have used. Without `whole` only what the line for people needs.
    pub(super) fn usage(&self, whole: bool) -> RunUsage {
        let mut usage = match self.everything.control() {
            Some(control) if whole => RunUsage::read(control),
            Some(control) => RunUsage {
                oom_kills: RunUsage::oom_kills(control).ok().flatten(),
                ..RunUsage::default()
            },
            None => RunUsage::default(),
        };
        let recorded = self.killers.values().filter(|it| it.via == Via::Oom);
        let recorded = recorded.count() as u64;
        if usage.oom_kills.is_none() && recorded > 0 {
            usage.oom_kills = Some(recorded);
        }
        usage
    }

    /// The line for people. Without `whole` it is `None` if there is nothing to tell: the command
    /// ended by itself, and nothing of it was left.
    pub(super) fn text(&self, usage: &RunUsage, whole: bool) -> Option<String> {
        let name = printable(&self.name);
        let mut parts = Vec::new();
        if let Some(how) = self.how(whole) {
            parts.push(format!("{name} {how}"));
        }
        for (action, verb) in [
            ("killed", "killed"),
            ("ended", "waited for"),
            ("stuck", "could not kill"),
        ] {
            let list = self.ended.leftovers.iter().filter(|it| it.action == action);
            let list: Vec<_> = list.collect();
            if !list.is_empty() {
                let count = list.len();
                let plural = if count == 1 { "" } else { "es" };
                let names = names(&list);
                parts.push(format!("{verb} {count} process{plural} of {name}: {names}"));
            }
        }
        if let Some(kills @ 1..) = usage.oom_kills {
            let plural = if kills == 1 { "" } else { "es" };
            parts.push(format!(
                "the out-of-memory killer ended {kills} process{plural}"
            ));
        }
        if !whole {
            return (!parts.is_empty()).then(|| parts.join("; "));
        }
        if let Some(cpu) = usage.cpu {
            parts.push(format!("CPU time {}", age(nanoseconds(cpu.usage))));
        }
        if let Some(bytes) = usage.memory_peak_bytes {
            parts.push(format!("peak memory {} MiB", bytes.div_ceil(1 << 20)));
        }
        Some(parts.join("; "))
    }

    /// How the command ended; without `whole` only if that is worth a line.
    fn how(&self, whole: bool) -> Option<String> {
        let after = age(nanoseconds(
            self.ended.command.unwrap_or(self.ended.elapsed),
        ));
        if self.ended.timed_out {
            let after = age(nanoseconds(self.ended.elapsed));
            return Some(format!("timed out and was killed after {after}"));
        }
        match self.ended.status {
            Some(ExitStatus::Exited { code }) => {
                whole.then(|| format!("exited with {code} after {after}"))
            }
            Some(ExitStatus::Signaled { signal, .. }) => {
                let is_known = self.ended.interrupted == Some(signal);
                (whole || !is_known).then(|| {
                    format!(
                        "was ended by {}{} after {after}",
                        signal.name(),
                        self.sender()
                    )
                })
            }
            None => Some("is stuck".to_owned()),
        }
    }

    fn killed_by(&self, pid: u32) -> Option<KilledByObject<'_>> {
        self.killers.get(&pid).map(Into::into)
    }

    /// ` from NAME[PID]`, if the sender of the signal that ended the command is known.
    fn sender(&self) -> String {
        let killer = self.killers.get(&self.pid);
        match killer.and_then(|it| it.sender.as_ref()) {
            Some(it) => format!(" from {}[{}]", printable(&it.comm), it.tgid),
            None => String::new(),
        }
    }

    fn outcome(&self) -> &'static str {
        if !self.ended.stuck.is_empty() {
            "stuck"
        } else if self.ended.timed_out {
            "timeout"
        } else if self.policy == LeftoverPolicy::Fail && !self.ended.leftovers.is_empty() {
            "leftovers"
        } else {
            "done"
        }
    }

    pub(super) fn write_json(
        &self,
        usage: &RunUsage,
        to_stderr: bool,
        file: Option<File>,
    ) -> io::Result<()> {
        let pinned = self.everything.pinned();
        let leftover = |it: &Leftover| LeftoverObject {
            pid: Some(it.member.pid).filter(|&pid| pid != 0),
            comm: it.member.comm.clone(),
            action: it.action,
            killed_by: self.killed_by(it.member.pid),
        };
        let line = RunLine {
            schema: SCHEMA,
            r#type: "run",
            outcome: self.outcome(),
            exit_code: self.code,
            pid: self.pid,
            status: self.ended.status.map(Into::into),
            killed_by: self.killed_by(self.pid),
            command_ns: self.ended.command.map(nanoseconds),
            elapsed_ns: nanoseconds(self.ended.elapsed),
            cgroup: pinned.map(|it| it.shown_path().into_owned()),
            leftovers: self.ended.leftovers.iter().map(leftover).collect(),
            usage: (*usage).into(),
        };
        let mut bytes = Vec::new();
        json::write(&mut bytes, &line)?;
        bytes.push(b'\n');
        if let Some(mut file) = file {
            file.write_all(&bytes)?;
        }
        if to_stderr {
            let _closed = io::stderr().write_all(&bytes);
        }
        Ok(())
    }
}

fn names(list: &[&Leftover]) -> String {
    let mut names: Vec<_> = list
        .iter()
        .take(MAX_NAMED)
        .map(|it| match it.member.pid {
            0 => "? of another pid namespace".to_owned(),
            pid => format!("{}[{pid}]", printable(&it.member.comm)),
        })
        .collect();
    if list.len() > MAX_NAMED {
        names.push(format!("{} more", list.len() - MAX_NAMED));
    }
    names.join(", ")
}

/// One line about a process that survives.
pub(super) fn survivor(it: &Survivor) -> String {
    format!(
        "\n{:>9} {:<15} {} {}",
        it.pid,
        printable(&it.comm),
        it.state,
        printable(it.why())
    )
}
