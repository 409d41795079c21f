//! What is kept of a kernel in `docs/kernels`: what `probe doctor` says there and
//! what was measured, one file a kernel. A later run is compared with it.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::transcript::{Outcome, Transcript};
use crate::{checkout, command};

/// See the module.
#[derive(Serialize, Deserialize)]
pub(super) struct Golden {
    pub(super) kernel: String,
    pub(super) package: String,
    /// The day of the run.
    pub(super) recorded: String,
    pub(super) tests: Tally,
    /// `None` where nothing can be traced.
    pub(super) measured: Option<Measured>,
    pub(super) doctor: Doctor,
}

/// How many tests of a kernel ended how.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: Vec<String>,
    pub(super) inapplicable: usize,
}

/// What the program `measure` of the tests says.
#[derive(Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) made: u64,
    pub(super) told: u64,
    pub(super) skipped: u64,
    pub(super) ring_full: u64,
    pub(super) fields: Vec<String>,
    pub(super) null: Vec<String>,
}

/// `probe doctor --json`, without what differs from run to run.
#[derive(Serialize, Deserialize)]
pub(super) struct Doctor {
    pub(super) backends: Vec<Check>,
    pub(super) checks: Vec<Check>,
    /// What else it says.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) ok: bool,
    pub(super) detail: String,
    hint: Option<String>,
}

impl Golden {
    /// Out of a run.
    pub(super) fn of(package: &str, transcript: &Transcript, report: &str) -> Result<Self> {
        let doctor = normalised(serde_json::from_str(report).context("what the doctor says")?);
        let measured = transcript.measured.as_deref().map(serde_json::from_str);
        let today = command::stdout(Command::new("date").args(["-u", "+%F"]))?;
        Ok(Self {
            kernel: transcript.release.clone().unwrap_or_default(),
            package: package.to_owned(),
            recorded: today.trim().to_owned(),
            tests: Tally::of(&transcript.outcomes),
            measured: measured.transpose().context("what was measured")?,
            doctor,
        })
    }

    /// What is kept of a kernel, if anything.
    pub(super) fn kept(row: &str) -> Result<Option<Self>> {
        let path = path(row);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let kept = serde_json::from_str(&text);
        kept.with_context(|| format!("parse {}", path.display()))
    }

    pub(super) fn keep(&self, row: &str) -> Result<()> {
        let path = path(row);
        let text = serde_json::to_string_pretty(self).context("write it as JSON")?;
        fs::create_dir_all(directory()).context("make docs/kernels")?;
        fs::write(&path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// What the doctor says of the kernel that is not what it said.
    pub(super) fn differences(&self, kept: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (is, was) in [
            (&self.doctor.backends, &kept.doctor.backends),
            (&self.doctor.checks, &kept.doctor.checks),
        ] {
            for check in is.iter().filter(|check| check.is_of_kernel()) {
                match was.iter().find(|it| it.name == check.name) {
                    None => differences.push(format!("{} is new", check.name)),
                    Some(old) if old != check => {
                        differences.push(format!("{check} in place of {old}"));
                    }
                    Some(_) => {}
                }
            }
            let is_gone = |old: &&Check| is.iter().all(|it| it.name != old.name);
            let gone = was.iter().filter(is_gone);
            differences.extend(gone.map(|old| format!("{} is gone", old.name)));
        }
        differences
    }
}

/// What the doctor says of the guest, not of its kernel.
const ELSEWHERE: [&str; 4] = ["capabilities", "daemon.socket", "cgroup", "memlock"];

impl Check {
    pub(super) fn is_of_kernel(&self) -> bool {
        !ELSEWHERE.contains(&self.name.as_str())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = if self.ok { "yes" } else { "no" };
        write!(out, "`{}: {answer}, {}`", self.name, self.detail)
    }
}

impl Tally {
    fn of(outcomes: &BTreeMap<String, Outcome>) -> Self {
        let mut tally = Self::default();
        for (name, outcome) in outcomes {
            match outcome {
                Outcome::Passed => tally.passed += 1,
                Outcome::Failed => tally.failed.push(name.clone()),
                Outcome::Inapplicable(_) => tally.inapplicable += 1,
            }
        }
        tally
    }

    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.inapplicable += other.inapplicable;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} pass", self.passed)?;
        for (number, word) in [(self.failed.len(), "**fail**"), (self.inapplicable, "n/a")] {
            if number > 0 {
                write!(out, ", {number} {word}")?;
            }
        }
        Ok(())
    }
}

/// The version of the kernel is a field of its own; a package that took the place
/// of another is no difference.
fn normalised(mut doctor: Doctor) -> Doctor {
    doctor.rest.remove("kernel");
    doctor
}

fn directory() -> PathBuf {
    checkout::root().join("docs/kernels")
}

fn path(row: &str) -> PathBuf {
    directory().join(format!("{row}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(detail: &str) -> Golden {
        golden_of("btf", detail)
    }

    fn golden_of(check: &str, detail: &str) -> Golden {
        let report = format!(
            r#"{{"schema":1,"type":"doctor","kernel":"6.1","event_driven":true,"backends":[],
            "checks":[{{"name":"{check}","ok":true,"detail":"{detail}","hint":null}}]}}"#
        );
        Golden::of("linux", &Transcript::default(), &report).expect("a report")
    }

    #[test]
    fn an_answer_that_changed_is_told_with_both() {
        assert!(golden("a").differences(&golden("a")).is_empty());
        let differences = golden("b").differences(&golden("a"));
        assert_eq!(differences, ["`btf: yes, b` in place of `btf: yes, a`"]);
    }

    #[test]
    fn what_is_said_of_the_guest_is_not_compared() {
        let [is, was] = ["5 v1 hierarchies", "3 v1 hierarchies"].map(|it| golden_of("cgroup", it));
        assert!(is.differences(&was).is_empty());
    }

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let text = serde_json::to_string(&golden("a")).expect("JSON");
        let read: Golden = serde_json::from_str(&text).expect("what was written");
        assert!(!text.contains("6.1") && golden("a").differences(&read).is_empty());
    }
}
