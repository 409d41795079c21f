//! `docs/kernels`: one file for each kernel with the output of `probe doctor` and of the
//! program `measure` there. A later run is compared with the file, and the table of
//! `docs/kernels.md` is made of all files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use anyhow::{Context, Result};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    kernel,
    transcript::{Outcome, Transcript},
};
use crate::{checkout, command};

/// The lines around the generated part of `docs/kernels.md`.
const MARKS: [&str; 2] = [
    "<!-- written by `cargo xtask vm --record` -->\n",
    "<!-- end -->\n",
];

#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    kernel: String,
    package: String,
    recorded: String,
    tests: Tests,
    /// The output of the program `measure` of the tests; `null` without tracing.
    measured: Value,
    doctor: Doctor,
}

#[derive(Default, Serialize, Deserialize)]
struct Tests {
    passed: usize,
    failed: Vec<String>,
    inapplicable: usize,
    /// The day of the tests, if a later run with `--test` has recorded the other facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_on: Option<String>,
}

/// The output of `probe doctor --json`.
#[derive(Serialize, Deserialize)]
struct Doctor {
    backends: Vec<Check>,
    checks: Vec<Check>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Check {
    name: String,
    ok: bool,
    detail: String,
    hint: Option<String>,
}

impl Record {
    /// The record of a run; `None` if the doctor printed nothing.
    pub(super) fn of(package: &str, run: &Transcript) -> Result<Option<Self>> {
        let Some(doctor) = &run.doctor else {
            return Ok(None);
        };
        let mut doctor: Doctor = serde_json::from_str(doctor).context("output of the doctor")?;
        // The record has a field of its own for the kernel, and the machine has no engines.
        doctor
            .rest
            .retain(|field, _| field != "kernel" && field != "engines");
        let measured = serde_json::from_str(run.measured.as_deref().unwrap_or("null"));
        let today = command::stdout(&mut command::new("date -u +%F"))?;
        Ok(Some(Self {
            kernel: run.release.clone().unwrap_or_default(),
            package: package.to_owned(),
            recorded: today.trim().to_owned(),
            tests: Tests::default(),
            measured: measured.context("output of measure")?,
            doctor,
        }))
    }

    /// Counts the tests of all starts of the kernel.
    pub(super) fn count(&mut self, outcomes: &BTreeMap<String, Outcome>) {
        self.tests = Tests::default();
        for (name, outcome) in outcomes {
            match outcome {
                Outcome::Passed => self.tests.passed += 1,
                Outcome::Failed => self.tests.failed.push(name.clone()),
                Outcome::Inapplicable(_) => self.tests.inapplicable += 1,
            }
        }
    }

    /// Keeps the counts of the last run of all tests.
    pub(super) fn keep_counts(&mut self, row: &str) -> Result<()> {
        if let Some(old) = Self::read(row)? {
            let run_on = old.tests.run_on.clone().unwrap_or(old.recorded);
            self.tests = Tests {
                run_on: Some(run_on),
                ..old.tests
            };
        }
        Ok(())
    }

    /// The record in `docs/kernels`, if there is one.
    fn read(row: &str) -> Result<Option<Self>> {
        let path = path(row);
        if !path.is_file() {
            return Ok(None);
        }
        let record = serde_json::from_str(&fs::read_to_string(&path)?);
        record.with_context(|| format!("parse {}", path.display()))
    }

    /// Writes the record, and the table of all records.
    pub(super) fn write(&self, row: &str) -> Result<()> {
        fs::write(path(row), serde_json::to_string_pretty(self)? + "\n")?;
        let mut records = Vec::new();
        for row in kernel::rows() {
            let record = Self::read(row.name)?;
            records.extend(record.map(|record| (row.name, record)));
        }
        let document = checkout::root().join("docs/kernels.md");
        let text = fs::read_to_string(&document)?;
        let text = checkout::replace_between(&text, MARKS, &table(&records))?;
        Ok(fs::write(document, text)?)
    }

    /// The answers of the doctor about the kernel that differ from `docs/kernels`, if it
    /// has a record.
    pub(super) fn differences(&self, row: &str) -> Result<Vec<String>> {
        Ok(Self::read(row)?.map_or_else(Vec::new, |old| self.compare(&old)))
    }

    fn compare(&self, old: &Self) -> Vec<String> {
        let [new, old] = [self, old].map(Self::checks);
        let names: BTreeSet<_> = new.keys().chain(old.keys()).collect();
        let difference = |name| match (new.get(name), old.get(name)) {
            (Some(new), Some(old)) if new == old => None,
            (Some(new), Some(old)) => Some(format!("{new} in place of {old}")),
            (Some(new), None) => Some(format!("{new} is new")),
            (None, old) => Some(format!("{} is gone", old?)),
        };
        names.into_iter().filter_map(difference).collect()
    }

    /// The answers about the kernel, without those about the guest. Checks come after
    /// backends.
    fn checks(&self) -> BTreeMap<(bool, &str), &Check> {
        let Doctor {
            backends, checks, ..
        } = &self.doctor;
        let backends = backends.iter().map(|it| ((false, &*it.name), it));
        let checks = checks.iter().map(|it| ((true, &*it.name), it));
        let is_of_kernel = |it: &(_, &Check)| !GUEST.contains(&&*it.1.name);
        backends.chain(checks).filter(is_of_kernel).collect()
    }

