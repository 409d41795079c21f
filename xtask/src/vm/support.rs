//! The support table of the documentation, out of what is kept of each kernel.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};

use super::{
    golden::{Doctor, Golden, Measured},
    row::ROWS,
    transcript::Transcript,
};
use crate::checkout;

/// Between these lines of a document nobody writes by hand.
const BEGIN: &str = "<!-- written by `cargo xtask vm --record` -->\n";
const END: &str = "<!-- end -->\n";

/// What a run found out about each kernel.
#[derive(Default)]
pub(super) struct Support<'a> {
    found: Vec<Column<'a>>,
}

/// One kernel.
struct Column<'a> {
    row: &'a str,
    golden: Golden,
}

impl<'a> Support<'a> {
    /// Of a run in which the kernel's doctor answered; the first of a kernel
    /// counts, and later ones that are set up otherwise add their tests.
    pub(super) fn add(&mut self, row: &'a str, package: &str, run: &Transcript) -> Result<()> {
        let Some(report) = &run.doctor else {
            return Ok(());
        };
        let golden = Golden::of(package, run, report).with_context(|| row.to_owned())?;
        match self.found.iter_mut().find(|it| it.row == row) {
            Some(column) => column.golden.tests.add(golden.tests),
            None => self.found.push(Column { row, golden }),
        }
        Ok(())
    }

    /// What differs from what is kept; a row of which nothing is kept is shown.
    pub(super) fn differences(&self) -> Result<Vec<(&'a str, String)>> {
        let mut differences = Vec::new();
        for Column { row, golden } in &self.found {
            match Golden::kept(row)? {
                None if ROWS.iter().any(|it| it.name == *row) => {
                    println!("── {row}: NOTHING IS KEPT OF IT in docs/kernels: --record");
                }
                // A file of somebody's, which is not recorded.
                None => {}
                Some(kept) => {
                    let found = golden.differences(&kept).into_iter();
                    differences.extend(found.map(|it| (*row, it)));
                }
            }
        }
        Ok(differences)
    }

    /// Keeps what was found, and writes the tables of all that is kept.
    pub(super) fn write(&self) -> Result<()> {
        for Column { row, golden } in &self.found {
            golden.keep(row)?;
        }
        let mut columns = Vec::new();
        for row in &ROWS {
            let kept = Golden::kept(row.name)?;
            columns.extend(kept.map(|golden| Column {
                row: row.name,
                golden,
            }));
        }
        write("docs/kernels.md", &table(&columns))
    }
}

/// Replaces the table in a document.
fn write(document: &str, table: &str) -> Result<()> {
    let path = checkout::root().join(document);
    let text = fs::read_to_string(&path).with_context(|| format!("read {document}"))?;
    let replaced = replace(&text, table);
    let replaced = replaced.with_context(|| format!("no place for a table in {document}"))?;
    fs::write(&path, replaced).with_context(|| format!("write {document}"))
}

fn none() -> String {
    "–".to_owned()
}

/// One kernel a column, with every answer of the doctor.
fn table(columns: &[Column]) -> String {
    let mut table = row("", columns.iter().map(|it| it.row.to_owned()));
    table += &row("---", columns.iter().map(|_| "---".to_owned()));
    let mut line = |name: &str, cell: &dyn Fn(&Golden) -> String| {
        table += &row(name, columns.iter().map(|it| cell(&it.golden)));
    };
    line("`uname -r`", &|it| format!("`{}`", it.kernel));
    line("run on", &|it| it.recorded.clone());
    line("tests", &|it| it.tests.to_string());
    line("**backend that serves**", &|it| it.doctor.best());
    let measured = |it: &Golden, cell: &dyn Fn(&Measured) -> String| {
        it.measured.as_ref().map_or_else(none, cell)
    };
    line("fields of an exit", &|it| measured(it, &Measured::fields));
    line("exits that the kernel skipped", &|it| {
        measured(it, &Measured::loss)
    });
    let names: BTreeSet<&str> = columns
        .iter()
        .flat_map(|it| &it.golden.doctor.checks)
        .filter(|check| check.is_of_kernel())
        .map(|check| check.name.as_str())
        .collect();
    for name in names {
        line(&format!("`{name}`"), &|it| it.doctor.cell(name));
    }
    table
}

impl Measured {
    fn fields(&self) -> String {
        match self.null.as_slice() {
            [] => "all".to_owned(),
            null => format!("all but {}", null.join(", ")),
        }
    }

    /// By the kernel's own counter.
    fn loss(&self) -> String {
        format!("{} of {}", self.skipped, self.made)
    }
}

impl Doctor {
    /// The ladder is in their order; the daemon is no matter of the kernel.
    fn best(&self) -> String {
        let best = self.backends.iter().find(|it| it.ok && it.name != "daemon");
        best.map_or_else(|| "none".to_owned(), |it| format!("**{}**", it.name))
    }

    fn cell(&self, name: &str) -> String {
        let Some(check) = self.checks.iter().find(|it| it.name == name) else {
            return none();
        };
        // Not a yes or no: when.
        if name == DEPARTURE {
            let when = check.detail.split(':').next();
            return when.unwrap_or_default().to_owned();
        }
        let shape = check.detail.strip_prefix("attached, shape ");
        match (check.ok, shape) {
            (true, Some(shape)) => format!("yes, `{shape}`"),
            (true, None) => "yes".to_owned(),
            (false, _) => "no".to_owned(),
        }
    }
}

/// When a task leaves its cgroup.
const DEPARTURE: &str = "cgroup.departure";

fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = [first.to_owned()].into_iter().chain(cells).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, table, END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = r#"{"kernel":"6.1.0","package":"linux","recorded":"2026-01-02",
        "tests":{"passed":5,"failed":[],"inapplicable":1},
        "measured":{"made":9,"told":8,"skipped":1,"ring_full":0,"fields":["pid"],"null":["uid"]},
        "doctor":{"backends":[
        {"name":"daemon","ok":true,"detail":""},{"name":"bpf","ok":false,"detail":""},
        {"name":"pidfd","ok":true,"detail":"available"}],"checks":[
        {"name":"btf","ok":false,"detail":"no file"},
        {"name":"cgroup.departure","ok":true,"detail":"before the end: early"},
        {"name":"cgroup.kill","ok":true,"detail":"there"},
        {"name":"tracepoint.sched_process_exit","ok":true,"detail":"attached, shape live"}]}}"#;

    fn columns() -> Vec<Column<'static>> {
        let golden = serde_json::from_str(KEPT).expect("what is kept");
        vec![Column { row: "6.1", golden }]
    }

    #[test]
    fn every_answer_is_a_line_of_the_long_table() {
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
        assert_eq!(table(&columns()), expected);
    }

    #[test]
    fn what_is_around_the_table_stays() {
        let text = format!("above\n{BEGIN}old\n{END}below\n");
        let expected = format!("above\n{BEGIN}new\n{END}below\n");
        assert_eq!(replace(&text, "new\n"), Some(expected));
        assert_eq!(replace("nowhere", "new"), None);
    }
}
