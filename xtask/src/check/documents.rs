//! The Markdown files: links into the tree, and ARCHITECTURE.md's tables of rooms.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use fs_err as fs;

use crate::checkout;

/// Fails with the links of Markdown files that lead nowhere.
pub(super) fn links() -> Result<()> {
    let mut dead = Vec::new();
    let files = checkout::files()?.into_iter();
    for file in files.filter(|it| it.extension().is_some_and(|it| it == "md")) {
        let path = checkout::root().join(&file);
        let text = fs::read_to_string(&path)?;
        let links = relative_links(&text).filter(|link| !path.with_file_name(link).exists());
        dead.extend(links.map(|link| format!("{} links to {link}", file.display())));
    }
    ensure!(dead.is_empty(), "dead links:\n  {}", dead.join("\n  "));
    Ok(())
}

/// The targets of `[text](target)` that are no URLs, without their fragments.
fn relative_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ', '\n']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|path| !path.is_empty())
}

/// Fails with the directories below a `src` that have no row in ARCHITECTURE.md, and with
/// the rows that have neither a directory nor a file.
pub(super) fn rooms() -> Result<()> {
    let text = fs::read_to_string(checkout::root().join("ARCHITECTURE.md"))?;
    let (sources, named) = tables(&text);
    let files = checkout::files()?;
    let there = sources.iter().flat_map(|it| directories(&files, it));
    let there: BTreeSet<_> = there.collect();
    let missing = there.difference(&named);
    let missing = missing.map(|it| format!("no row for {it}"));
    let is_wrong = |it: &&String| {
        let path = checkout::root().join(it);
        !path.is_dir() && !path.with_extension("rs").is_file()
    };
    let wrong = named.iter().filter(is_wrong);
    let wrong = wrong.map(|it| format!("a row for {it}, which does not exist"));
    let faults = missing.chain(wrong).collect::<Vec<_>>().join("\n  ");
    ensure!(faults.is_empty(), "ARCHITECTURE.md has\n  {faults}");
    Ok(())
}

/// The directories with a table of rooms, under headings such as ``### `xtask/src` ``, and
/// the rooms in the first columns of these tables, as paths below the checkout.
fn tables(text: &str) -> (Vec<&str>, BTreeSet<String>) {
    let mut below = None;
    let (mut sources, mut named) = (Vec::new(), BTreeSet::new());
    for line in text.lines() {
        if line.starts_with('#') {
            below = line
                .strip_prefix("### `")
                .and_then(|it| it.strip_suffix('`'));
            sources.extend(below);
        }
        if let (Some(source), Some(cell)) = (below, line.strip_prefix("| `"))
            && let Some((room, _)) = cell.split_once('`')
        {
            named.insert(format!("{source}/{room}"));
        }
    }
    (sources, named)
}

/// Every directory below a source that holds a file of the checkout. Unit tests have no
/// rooms of their own.
fn directories(files: &[PathBuf], source: &str) -> BTreeSet<String> {
    let source = Path::new(source);
    let is_room = |it: &&Path| it.starts_with(source) && *it != source && !it.ends_with("tests");
    let directories = files.iter().flat_map(|file| file.ancestors().skip(1));
    directories
        .filter(is_room)
        .map(|it| it.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_into_the_tree_are_checked() {
        let text = "[a](A.md) [b](docs/b.md#part) [c](https://example.org/c) [d](#here) x(y)";
        assert!(relative_links(text).eq(["A.md", "docs/b.md"]));
    }

    #[test]
    fn the_tables_of_this_checkout_name_every_room_and_no_other() {
        rooms().expect("ARCHITECTURE.md is up to date");
        let text = fs::read_to_string(checkout::root().join("ARCHITECTURE.md"));
        let text = text.expect("it is committed");
        assert_eq!(tables(&text).0, crate::check::rooms::ROOTS);
    }

    #[test]
    fn rows_belong_to_the_heading_above_them() {
        let text = "| `x` | no table of rooms |\n### `a/src`\n| room | for |\n|---|---|\n\
                    | `b` | `c` |\n| `b/d` | |\n### other\n| `e` | |\n";
        let expected = ["a/src/b", "a/src/b/d"].map(str::to_owned);
        assert_eq!(tables(text), (vec!["a/src"], BTreeSet::from(expected)));
    }
}
