//! `cargo xtask openapi`: the documents of the daemon's API, generated from the code.
//!
//! An example of `probe-daemon` prints the OpenAPI document; the second half of
//! `docs/api.md` is the same as text ([`mod@reference`]).

mod reference;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use crate::{checkout, command};

/// The lines around the generated part of `docs/api.md`.
const MARKS: [&str; 2] = [
    "<!-- From here on `cargo xtask openapi` writes. -->\n",
    "<!-- Up to here. -->\n",
];

pub(crate) fn run() -> Result<()> {
    for (path, text) in pages()? {
        fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Fails if a document differs from the code.
pub(crate) fn check() -> Result<()> {
    for (path, text) in pages()? {
        let found = fs::read_to_string(&path).unwrap_or_default();
        let path = path.display();
        ensure!(found == text, "{path} is out of date: cargo xtask openapi");
    }
    Ok(())
}

/// The paths and the texts of the documents.
fn pages() -> Result<[(PathBuf, String); 2]> {
    let mut example = checkout::cargo("run --quiet --locked -p probe-daemon --example openapi");
    let document = command::stdout(&mut example).context("print the OpenAPI document")?;
    let parsed = serde_json::from_str(&document).context("parse the OpenAPI document")?;
    let docs = checkout::root().join("docs");
    let api = docs.join("api.md");
    let reference = format!("\n{}\n", reference::markdown(&parsed));
    let text = checkout::replace_between(&fs::read_to_string(&api)?, MARKS, &reference)?;
    Ok([
        (docs.join("openapi.json"), format!("{document}\n")),
        (api, text),
    ])
}
