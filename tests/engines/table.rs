//! The table of results in `docs/engines.md`.

use std::{fs, process::Command};

/// The lines before and after the table.
const MARKS: [&str; 2] = [
    "<!-- written by `cargo xtask engines --record` -->\n",
    "<!-- end of the results -->\n",
];

pub(crate) struct Row {
    /// Engine, pid namespace and view of cgroups.
    pub(crate) key: [String; 3],
    pub(crate) rest: Vec<String>,
}

/// Prints a row. Writes it to the document that `PROBE_ENGINES_RECORD` names, in the place of
/// the row with the same key or after the last one.
pub(crate) fn record(row: &Row) {
    let key = format!("| {} | ", row.key.join(" | "));
    let line = format!("{key}{} | {} |", row.rest.join(" | "), date_and_kernel());
    println!("{line}");
    let Some(document) = document() else {
        return;
    };
    let text = fs::read_to_string(&document).expect("the document is there");
    let (head, rest) = text.split_once(MARKS[0]).expect("the first mark");
    let (table, tail) = rest.split_once(MARKS[1]).expect("the second mark");
    let mut lines: Vec<_> = table.lines().map(str::to_owned).collect();
    match lines.iter_mut().find(|it| it.starts_with(&key)) {
        Some(old) => *old = line,
        None => lines.push(line),
    }
    let heading = lines.len().min(2);
    lines[heading..].sort();
    let table = lines.join("\n") + "\n";
    let text = [head, MARKS[0], &table, MARKS[1], tail].concat();
    fs::write(document, text).expect("the document can be written");
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes options to tests only in the environment"
)]
fn document() -> Option<String> {
    std::env::var("PROBE_ENGINES_RECORD").ok()
}

fn date_and_kernel() -> String {
    let date = Command::new("date").arg("+%F").output().expect("date runs");
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let date = String::from_utf8_lossy(&date.stdout);
    format!("{}, {kernel}", date.trim())
}
