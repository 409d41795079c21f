//! Links of the Markdown files: what they name in the tree must be there.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::checkout;

/// Fails with the dead ones.
pub(super) fn check() -> Result<()> {
    let mut dead = Vec::new();
    for file in checkout::files()? {
        if file.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(checkout::root().join(&file))
                .with_context(|| format!("read {}", file.display()))?;
            let directory = checkout::root().join(file.parent().unwrap_or(Path::new("")));
            for link in relative_links(&text) {
                if !directory.join(link).exists() {
                    dead.push(format!("{} links to {link}", file.display()));
                }
            }
        }
    }
    if !dead.is_empty() {
        bail!("there is nothing where\n  {}", dead.join("\n  "));
    }
    Ok(())
}

/// The targets of `[text](target)`, without the fragment, that are no URLs.
fn relative_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ', '\n']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_into_the_tree_are_looked_at() {
        let text = "[a](A.md) [b](docs/b.md#part) [c](https://example.org/c) [d](#here) x(y)";
        assert_eq!(
            relative_links(text).collect::<Vec<_>>(),
            ["A.md", "docs/b.md"]
        );
    }
}
