//! ARCHITECTURE.md's tables of rooms: every directory below each `src` has a row,
//! and every row has a directory or a file.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::checkout;

/// Fails with the rows that are missing and with those that are wrong.
pub(super) fn check() -> Result<()> {
    let text = fs::read_to_string(checkout::root().join("ARCHITECTURE.md"))
        .context("read ARCHITECTURE.md")?;
    let named = named(&text);
    let files = checkout::files()?;
    let there: BTreeSet<String> = sources(&text)
        .flat_map(|source| directories(&files, source))
        .collect();
    let missing = there
        .difference(&named)
        .map(|it| format!("no row for {it}"));
    let is_there = |it: &&String| {
        let path = checkout::root().join(it);
        path.is_dir() || path.with_extension("rs").is_file()
    };
    let wrong = named.iter().filter(|it| !is_there(it));
    let wrong = wrong.map(|it| format!("a row for {it}, which is not there"));
    let faults: Vec<_> = missing.chain(wrong).collect();
    if !faults.is_empty() {
        bail!("ARCHITECTURE.md has\n  {}", faults.join("\n  "));
    }
    Ok(())
}

/// The directories with a table of rooms: headings such as ``### `xtask/src` ``.
fn sources(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(source)
}

fn source(line: &str) -> Option<&str> {
    line.strip_prefix("### `")?.strip_suffix('`')
}

/// What the first column of these tables names, as paths below the checkout.
fn named(text: &str) -> BTreeSet<String> {
    let mut below = None;
    let mut named = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('#') {
            below = source(line);
        }
        if let (Some(source), Some(cell)) = (below, line.strip_prefix("| `"))
            && let Some((room, _)) = cell.split_once('`')
        {
            named.insert(format!("{source}/{room}"));
        }
    }
    named
}

/// Every directory below one that holds a file of the checkout, as a path below the
/// checkout. Unit tests have no rooms of their own.
fn directories(files: &[PathBuf], below: &str) -> BTreeSet<String> {
    let below = Path::new(below);
    let is_room = |it: &&Path| it.starts_with(below) && *it != below && !it.ends_with("tests");
    files
        .iter()
        .flat_map(|file| file.ancestors().skip(1))
        .filter(is_room)
        .map(|it| it.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_this_checkout_name_every_room_and_no_other() {
        check().expect("ARCHITECTURE.md is up to date");
    }

    #[test]
    fn every_package_has_a_table() {
        let text = fs::read_to_string(checkout::root().join("ARCHITECTURE.md"));
        let text = text.expect("it is committed");
        for root in crate::check::rooms::ROOTS {
            let has_table = |it: &str| root.starts_with(it);
            assert!(sources(&text).any(has_table), "no table for {root}");
        }
    }

    #[test]
    fn rows_belong_to_the_heading_above_them() {
        let text = "| `x` | no table of rooms |\n### `a/src`\n| room | for |\n|---|---|\n\
                    | `b` | `c` |\n| `b/d` | |\n### other\n| `e` | |\n";
        let expected = ["a/src/b", "a/src/b/d"].map(str::to_owned);
        assert_eq!(named(text), BTreeSet::from(expected));
    }
}
