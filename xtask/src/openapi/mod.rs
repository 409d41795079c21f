//! `cargo xtask openapi`: what the code says of the daemon's API, as files.
//!
//! The document is asked of an example of `probe-daemon`; the second half of
//! `docs/api.md` is the same in words ([`mod@reference`]).

mod reference;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{checkout, command};

/// Write docs/openapi.json and the reference in docs/api.md
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Between these lines nothing is written by hand.
const BEGIN: &str = "<!-- From here on `cargo xtask openapi` writes. -->\n";
const END: &str = "<!-- Up to here. -->\n";

/// A file and what it should be.
struct Page {
    path: PathBuf,
    text: String,
}

pub(crate) fn run() -> Result<()> {
    for Page { path, text } in pages()? {
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Fails if the files are not what the code says.
pub(crate) fn check() -> Result<()> {
    for Page { path, text } in pages()? {
        let found = fs::read_to_string(&path).unwrap_or_default();
        if found != text {
            bail!("{} is out of date: cargo xtask openapi", path.display());
        }
    }
    Ok(())
}

fn pages() -> Result<[Page; 2]> {
    let document = command::stdout(checkout::cargo().args([
        "run",
        "--quiet",
        "--locked",
        "--package=probe-daemon",
        "--example=openapi",
    ]))
    .context("ask the code for the document")?;
    let parsed: Value = serde_json::from_str(&document).context("read the document")?;
    let docs = checkout::root().join("docs");
    let api = docs.join("api.md");
    let manual = fs::read_to_string(&api).with_context(|| format!("read {}", api.display()))?;
    let text = replaced(&manual, &reference::of(&parsed))
        .with_context(|| format!("{} has no place for the reference", api.display()))?;
    Ok([
        Page {
            path: docs.join("openapi.json"),
            text: format!("{document}\n"),
        },
        Page { path: api, text },
    ])
}

/// The text with another middle.
fn replaced(text: &str, middle: &str) -> Option<String> {
    let (head, rest) = text.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{middle}\n{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_by_hand_stays() {
        let text = format!("by hand\n{BEGIN}old\n{END}also\n");
        let new = replaced(&text, "new\n").expect("both lines are there");
        assert_eq!(new, format!("by hand\n{BEGIN}\nnew\n\n{END}also\n"));
        assert_eq!(replaced(&new, "new\n"), Some(new.clone()));
        assert_eq!(replaced("no place", "new"), None);
    }
}
