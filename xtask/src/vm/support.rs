//! The support table of the documentation, out of what `probe doctor` said in
//! each guest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::checkout;

/// Between these lines of `docs/kernels.md` nobody writes by hand.
const BEGIN: &str = "<!-- written by `cargo xtask vm --record` -->\n";
const END: &str = "<!-- end -->\n";

/// What `probe doctor --json` says, as far as it is shown.
#[derive(Deserialize)]
struct Doctor {
    kernel: String,
    backends: Vec<Check>,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    ok: bool,
    detail: String,
}

/// One kernel's column.
struct Column {
    row: &'static str,
    doctor: Doctor,
}

/// Writes the table and keeps the reports that it was made of.
#[derive(Default)]
pub(super) struct Support {
    columns: Vec<Column>,
}

impl Support {
    /// The report of a guest.
    pub(super) fn add(&mut self, row: &'static str, report: &str) -> Result<()> {
        let doctor = serde_json::from_str(report);
        let doctor = doctor.with_context(|| format!("what the doctor says on {row}"))?;
        let path = directory().join(format!("{row}.json"));
        fs::create_dir_all(directory()).context("make docs/kernels")?;
        fs::write(&path, format!("{report}\n"))
            .with_context(|| format!("write {}", path.display()))?;
        self.columns.push(Column { row, doctor });
        Ok(())
    }

    /// Replaces the table in `docs/kernels.md`.
    pub(super) fn write(&self) -> Result<()> {
        let path = directory().with_extension("md");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let replaced = replace(&text, &self.table());
        let replaced =
            replaced.with_context(|| format!("no place for it in {}", path.display()))?;
        fs::write(&path, replaced).with_context(|| format!("write {}", path.display()))
    }

    fn table(&self) -> String {
        let mut table = row("", self.columns.iter().map(|it| it.row.to_owned()));
        table += &row("---", self.columns.iter().map(|_| "---".to_owned()));
        let kernels = self
            .columns
            .iter()
            .map(|it| format!("`{}`", it.doctor.kernel));
        table += &row("`uname -r`", kernels);
        let best = self.columns.iter().map(|it| it.doctor.best());
        table += &row("**backend that serves**", best);
        let names: BTreeSet<&str> = self
            .columns
            .iter()
            .flat_map(|column| column.doctor.checks.iter().map(|it| it.name.as_str()))
            .filter(|name| !ELSEWHERE.contains(name))
            .collect();
        for name in names {
            let cells = self.columns.iter().map(|it| it.doctor.cell(name));
            table += &row(&format!("`{name}`"), cells);
        }
        table
    }
}

/// Of the guest, not of its kernel.
const ELSEWHERE: [&str; 4] = ["capabilities", "daemon.socket", "cgroup", "memlock"];

impl Doctor {
    /// The ladder is in their order; the daemon is no matter of the kernel.
    fn best(&self) -> String {
        let best = self.backends.iter().find(|it| it.ok && it.name != "daemon");
        best.map_or_else(|| "none".to_owned(), |it| format!("**{}**", it.name))
    }

    fn cell(&self, name: &str) -> String {
        let Some(check) = self.checks.iter().find(|it| it.name == name) else {
            return "–".to_owned();
        };
        let shape = check.detail.strip_prefix("attached, shape ");
        match (check.ok, shape) {
            (true, Some(shape)) => format!("yes, `{shape}`"),
            (true, None) => "yes".to_owned(),
            (false, _) => "no".to_owned(),
        }
    }
}

fn directory() -> PathBuf {
    checkout::root().join(Path::new("docs/kernels"))
}

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

    const REPORT: &str = r#"{"kernel":"6.1.0","backends":[
        {"name":"daemon","ok":true,"detail":""},{"name":"bpf","ok":false,"detail":""},
        {"name":"pidfd","ok":true,"detail":"available"}],"checks":[
        {"name":"btf","ok":false,"detail":"no file"},
        {"name":"tracepoint.sched_process_exit","ok":true,"detail":"attached, shape live"}]}"#;

    #[test]
    fn the_best_backend_and_the_facts_are_in_the_table() {
        let doctor = serde_json::from_str(REPORT).expect("a report");
        let columns = vec![Column { row: "6.1", doctor }];
        let expected = "\
|  | 6.1 |
| --- | --- |
| `uname -r` | `6.1.0` |
| **backend that serves** | **pidfd** |
| `btf` | no |
| `tracepoint.sched_process_exit` | yes, `live` |
";
        assert_eq!(Support { columns }.table(), expected);
    }

    #[test]
    fn what_is_around_the_table_stays() {
        let text = format!("above\n{BEGIN}old\n{END}below\n");
        let expected = format!("above\n{BEGIN}new\n{END}below\n");
        assert_eq!(replace(&text, "new\n"), Some(expected));
        assert_eq!(replace("nowhere", "new"), None);
    }
}