    /// The cells of the column in the table, with their places and titles.
    fn cells(&self) -> BTreeMap<(usize, String), String> {
        let Tests {
            passed,
            failed,
            inapplicable,
            run_on,
        } = &self.tests;
        let counts = [
            (*passed, "pass"),
            (failed.len(), "**fail**"),
            (*inapplicable, "n/a"),
        ];
        let counts = counts
            .iter()
            .filter(|(number, word)| *number > 0 || *word == "pass");
        let tests: Vec<_> = counts
            .map(|(number, word)| format!("{number} {word}"))
            .collect();
        let run_on = run_on.as_ref().map(|day| format!(" on {day}"));
        let run_on = run_on.unwrap_or_default();
        let serves = |it: &&Check| it.ok && it.name != "daemon";
        let best = self.doctor.backends.iter().find(serves);
        let best = best.map_or_else(|| "none".to_owned(), |it| format!("**{}**", it.name));
        let mut cells = vec![
            ((0, "`uname -r`".to_owned()), format!("`{}`", self.kernel)),
            ((1, "run on".to_owned()), self.recorded.clone()),
            ((2, "tests".to_owned()), tests.join(", ") + &run_on),
            ((3, "**backend that serves**".to_owned()), best),
        ];
        if let Some(null) = self.measured["null"].as_array() {
            let null: Vec<_> = null.iter().filter_map(Value::as_str).collect();
            let all_but = format!("all but {}", null.join(", "));
            let fields = if null.is_empty() {
                "all".to_owned()
            } else {
                all_but
            };
            cells.push(((4, "fields of an exit".to_owned()), fields));
            // By the kernel's own counter.
            let skipped = format!("{} of {}", self.measured["skipped"], self.measured["made"]);
            cells.push(((5, "exits that the kernel skipped".to_owned()), skipped));
        }
        for ((is_check, name), check) in self.checks() {
            let cell = ((6, format!("`{name}`")), check.answer());
            cells.extend(is_check.then_some(cell));
        }
        cells.into_iter().collect()
    }
}

/// Answers of the doctor about the guest, not about its kernel.
const GUEST: [&str; 4] = ["capabilities", "daemon.socket", "cgroup", "memlock"];

impl Check {
    fn answer(&self) -> String {
        // The moment at which a task leaves its cgroup is no yes or no.
        if self.name == "cgroup.departure" {
            return self.detail.split(':').next().unwrap_or_default().to_owned();
        }
        let shape = self.detail.strip_prefix("attached, shape ");
        match (self.ok, shape) {
            (true, Some(shape)) => format!("yes, `{shape}`"),
            (true, None) => "yes".to_owned(),
            (false, _) => "no".to_owned(),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = if self.ok { "yes" } else { "no" };
        write!(out, "`{}: {answer}, {}`", self.name, self.detail)
    }
}

fn path(row: &str) -> PathBuf {
    checkout::root().join(format!("docs/kernels/{row}.json"))
}

/// A Markdown table with a column for each kernel.
fn table(records: &[(&str, Record)]) -> String {
    let line = |first: &str, cells: Vec<&str>| format!("| {first} | {} |\n", cells.join(" | "));
    let names: Vec<_> = records.iter().map(|(name, _)| *name).collect();
    let columns: Vec<_> = records.iter().map(|(_, record)| record.cells()).collect();
    let mut table = line("", names) + &line("---", vec!["---"; columns.len()]);
    for title in columns
        .iter()
        .flat_map(BTreeMap::keys)
        .collect::<BTreeSet<_>>()
    {
        let cell = |it| BTreeMap::get(it, title).map_or("–", String::as_str);
        table += &line(&title.1, columns.iter().map(cell).collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"kernel":"6.1.0","package":"linux","recorded":"2026-01-02",
        "tests":{"passed":5,"failed":[],"inapplicable":1},
        "measured":{"made":9,"told":8,"skipped":1,"ring_full":0,"fields":["pid"],"null":["uid"]},
        "doctor":{"backends":[
        {"name":"daemon","ok":true,"detail":""},{"name":"bpf","ok":false,"detail":""},
        {"name":"pidfd","ok":true,"detail":"available"}],"checks":[
        {"name":"btf","ok":false,"detail":"no file"},
        {"name":"cgroup","ok":true,"detail":"3 v1 hierarchies"},
        {"name":"cgroup.departure","ok":true,"detail":"before the end: early"},
        {"name":"cgroup.kill","ok":true,"detail":"there"},
        {"name":"tracepoint.sched_process_exit","ok":true,"detail":"attached, shape live"}]}}"#;

    fn parse(text: &str) -> Record {
        serde_json::from_str(text).expect("a record")
    }

    #[test]
    fn the_table_has_a_line_for_every_answer_about_the_kernel() {
        let expected = "\
|  | 6.1 |
| --- | --- |
| `uname -r` | `6.1.0` |
| run on | 2026-01-02 |
| tests | 5 pass, 1 n/a |
| **backend that serves** | **pidfd** |
| fields of an exit | all but uid |
| exits that the kernel skipped | 1 of 9 |
| `btf` | no |
| `cgroup.departure` | before the end |
| `cgroup.kill` | yes |
| `tracepoint.sched_process_exit` | yes, `live` |
";
        assert_eq!(table(&[("6.1", parse(RECORD))]), expected);
    }

    #[test]
    fn a_different_answer_about_the_kernel_is_reported_with_the_old_one() {
        let changed = RECORD.replace("no file", "empty").replace("3 v1", "5 v1");
        let differences = parse(&changed).compare(&parse(RECORD));
        let expected = "`btf: no, empty` in place of `btf: no, no file`";
        assert_eq!(differences, [expected]);
    }
}
