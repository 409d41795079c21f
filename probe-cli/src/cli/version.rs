//! `probe version`: shows the version, and the commit from which probe was built.

use std::io::{self, Write};

use super::{ExitCode, Failure};
use crate::output::ignore_closed;

/// Show the version, and the commit and its date from which probe was built
///
/// A build from a source archive has no commit, unless the packager has set one.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// The commit and its date, from the build script. Empty if they are unknown.
const COMMIT: &str = env!("PROBE_BUILT_FROM");
const DATE: &str = env!("PROBE_BUILT_DATE");

pub(super) fn run(_: &Args) -> Result<ExitCode, Failure> {
    let or_unknown = |text: &'static str| {
        if text.is_empty() {
            "unknown (a debug build, or one without git)"
        } else {
            text
        }
    };
    let text = format!(
        "probe {}\ncommit {}\ndate   {}\n",
        env!("CARGO_PKG_VERSION"),
        or_unknown(COMMIT),
        or_unknown(DATE)
    );
    ignore_closed(io::stdout().write_all(text.as_bytes()))?;
    Ok(ExitCode::Done)
}
